from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler

from trainables.method.feature_smote import smote
from trainables.method.resampling import class_balanced_draws, oversample, undersample

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [30, 12, 4, 1]))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 99))
def test_laws_of_over_and_undersampling(labels, seed):
    labels = np.array(labels)
    counts = np.bincount(labels)
    more, fewer = (how(labels, np.random.default_rng(seed)) for how in (oversample, undersample))
    np.testing.assert_array_equal(more[: len(labels)], np.arange(len(labels)))
    assert set(np.bincount(labels[more])) <= {0, counts.max()}
    assert set(np.bincount(labels[fewer])) <= {0, counts[counts > 0].min()}
    assert len(set(fewer)) == len(fewer)
    assert set(labels[fewer]) == set(labels)


def test_counts_are_those_of_imbalanced_learn():
    x = np.arange(len(LABELS))[:, None]
    for ours, theirs in ((oversample, RandomOverSampler()), (undersample, RandomUnderSampler())):
        expected = np.bincount(theirs.fit_resample(x, LABELS)[1])
        np.testing.assert_array_equal(np.bincount(LABELS[ours(LABELS, np.random.default_rng(1))]), expected)


def test_classes_of_equal_size_stay_as_they_are():
    labels = np.array([0, 1, 2, 2, 0, 1])
    for how in (oversample, undersample):
        np.testing.assert_array_equal(how(labels, np.random.default_rng(1)), np.arange(6))


def test_class_balanced_draws_hit_classes_and_their_rows_alike():
    rows = class_balanced_draws(LABELS, 40_000, np.random.default_rng(2))
    np.testing.assert_allclose(np.bincount(LABELS[rows]) / 40_000, 0.25, atol=0.01)
    of_first = np.bincount(rows, minlength=len(LABELS))[LABELS == 0]
    assert 0.8 < of_first.min() / of_first.mean() < of_first.max() / of_first.mean() < 1.2


FEATURES = np.random.default_rng(5).normal(size=(47, 6)).astype(np.float32)


def test_smote_equals_imbalanced_learn_where_that_can_be_used():
    """Every class has more rows than neighbours: the same call per class."""
    from trainables.seeds import derive_seed

    two = LABELS < 2
    x, y = FEATURES[two], LABELS[two]
    sampler = SMOTE(k_neighbors=5, random_state=derive_seed(9, "smote", 1) % 2**32)
    expected, labels = sampler.fit_resample(x, y)
    found = smote(x, y, 5, 9)
    np.testing.assert_array_equal(found[0], expected.astype(np.float32))
    np.testing.assert_array_equal(found[1], labels)


def test_synthetic_rows_lie_between_two_rows_of_their_class():
    features, labels = smote(FEATURES, LABELS, 5, 3)
    np.testing.assert_array_equal(np.bincount(labels), [30, 30, 30, 30])
    np.testing.assert_array_equal(features[:47], FEATURES)
    for x, label in zip(features[47:], labels[47:], strict=True):
        own = FEATURES[label == LABELS]
        a, b = np.meshgrid(np.arange(len(own)), np.arange(len(own)))
        start, step = own[a.ravel()], own[b.ravel()] - own[a.ravel()]
        share = ((x - start) * step).sum(1) / np.maximum((step**2).sum(1), 1e-9)
        distance = np.abs(start + np.clip(share, 0, 1)[:, None] * step - x).max(1)
        assert distance.min() < 1e-4


def test_smote_repeats_a_single_row_and_uses_what_neighbours_there_are():
    features, labels = smote(FEATURES, LABELS, 5, 3)
    single = features[labels == 3]
    assert (single == FEATURES[LABELS == 3]).all()
    assert len(np.unique(features[labels == 2], axis=0)) > 20


def test_smote_repeats_by_seed_and_needs_a_neighbour():
    for seed, same in ((3, True), (4, False)):
        assert np.array_equal(smote(FEATURES, LABELS, 5, 3)[0], smote(FEATURES, LABELS, 5, seed)[0]) is same
    with pytest.raises(ValueError, match="smote_neighbours is 0"):
        smote(FEATURES, LABELS, 0, 3)
