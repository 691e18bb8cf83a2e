"""Probabilities hold under the prior that they are for, whatever training did to the scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from trainables.errors import ConfigurationError
from trainables.export.calibration import TEMPERATURES, calibrate, class_shares

PRIOR = np.array([0.7, 0.2, 0.1])


def true_scores(n, seed=0):
    """Return (n, 3) log-probabilities of a model that is right, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logs = log_softmax(np.log(PRIOR) + 1.5 * rng.standard_normal((n, 3)), axis=1)
    labels = (rng.random((n, 1)) > softmax(logs, axis=1).cumsum(axis=1)).sum(axis=1).clip(max=2)
    return logs, labels


class FrozenScores(ClassifierMixin, BaseEstimator):
    """A classifier whose scores are its inputs, as scikit-learn wants one."""

    def fit(self, scores, labels):
        self.classes_ = np.unique(labels)
        return self

    def decision_function(self, scores):
        return scores

    def predict(self, scores):
        return self.classes_[scores.argmax(axis=1)]


def test_scores_are_brought_back_to_the_probabilities_that_they_were_made_from():
    logs, labels = true_scores(20_000)
    spoilt = 3 * (logs + np.array([0.5, -1.0, 2.0]))
    found = calibrate(spoilt, labels, np.bincount(labels) / len(labels))
    assert found.temperature == pytest.approx(3, abs=0.15)
    assert np.abs(softmax(found.apply(spoilt), axis=1) - softmax(logs, axis=1)).max() < 0.03
    assert found.loss_after < found.loss_before and found.rows == 20_000


def test_where_no_prior_was_spoilt_the_temperature_is_that_of_scikit_learn():
    logs, labels = true_scores(50_000, seed=1)  # the fewer rows, the more offsets follow chance
    scores = 2.5 * logs
    theirs = CalibratedClassifierCV(
        FrozenEstimator(FrozenScores().fit(scores, labels)), method="temperature"
    ).fit(scores, labels)
    ours = softmax(calibrate(scores, labels, np.bincount(labels)).apply(scores), axis=1)
    assert np.abs(ours - theirs.predict_proba(scores)).max() < 0.01


def test_a_deployment_prior_moves_the_probabilities_by_the_ratio_of_the_priors():
    logs, labels = true_scores(3_000, seed=2)
    shares = np.bincount(labels) / len(labels)
    natural = softmax(calibrate(logs, labels, shares).apply(logs), axis=1)
    balanced = softmax(calibrate(logs, labels, [1, 1, 1]).apply(logs), axis=1)
    expected = natural / shares
    assert balanced == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=2e-3)


def test_the_mean_probability_of_a_class_is_its_prior():
    logs, labels = true_scores(2_000, seed=3)
    shares = np.bincount(labels) / len(labels)
    found = calibrate(1.7 * logs + np.array([0, 3, -3]), labels, shares)
    mean = softmax(found.apply(1.7 * logs + np.array([0, 3, -3])), axis=1).mean(axis=0)
    assert mean == pytest.approx(shares, abs=0.01)


def test_few_rows_that_are_told_apart_without_a_fault_give_finite_numbers():
    logits = np.array([[9.0, 0, 0], [0, 9.0, 0], [9.0, 0, 0]])
    found = calibrate(logits, np.array([0, 1, 0]), [0.5, 0.3, 0.2])  # the third class has no row
    assert TEMPERATURES[0] <= found.temperature <= TEMPERATURES[1]
    assert np.isfinite(found.offsets).all() and (softmax(found.apply(logits), axis=1) > 0).all()


@pytest.mark.parametrize(
    ("logits", "labels", "prior"),
    [
        (np.empty((0, 2)), np.empty(0, int), [1, 1]),
        (np.zeros((2, 2)), np.array([0]), [1, 1]),
        (np.zeros((2, 2)), np.array([0, 1]), [1, 1, 1]),
        (np.array([[0.0, np.nan]]), np.array([0]), [1, 1]),
    ],
)
def test_scores_that_say_nothing_are_refused(logits, labels, prior):
    with pytest.raises(ValueError, match="rows of scores"):
        calibrate(logits, labels, prior)


def test_the_deployment_prior_is_checked_class_by_class():
    labels = np.array([0, 0, 0, 1])
    assert class_shares(None, ("ham", "spam"), labels) == (0.75, 0.25)
    with pytest.raises(ConfigurationError) as told:
        class_shares({"ham": 0, "egg": "1"}, ("ham", "spam"), labels)
    assert len(told.value.faults) == 3
    assert all(word in str(told.value) for word in ("lacks spam", "names egg", "of ham (0), egg ('1')"))
