"""The audit tells harmless operators from harmful ones, with an interval for every share."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_encoder import write_tiny_encoder
from tests.trainables.augment.toy_operator import NAME, Marking
from trainables.augment.audit.auditor import Auditor, numerals, numerals_survive
from trainables.augment.audit.similarity import mean_pooled
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings


class Rewriting:
    """An operator made of a function of the text and the seed."""

    def __init__(self, rewrite):
        self.rewrite = rewrite
        self.seen = []

    def augment_batch(self, texts, seeds):
        self.seen += texts
        return [self.rewrite(text, seed) for text, seed in zip(texts, seeds, strict=True)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = write_tiny_encoder(tmp_path_factory.mktemp("encoder"))
    return EncoderSettings(name=str(folder), max_length=64, precision="float32", device="cpu")


@pytest.fixture(scope="module")
def corpus():
    return generate_sample(500)


@pytest.fixture(scope="module")
def auditor(corpus, encoder):
    return Auditor(corpus.texts, corpus.labels, corpus.groups, encoder, rows=60, copies=3, seed=1)


def audited(auditor, rewrite):
    return auditor.audit("rewriting", 0.2, Rewriting(rewrite))[0]


def test_an_operator_that_does_nothing_is_found_out(auditor):
    found = audited(auditor, lambda text, seed: text)
    assert found.unchanged.mean == 1 and found.words_changed.mean == 0
    assert found.distinct.mean == pytest.approx(1 / 3) and found.near_duplicates.mean == 1
    assert found.similarity.mean == pytest.approx(1, abs=1e-5)
    assert found.numerals_kept.mean == 1
    assert found.label_agreement == found.source_agreement and found.agreement_change.mean == 0


def test_lost_numerals_and_lost_labels_are_found(auditor, corpus):
    digitless = audited(auditor, lambda text, seed: re.sub(r"\d", "", text))
    assert digitless.numerals_kept.mean == 0 and digitless.numerals_kept.n > 10
    other_class = next(t for t, label in zip(corpus.texts, corpus.labels, strict=True) if label == 0)
    flipped = audited(auditor, lambda text, seed: f"{other_class} {seed}")
    assert flipped.source_agreement.mean > 0.8
    assert flipped.label_agreement.mean < 0.4 and flipped.agreement_change.ci_high < 0
    assert flipped.similarity.mean < 0.99 and flipped.words_changed.mean > 0.5


def test_near_copies_are_counted_whatever_moves(auditor):
    tails = audited(
        auditor, lambda text, seed: "wholly different opening words here " + text + f" w{seed % 97}"
    )
    assert tails.distinct.mean > 0.9 and tails.near_duplicates.mean == 1


def test_an_operator_that_keeps_to_the_rules(auditor):
    operator = Marking(0.2)
    found, examples = auditor.audit(NAME, 0.2, operator)
    assert found.words_changed.mean == pytest.approx(0.2, rel=0.2)
    assert found.numerals_kept.mean == 1 and found.unchanged.mean == 0
    assert len(examples) == found.rows == 60
    assert all(example.augmentation != example.source for example in examples)
    again, _ = auditor.audit(NAME, 0.2, operator)
    assert again == found
    assert json.loads(json.dumps(found.to_json()))["words_changed"]["n"] == found.words_changed.n


def test_rows_are_spread_over_the_classes_and_kept_to_those_allowed(corpus, encoder):
    few = Auditor(corpus.texts, corpus.labels, corpus.groups, encoder, rows=25, copies=1, seed=3)
    assert np.bincount(few.labels).tolist() == [5] * 5
    among = np.concatenate([np.flatnonzero(corpus.labels == 0)[:2], np.flatnonzero(corpus.labels == 1)[:9]])
    some = Auditor(corpus.texts, corpus.labels, corpus.groups, encoder, rows=8, copies=1, seed=3, among=among)
    assert np.bincount(some.labels).tolist() == [2, 6] and set(some.audited) <= set(among)
    operator = Rewriting(lambda text, seed: text + " more")
    found, _ = some.audit("rewriting", 0.1, operator)
    assert found.rows == 8 and set(operator.seen) <= {corpus.texts[row] for row in among}
    assert not found.near_duplicates.is_defined and found.near_duplicates.n == 0


def test_a_classifier_never_saw_the_group_that_it_judges(encoder):
    """Labels that only the group tells: what was learnt from other groups cannot agree with them."""
    groups = [f"g{i // 10}" for i in range(100)]
    labels = np.array([i // 10 % 2 for i in range(100)])
    texts = [f"secret{i // 10} " + " ".join(f"w{(7 * i + j) % 30}" for j in range(5)) for i in range(100)]
    own = Auditor(texts, labels, [str(i) for i in range(100)], encoder, rows=60, copies=1, seed=0)
    kept_apart = Auditor(texts, labels, groups, encoder, rows=60, copies=1, seed=0)
    operator = Rewriting(lambda text, seed: text)
    assert own.audit("o", 0.1, operator)[0].source_agreement.mean > 0.95
    assert kept_apart.audit("o", 0.1, operator)[0].source_agreement.mean < 0.7


def test_one_group_alone_leaves_the_agreement_open(corpus, encoder):
    rows = 20
    alone = Auditor(
        corpus.texts[:rows], corpus.labels[:rows], ["g"] * rows, encoder, rows=5, copies=2, seed=0
    )
    found, _ = alone.audit("o", 0.1, Rewriting(lambda text, seed: f"{text} {seed}"))
    assert not found.label_agreement.is_defined and found.agreement_change.n == 0
    assert found.distinct.mean == 1


def test_nothing_to_audit_is_a_configuration_fault(corpus, encoder):
    with pytest.raises(ConfigurationError, match="0 rows"):
        Auditor(corpus.texts, corpus.labels, corpus.groups, encoder, rows=0, copies=1, seed=0)
    with pytest.raises(ConfigurationError, match="0 texts"):
        Auditor([], np.array([], dtype=np.int64), [], encoder, rows=1, copies=1, seed=0)


def test_equal_texts_are_encoded_alike_in_any_batch(corpus, encoder):
    texts = list(corpus.texts[:30])
    pooled = mean_pooled([*texts, texts[0]], encoder)
    assert pooled.shape == (31, 32)
    assert np.allclose(np.linalg.norm(pooled, axis=1), 1, atol=1e-5)
    assert np.array_equal(pooled[0], pooled[-1])
    assert np.allclose(pooled[:3], mean_pooled(texts[:3], encoder), atol=1e-4)


@pytest.mark.parametrize(
    ("source", "augmentation", "kept"),
    [
        ("give 5 mg at 9 daily", "present 5 mg at 9 daily", True),
        ("give 5 mg at 9 daily", "give 9 mg at 5 daily", False),
        ("give 5 mg at noon", "give 5 at noon mg", False),
        ("give 5 mg at noon", "give 5 , mg at noon", False),
        ("give 5 mg at noon", "give 5 mg noon 5", False),
        ("(CYP3A4) and **14C, of 12-", "CYP3A4 plus 14C of 12", True),
        ("12.5 mg/L", "12.5 mg/ml", False),
        ("at day 4 of weekly rise", "at day 4 weekly rise", True),
        ("no digit", "none at all", True),
    ],
)
def test_numerals_and_units(source, augmentation, kept):
    assert numerals_survive(source, augmentation) is kept


@given(st.text())
def test_every_text_keeps_its_own_numerals(text):
    assert numerals_survive(text, text)
    assert len(numerals(text)) <= len(text.split())
