from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from trainables.corpora.imbalance import class_sizes, ranked
from trainables.metrics import evaluate, expected_calibration_error, micro_f1_minority
from trainables.priors import adjust_logits, log_priors

CLASSES = ("a", "b", "c")


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 80))
def test_equals_scikit_learn(seed, n):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(3), rng.integers(0, 3, n)])
    logits = rng.normal(size=(len(labels), 3)).astype(np.float32) * 3
    scores = evaluate(logits, labels, CLASSES)
    p = np.exp(logits - logits.max(1, keepdims=True)).astype(np.float64)
    p /= p.sum(1, keepdims=True)
    predicted = p.argmax(1)
    minority = 2 - np.bincount(labels)[::-1].argmin()
    expected = {
        "macro_f1": sk.f1_score(labels, predicted, average="macro", zero_division=0),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "accuracy": sk.accuracy_score(labels, predicted),
        "mcc": sk.matthews_corrcoef(labels, predicted),
        "nll": sk.log_loss(labels, p, labels=[0, 1, 2]),
        "minority_auprc": sk.average_precision_score(labels == minority, p[:, minority]),
        "brier": ((p - np.eye(3)[labels]) ** 2).sum(1).mean(),
    }
    for average, name in (
        (sk.recall_score, "recall"),
        (sk.precision_score, "precision"),
        (sk.f1_score, "f1"),
    ):
        values = average(labels, predicted, average=None, labels=[0, 1, 2], zero_division=0)
        expected |= {f"{name}/{c}": v for c, v in zip(CLASSES, values, strict=True)}
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    assert 0 <= scores["ece"] <= 1


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 6), st.integers(1, 60))
def test_the_papers_metric_equals_scikit_learn_without_the_majority(seed, n_classes, n):
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(0, n_classes, (2, n))
    counts = rng.integers(1, 9, n_classes).tolist()
    majority = ranked(counts)[0]
    others = [c for c in range(n_classes) if c != majority]
    expected = sk.f1_score(labels, predicted, labels=others, average="micro", zero_division=0)
    assert micro_f1_minority(labels, predicted, n_classes, majority) == pytest.approx(expected)
    logits = np.eye(n_classes, dtype=np.float32)[predicted]
    scores = evaluate(logits, labels, [str(c) for c in range(n_classes)], ranked(counts))
    assert scores["micro_f1_minority"] == pytest.approx(expected)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0, 1]))
def test_with_two_classes_the_papers_metric_is_micro_f1_of_both_which_is_accuracy(seed, n, majority):
    labels, predicted = np.random.default_rng(seed).integers(0, 2, (2, n))
    found = micro_f1_minority(labels, predicted, 2, majority)
    assert found == pytest.approx(sk.f1_score(labels, predicted, average="micro"))
    assert found == pytest.approx(sk.accuracy_score(labels, predicted))


def test_what_the_majority_gets_right_does_not_count():
    labels, predicted = np.array([0, 1, 2]), np.array([0, 1, 0])
    few = micro_f1_minority(labels, predicted, 3, 0)
    many = micro_f1_minority(np.r_[labels, np.zeros(99, int)], np.r_[predicted, np.zeros(99, int)], 3, 0)
    assert few == many == pytest.approx(2 / 3)
    assert micro_f1_minority(np.array([0]), np.array([0]), 3, 0) == 0.0


def test_a_class_without_rows_enters_no_mean_and_has_no_metric():
    logits = np.eye(3, dtype=np.float32)[[0, 1, 1]] * 5
    scores = evaluate(logits, np.array([0, 0, 1]), CLASSES)
    assert scores["balanced_accuracy"] == pytest.approx((0.5 + 1) / 2)
    assert scores["macro_f1"] == pytest.approx(2 / 3)
    assert "recall/c" not in scores


def test_the_minority_is_the_corpus_not_a_balanced_evaluation_sets():
    labels = np.array([0, 0, 1, 1, 2, 2])
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = evaluate(logits, labels, CLASSES, ranked([50, 9, 20]))
    assert scores["minority_auprc"] == pytest.approx(sk.average_precision_score(labels == 1, p[:, 1]))
    without = evaluate(logits[labels != 1], labels[labels != 1], CLASSES, ranked([50, 9, 20]))
    kept = labels != 1
    assert without["minority_auprc"] == pytest.approx(
        sk.average_precision_score(labels[kept] == 2, p[kept, 2])
    )


@settings(deadline=None)
@given(st.lists(st.integers(50, 53), min_size=3, max_size=3))
def test_the_minority_is_the_class_that_a_draw_reduces_the_most(counts):
    """Ties count: a balanced corpus becomes imbalanced by the draw alone."""
    labels = np.array([0, 1, 2] * 4)
    logits = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    reduced = int(np.argmin(class_sizes(counts, 0.1, "exponential", 50)))
    scores = evaluate(logits, labels, CLASSES, ranked(counts))
    assert scores["minority_auprc"] == pytest.approx(
        sk.average_precision_score(labels == reduced, p[:, reduced])
    )


def test_a_class_never_predicted_scores_zero():
    scores = evaluate(np.array([[5.0, 0.0]] * 4, dtype=np.float32), np.array([0, 0, 0, 1]), ("a", "b"))
    assert scores["precision/b"] == scores["recall/b"] == scores["f1/b"] == scores["mcc"] == 0.0


def test_extreme_logits_keep_finite_scores():
    logits = np.array([[1e4, -1e4], [1e4, -1e4]], dtype=np.float32)
    assert all(np.isfinite(v) for v in evaluate(logits, np.array([0, 1]), ("a", "b")).values())


def test_calibration_error_by_hand():
    confidence = np.array([0.95, 0.95, 0.6, 0.6])
    correct = np.array([True, False, True, True])
    assert expected_calibration_error(confidence, correct) == pytest.approx(0.5 * 0.45 + 0.5 * 0.4)
    assert expected_calibration_error(np.ones(5), np.ones(5, bool)) == 0.0


def test_logit_adjustment_by_hand_and_without_effect_on_balanced_counts():
    logits = np.array([[1.0, 1.0]], dtype=np.float32)
    adjusted = adjust_logits(logits, [90, 10])
    assert adjusted[0, 1] - adjusted[0, 0] == pytest.approx(np.log(9), rel=1e-5)
    balanced = adjust_logits(logits, [5, 5], tau=2.0)
    assert balanced[0, 0] == balanced[0, 1]
    np.testing.assert_allclose(np.exp(log_priors([1, 3])), [0.25, 0.75])


def test_a_class_without_training_rows_has_no_prior():
    with pytest.raises(ValueError, match=r"\[3.0, 0.0\]"):
        log_priors([3, 0])
