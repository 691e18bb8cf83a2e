"""What every corpus reader promises. A reader's test class inherits from ReaderContract and gives its inputs."""

from collections.abc import Mapping

import numpy as np

from trainables.corpora.corpus import Corpus
from trainables.corpora.leakage import split_corpus
from trainables.corpora.split import split_by_group


class ReaderContract:
    """Override the three readings and the two expectations; the input needs about 40 groups or more."""

    classes: tuple[str, ...]
    bad_rows: Mapping[str, int]  # what `read_with_bad_rows` leaves out more than `read`

    def read(self, tmp_path) -> Corpus:
        raise NotImplementedError

    def read_reordered(self, tmp_path) -> Corpus:
        """Read the same rows from a source that holds them in another order."""
        raise NotImplementedError

    def read_with_bad_rows(self, tmp_path) -> Corpus:
        """Read the same rows and some that cannot be used."""
        raise NotImplementedError

    def test_columns_have_one_entry_a_row(self, tmp_path):
        corpus = self.read(tmp_path)
        n = len(corpus)
        assert n > 0
        assert corpus.labels.shape == (n,) and corpus.labels.dtype == np.int64
        assert len(corpus.groups) == len(corpus.origins) == n
        assert all(text.strip() for text in corpus.texts) and all(corpus.groups) and corpus.source

    def test_class_names_are_stable(self, tmp_path):
        corpus = self.read(tmp_path)
        assert corpus.classes == self.classes == self.read_reordered(tmp_path).classes
        assert set(corpus.labels.tolist()) <= set(range(len(self.classes)))

    def test_every_row_can_be_traced(self, tmp_path):
        origins = self.read(tmp_path).origins
        assert all(origins) and len(set(origins)) == len(origins)

    def test_no_text_twice_outside_a_given_test_set(self, tmp_path):
        corpus = self.read(tmp_path)
        parts = corpus.split or ["train"] * len(corpus)
        texts = [
            (part, " ".join(text.lower().split()))
            for text, part in zip(corpus.texts, parts, strict=True)
            if part != "test"
        ]
        assert len(set(texts)) == len(texts)

    def test_neither_texts_nor_groups_are_in_two_parts_of_the_split(self, tmp_path):
        corpus = self.read(tmp_path)
        parts = split_corpus(corpus, seed=0, minimum=0)
        for values in (corpus.groups, [text.lower() for text in corpus.texts]):
            owners = [{values[row] for row in part} for part in (parts.train, parts.validation, parts.test)]
            assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]
        if corpus.split is not None and "test" in corpus.split:
            assert len(parts.test) == list(corpus.split).count("test")

    def test_groups_never_cross_splits(self, tmp_path):
        corpus = self.read(tmp_path)
        parts = split_by_group(corpus.labels, corpus.groups, corpus.classes, seed=0, minimum=0)
        owners = [
            {corpus.groups[row] for row in part} for part in (parts.train, parts.validation, parts.test)
        ]
        assert sum(map(len, owners)) == len(set(corpus.groups))

    def test_the_digest_does_not_depend_on_row_order(self, tmp_path):
        assert self.read(tmp_path).digest == self.read_reordered(tmp_path).digest

    def test_bad_rows_are_counted_and_change_nothing_else(self, tmp_path):
        clean, dirty = self.read(tmp_path), self.read_with_bad_rows(tmp_path)
        more = {
            reason: n - clean.left_out.get(reason, 0)
            for reason, n in dirty.left_out.items()
            if n != clean.left_out.get(reason, 0)
        }
        assert more == dict(self.bad_rows)
        assert dirty.digest == clean.digest
        repeated = sum(n for reason, n in dirty.left_out.items() if reason.startswith("duplicate"))
        assert sum(dirty.found.values()) == len(dirty) + repeated + dirty.left_out.get("too short", 0)
