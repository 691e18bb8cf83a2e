"""Texts that are equal once they are cut: kept in one part, taken out of a given train part, counted and told."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trainables.corpora.corpus import Corpus
from trainables.corpora.split_settings import SplitSettings
from trainables.prepared import prepare
from trainables.resplit import prepare_resplit
from trainables.settings import EncoderSettings
from trainables.truncation import TEXTS, TOKENS

LENGTH = 12  # tokens, of which two are special
PAIRS = 40
WORDS = (
    "house",
    "river",
    "stone",
    "cloud",
    "green",
    "paper",
    "light",
    "table",
    "horse",
    "bread",
    "water",
    "glass",
)


def words(seed: int, n: int) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, n))


def corpus(parts: list[str] | None = None) -> Corpus:
    """Return pairs of texts with one beginning each, longer than what is read, and ends of their own."""
    texts = [f"{words(i // 2, 12)} {words(1000 + i, 40)}" for i in range(2 * PAIRS)]
    rows = range(2 * PAIRS)
    return Corpus(
        texts=texts,
        labels=np.array([i // 2 % 2 for i in rows], dtype=np.int64),
        groups=[f"g{i}" for i in rows],
        classes=("a", "b"),
        origins=[f"{i:03d}" for i in rows],
        source="a test",
        split=parts,
    )


def ready(of: Corpus, *, judged_on: str = TOKENS, max_length: int = LENGTH, **settings):
    return prepare(
        of,
        EncoderSettings(max_length=max_length),
        study_seed=0,
        max_validation_rows=None,
        split_settings=SplitSettings(**settings),
        judged_on=judged_on,
    )


def leaks(prepared) -> tuple[int, int]:
    train = set(prepared.train_tokens.row_keys())
    return tuple(
        sum(key in train for key in tokens.row_keys())
        for tokens in (prepared.validation_tokens, prepared.test_tokens)
    )


def rows(prepared) -> list[int]:
    return [
        len(labels) for labels in (prepared.train_labels, prepared.validation_labels, prepared.test_labels)
    ]


def test_a_split_of_our_own_keeps_them_in_one_part_and_every_row():
    found = ready(corpus())
    assert leaks(found) == (0, 0) and sum(rows(found)) == 2 * PAIRS
    (remark,) = found.remarks
    assert f"Cut to {LENGTH} tokens, {2 * PAIRS} texts equal a text from elsewhere" in remark


def test_longer_texts_are_read_apart_and_nothing_is_said():
    found = ready(corpus(), max_length=48)
    assert found.remarks == () and leaks(found) == (0, 0)
    whole = ready(corpus(), max_length=48, judged_on=TEXTS)
    assert found.train_texts == whole.train_texts, "the split is the one that whole texts have"


def test_a_study_that_began_with_whole_texts_keeps_its_split_and_says_what_leaks():
    found = ready(corpus(), judged_on=TEXTS)
    validation, test = leaks(found)
    assert validation and test
    (remark,) = found.remarks
    assert (
        f"{validation} of {rows(found)[1]} validation rows and {test} of {rows(found)[2]} test rows" in remark
    )
    assert "this study began with" in remark and "--fresh" in remark
    assert found.judged_on == TEXTS and ready(corpus()).judged_on == TOKENS


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"separate_near_duplicates": False}, "separate_near_duplicates is off"), ({"by": "row"}, "by row")],
)
def test_where_near_duplicates_may_be_parted_these_may_too_and_it_is_told(settings, reason):
    found = ready(corpus(), **settings)
    assert leaks(found) != (0, 0)
    assert "equal a training row: " in found.remarks[-1] and reason in found.remarks[-1]
    assert found.train_texts == ready(corpus(), judged_on=TEXTS, **settings).train_texts


def test_of_a_given_split_train_loses_them_and_the_test_part_stays_whole():
    # Of the first six pairs one text is a test row; of the next four one is a validation row.
    parts = ["train"] * (2 * PAIRS)
    parts[0:12:2] = ["test"] * 6
    parts[12:20:2] = ["validation"] * 4
    parts[20:22] = ["validation", "test"]
    found = ready(corpus(parts))
    assert leaks(found) == (0, 0)
    assert rows(found) == [2 * PAIRS - 12 - 10, 4, 7]
    assert not set(found.validation_tokens.row_keys()) & set(found.test_tokens.row_keys())
    (remark,) = found.remarks
    assert "1 validation row equals a test row, and 4 train rows equal a validation row" in remark
    assert "and 6 train rows equal a test row: " in remark and "test part stays" in remark


def test_a_part_cut_out_of_the_given_train_part_gets_them_together():
    parts = ["train"] * (2 * PAIRS)
    parts[0:12:2] = ["test"] * 6
    found = ready(corpus(parts))
    assert leaks(found) == (0, 0) and sum(rows(found)) == 2 * PAIRS - 6
    assert rows(found)[2] == 6
    assert any("6 train rows equal a test row" in remark for remark in found.remarks)
    assert any(f"{2 * PAIRS - 12} texts equal a text from elsewhere" in remark for remark in found.remarks)


def test_every_replicate_keeps_them_together():
    of, how = EncoderSettings(max_length=LENGTH), SplitSettings(resplit=True)
    shared = {"study_seed": 0, "replicates": 3, "max_validation_rows": None, "split_settings": how}
    found = prepare_resplit(corpus(), of, **shared)
    assert [leaks(found.of_replicate(replicate)) for replicate in range(3)] == [(0, 0)] * 3
    whole = prepare_resplit(corpus(), of, **shared, judged_on=TEXTS)
    assert whole.of_replicate(0).judged_on == TEXTS
    assert any(leaks(whole.of_replicate(replicate)) != (0, 0) for replicate in range(3))


def test_texts_of_which_nothing_is_known_are_not_one():
    """Else all of them would be one group, which may leave a class without rows in a part."""
    unknown = dataclasses.replace(corpus(), texts=[chr(0x13000 + i) for i in range(2 * PAIRS)])
    assert not any("from elsewhere" in remark for remark in ready(unknown).remarks)
