"""Tests, effect size, probabilities and power against what is published, worked out by hand, or computed by others."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from baycomp import CorrelatedTTest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from study.statistics.equivalence import probabilities
from study.statistics.power import detectable_gain, fewest_replicates, replicates_needed
from study.statistics.scale import Scale
from study.statistics.significance import effect_size, holm, paired_permutation_test

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # Student 1908
TEN = [0.031, 0.042, 0.018, 0.025, -0.007, 0.029, 0.044, 0.021, 0.033, 0.127]


@given(st.lists(st.integers(-60, 60).map(lambda k: k / 60), min_size=2, max_size=9))
def test_the_permutation_test_looks_at_every_assignment_of_signs(sample):
    flipped = [np.dot(signs, sample) for signs in itertools.product((1, -1), repeat=len(sample))]
    as_far_out = np.mean(np.abs(flipped) >= abs(sum(sample)) - 1e-9)
    assert paired_permutation_test(sample) == pytest.approx(as_far_out)


def test_without_ties_it_is_the_signed_rank_test_of_evenly_spaced_values():
    """On -2, 1, 3, 4, 5, 6 the ranks are the values, and Wilcoxon's W = 2 has p = 2 · 3 / 64 (by hand)."""
    sample = [-2.0, 1.0, 3.0, 4.0, 5.0, 6.0]
    assert paired_permutation_test(sample) == 6 / 64 == stats.wilcoxon(sample, method="exact").pvalue


def test_many_pairs_are_sampled_and_never_give_zero():
    strong = np.random.default_rng(0).normal(3.0, 1.0, 20).tolist()
    assert 0 < paired_permutation_test(strong) <= 2e-4
    weak = np.random.default_rng(1).normal(0.4, 1.0, 20).tolist()
    assert paired_permutation_test(weak) == pytest.approx(stats.ttest_1samp(weak, 0).pvalue, abs=0.02)
    assert paired_permutation_test(weak, seed=4) == paired_permutation_test(weak, seed=4)


@pytest.mark.parametrize(("sample", "p"), [([0.5], 1.0), ([0.0] * 9, 1.0), ([0.1, -0.1], 1.0)])
def test_nothing_to_tell_apart_is_no_difference(sample, p):
    assert paired_permutation_test(sample) == p


@pytest.mark.parametrize("sample", [[], [0.1, math.nan]])
def test_an_undefined_value_has_no_p_value(sample):
    assert math.isnan(paired_permutation_test(sample))


def test_holm_is_its_own_recipe_and_an_undefined_test_shows_nothing():
    p_values = {"a": 0.012, "b": 0.011, "c": 0.3, "d": math.nan, "e": 0.0001}
    assert holm(p_values) == pytest.approx({"e": 0.0005, "b": 0.044, "a": 0.044, "c": 0.6, "d": 1.0})
    assert holm({}) == {}


def test_the_effect_size_of_few_pairs_is_corrected():
    d_z = np.mean(TEN) / np.std(TEN, ddof=1)
    assert effect_size(TEN) == pytest.approx(d_z * (1 - 3 / (4 * 9 - 1)), rel=1e-3)  # Hedges' approximation
    assert effect_size([-d for d in TEN]) == -effect_size(TEN)
    assert effect_size([0.1, 0.2]) is None and effect_size([0.1] * 5) is None
    assert effect_size([0.1] * 5, Scale(resolution=0.01)) > 10


def test_the_probabilities_are_areas_under_students_t():
    found = probabilities(SLEEP, 0.5, fixed_variance=0.2)
    posterior = stats.t(9, np.mean(SLEEP), math.sqrt(np.var(SLEEP, ddof=1) / 10 + 0.2))
    assert found.worse == pytest.approx(posterior.cdf(-0.5))
    assert found.better == pytest.approx(posterior.sf(0.5))
    assert found.better + found.equivalent + found.worse == pytest.approx(1.0)


def test_correlated_splits_are_those_of_baycomp():
    """Ten-fold cross-validation: each fold tests on a tenth of the rows."""
    sample = np.array(TEN)
    worse, same, better = CorrelatedTTest.probs(np.zeros(10), sample, rope=0.01)
    found = probabilities(TEN, 0.01, correlation=0.1)
    assert (found.worse, found.equivalent, found.better) == pytest.approx((worse, same, better))
    assert found.better < probabilities(TEN, 0.01).better


def test_probabilities_without_a_region_or_a_spread():
    found = probabilities(TEN, 0.0)
    assert found.equivalent == 0.0 and found.better + found.worse == pytest.approx(1.0)
    assert probabilities([0.02] * 5) is None and probabilities([0.02]) is None
    assert probabilities([0.02] * 5, scale=Scale(resolution=0.01)).better > 0.99
    assert probabilities([0.1, math.nan]) is None
    with pytest.raises(ValueError, match="correlation"):
        probabilities(TEN, correlation=1.0)


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_replicates_needed_are_those_of_published_tables(effect, n):
    """Cohen 1988 and G*Power: one sample, two-sided .05, power .80."""
    assert replicates_needed(0.03 * effect, 0.03, of_t_test=True) == n
    assert replicates_needed(-0.03 * effect, 0.03) == n + 2, "the verdict's rule costs two replicates"


@pytest.mark.parametrize("n", [8, 12, 40, 400])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
@pytest.mark.parametrize("fixed", [0.0, 1e-5])
def test_the_detectable_gain_is_what_those_replicates_show(n, alpha, fixed):
    gain = detectable_gain(0.03, n, alpha, 0.9, fixed)
    assert replicates_needed(gain * 1.0001, 0.03, alpha, 0.9, fixed) == n
    assert (replicates_needed(gain * 0.9999, 0.03, alpha, 0.9, fixed) or 10**6) > n


def test_what_the_permutation_test_cannot_reach_is_not_promised():
    assert paired_permutation_test([1.0] * 5) > 0.05 >= paired_permutation_test([1.0] * 6)
    assert fewest_replicates(0.05) == 6
    assert detectable_gain(0.03, 5) is None and replicates_needed(5.0, 0.03) == 6


def test_more_replicates_do_not_help_against_too_few_test_texts():
    assert replicates_needed(0.02, 0.03) == 22
    assert replicates_needed(0.02, 0.03, fixed_variance=0.01**2) is None
    assert detectable_gain(0.03, 10**4, fixed_variance=0.01**2) > 0.02
    assert replicates_needed(0.0, 0.03) is None and replicates_needed(math.nan, 0.03) is None
    assert detectable_gain(math.nan, 10) is None
