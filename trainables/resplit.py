"""A corpus made ready once, of which every replicate trains and is scored on parts of its own.

The texts and tokens are there once, whatever the number of replicates; of each replicate there is one byte a row. So
no worker splits anything, and a replicate has the same parts in every process, for every arm, at every ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus
from trainables.corpora.leakage import split_remarks
from trainables.corpora.resplit import resplit
from trainables.corpora.split import PARTS
from trainables.corpora.split_settings import SplitSettings
from trainables.prepared import PreparedCorpus, check_validation_per_class, scored_rows, test_rows
from trainables.read_corpus import ReadCorpus, read_corpus
from trainables.seeds import generator
from trainables.settings import EncoderSettings
from trainables.texts.coverage import Coverage
from trainables.texts.tokens import TokenisedTexts
from trainables.truncation import TOKENS

_TRAIN, _VALIDATION, _UNUSED = range(3)


@dataclass(frozen=True)
class ResplitCorpus:
    """What workers get by reference from the object store where replicates vary the split.

    Attributes
    ----------
    texts, tokens, labels
        The n rows that are not test rows.
    parts
        (R, n) int8: of each replicate, whether a row is a training row (0), a validation row (1), or a validation row
        that a bound on their number leaves out (2).
    test_tokens, test_labels, test_groups
        The test rows of all replicates.
    ranked_by
        Rows per class by which classes are ranked from majority to minority.
    classes, digest, remarks, coverage, judged_on
        As in :class:`trainables.prepared.PreparedCorpus`; ``coverage`` is of all n rows.
    """

    texts: Sequence[str]
    tokens: TokenisedTexts
    labels: npt.NDArray[np.int64]
    parts: npt.NDArray[np.int8]
    test_tokens: TokenisedTexts
    test_labels: npt.NDArray[np.int64]
    test_groups: npt.NDArray[np.int64]
    ranked_by: tuple[int, ...]
    classes: tuple[str, ...]
    digest: str
    remarks: tuple[str, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    judged_on: str = TOKENS

    def of_replicate(self, replicate: int) -> PreparedCorpus:
        """Return the parts that a replicate trains and is scored on.

        Raises
        ------
        IndexError
            There are fewer replicates.
        """
        if not 0 <= replicate < len(self.parts):
            raise IndexError(
                f"replicate {replicate} has no split: {len(self.parts)} of them were made, from 0."
            )
        train, validation = (np.flatnonzero(self.parts[replicate] == part) for part in (_TRAIN, _VALIDATION))
        return PreparedCorpus(
            train_texts=[self.texts[row] for row in train.tolist()],
            train_tokens=self.tokens.select(train),
            train_labels=self.labels[train],
            validation_tokens=self.tokens.select(validation),
            validation_labels=self.labels[validation],
            test_tokens=self.test_tokens,
            test_labels=self.test_labels,
            test_groups=self.test_groups,
            classes=self.classes,
            digest=self.digest,
            remarks=self.remarks,
            coverage=self.coverage,
            ranked_by=self.ranked_by,
            validation_texts=[self.texts[row] for row in validation.tolist()],
            judged_on=self.judged_on,
        )

    def train_rows(self) -> npt.NDArray[np.int64]:
        """Return the (R, C) training rows per replicate and class."""
        return self._rows(_TRAIN)

    def validation_rows(self) -> npt.NDArray[np.int64]:
        """Return the (R, C) rows per replicate and class that arms are scored on."""
        return self._rows(_VALIDATION)

    def _rows(self, part: int) -> npt.NDArray[np.int64]:
        counts = [np.bincount(self.labels[of == part], minlength=len(self.classes)) for of in self.parts]
        return np.stack(counts).astype(np.int64)

    def class_count_ranges(self) -> dict[str, dict[str, list[int]]]:
        """Return, for train and validation, the fewest and the most rows of each class over the replicates."""
        return {
            part: {
                name: [int(least), int(most)]
                for name, least, most in zip(self.classes, rows.min(axis=0), rows.max(axis=0), strict=True)
            }
            for part, rows in zip(PARTS, (self.train_rows(), self.validation_rows()), strict=False)
        }


# What all trials of a study share: one split, or one a replicate.
SharedCorpus = PreparedCorpus | ResplitCorpus


def prepare_resplit(
    corpus: Corpus,
    encoder: EncoderSettings,
    *,
    study_seed: int,
    replicates: int,
    max_validation_rows: int | None,
    validation_per_class: int | None = None,
    split_settings: SplitSettings,
    max_test_rows: int | None = None,
    judged_on: str = TOKENS,
    read: ReadCorpus | None = None,
) -> ResplitCorpus:
    """Split a corpus anew for every replicate, its test part apart, and tokenise it once.

    Parameters
    ----------
    corpus, encoder, study_seed, max_validation_rows, validation_per_class, split_settings, max_test_rows, judged_on,
    read
        As in :func:`trainables.prepared.prepare`. The test part is the one of that function.
    replicates
        Number R of replicates that the study can run.

    Raises
    ------
    ConfigurationError
        A class has too few rows for the split, or the source gives the validation part.
    """
    read = read or read_corpus(
        corpus, encoder, study_seed=study_seed, split_settings=split_settings, judged_on=judged_on
    )
    corpus, tokens, split = read.corpus, read.tokens, read.split
    splits = resplit(
        corpus,
        split,
        study_seed=study_seed,
        replicates=replicates,
        settings=split_settings,
        clusters=read.clusters,
        alike=read.together,
    )
    if validation_per_class is not None:
        rows = [np.bincount(corpus.labels[s.validation], minlength=len(corpus.classes)) for s in splits]
        check_validation_per_class(np.stack(rows), corpus.classes, validation_per_class)
    pool = np.sort(np.concatenate([split.train, split.validation]))
    part_of_row = np.full((replicates, len(corpus)), _TRAIN, dtype=np.int8)
    for replicate, own in enumerate(splits):
        scored = scored_rows(
            corpus.labels[own.validation],
            max_validation_rows,
            validation_per_class,
            generator(study_seed, "validation", replicate),
        )
        part_of_row[replicate, own.validation] = _UNUSED
        part_of_row[replicate, own.validation[scored]] = _VALIDATION
    test = split.test[test_rows(corpus.labels[split.test], max_test_rows, study_seed)]
    of_pool, labels = tokens.select(pool), corpus.labels[pool]
    return ResplitCorpus(
        texts=[corpus.texts[row] for row in pool.tolist()],
        tokens=of_pool,
        labels=labels,
        parts=part_of_row[:, pool],
        test_tokens=tokens.select(test),
        test_labels=corpus.labels[test],
        test_groups=read.groups()[test],
        ranked_by=tuple(np.bincount(labels, minlength=len(corpus.classes)).tolist()),
        classes=corpus.classes,
        digest=corpus.digest,
        remarks=(
            *split_remarks(corpus, splits[0], split_settings),
            *read.truncation_remarks(splits[0]),
            f"Every replicate has training and validation texts of its own, cut anew by {split_settings.by} out of "
            f"the {len(pool):,} texts that are not test texts: intervals cover other such splits too.",
        ),
        coverage=read.coverage(pool),
        judged_on=judged_on,
    )
