"""Intervals of paired differences: what they agree with, and how they keep to what a metric can be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from study.statistics.differences import (
    bootstrap_t_interval,
    gain_interval,
    spread,
    student_interval,
    within,
)
from study.statistics.scale import Scale, difference_scale, value_scale
from trainables.interval import Interval, mean_interval

SHARES = difference_scale("test/macro_f1")
TEN = [0.031, 0.042, 0.018, 0.025, -0.007, 0.029, 0.044, 0.021, 0.033, 0.127]
values = st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 6))


@given(st.lists(values, min_size=2, max_size=20), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_students_interval_is_that_of_scipys_paired_test(sample, confidence):
    assume(np.std(sample) > 1e-6)
    interval = student_interval(sample, confidence)
    expected = stats.ttest_rel(sample, np.zeros(len(sample))).confidence_interval(confidence)
    assert (interval.ci_low, interval.ci_high) == pytest.approx((expected.low, expected.high))


@given(st.lists(values, max_size=12), st.sampled_from([0.0, 0.01, 0.2]))
def test_an_interval_holds_its_mean_and_keeps_to_the_bounds(sample, resolution):
    for interval in (
        student_interval(sample, 0.95, Scale(-1.0, 1.0, resolution)),
        bootstrap_t_interval(sample, 0.95, Scale(-1.0, 1.0, resolution), resamples=199),
    ):
        if interval.ci_low is not None:
            assert -1.0 <= interval.ci_low <= interval.mean + 1e-12
            assert interval.mean - 1e-12 <= interval.ci_high <= 1.0
            assert (interval.ci_low, interval.ci_high) != (-1.0, 1.0)


@given(st.integers(2, 20), values)
def test_equal_differences_make_no_interval_of_no_width(n, value):
    unknown = student_interval([value] * n, 0.95, SHARES), bootstrap_t_interval([value] * n, 0.95, SHARES)
    assert all((i.ci_low, i.ci_high) == (None, None) and i.mean == pytest.approx(value) for i in unknown)
    known = student_interval([value / 2] * n, 0.95, Scale(-1.0, 1.0, 0.01))
    step = float(stats.t.ppf(0.975, n - 1)) * 0.01 / math.sqrt(12 * n)
    assert (known.ci_low, known.ci_high) == pytest.approx((value / 2 - step, value / 2 + step))


def test_a_spread_above_the_resolution_is_not_changed_by_it():
    assert student_interval(TEN, 0.95, Scale(-1.0, 1.0, 0.01)) == mean_interval(TEN)
    assert spread(TEN, Scale(resolution=1.0)) == pytest.approx(1 / math.sqrt(12))


def test_two_replicates_far_apart_have_points_and_no_interval():
    interval = student_interval([0.2, 0.5], 0.95, SHARES)
    assert (interval.mean, interval.ci_low, interval.ci_high) == (0.35, None, None)
    assert student_interval([0.02, 0.03], 0.95, SHARES).ci_high < 0.1
    assert bootstrap_t_interval([0.02, 0.03, 0.01, 0.02], 0.95, SHARES).ci_low is None


def test_what_has_no_end_where_there_is_no_bound_is_no_interval():
    assert within(Interval(0.1, 0.0, math.inf, 10), Scale()).ci_high is None
    assert within(Interval(0.1, 0.0, math.inf, 10), Scale(-1.0, 1.0)).ci_high == 1.0


@pytest.mark.parametrize("sample", [[], [0.1, math.nan, 0.3, 0.1, 0.2]])
def test_undefined_values_are_never_averaged_away(sample):
    for interval in (student_interval(sample), bootstrap_t_interval(sample)):
        assert not interval.is_defined and interval.ci_low is None


def test_the_studentised_bootstrap_is_what_its_definition_says():
    """Against a plain loop over the same resamples."""
    sample, n = np.array(TEN), len(TEN)
    from study.statistics.differences import resample_weights

    quotients = []
    for weights in resample_weights(n, 999, 3):
        drawn = np.repeat(sample, weights.astype(int))
        quotients.append((drawn.mean() - sample.mean()) / (drawn.std(ddof=1) / np.sqrt(n)))
    low, high = np.sort(quotients)[[24, 974]]  # the 25th of 999 from either end
    error = sample.std(ddof=1) / np.sqrt(n)
    interval = bootstrap_t_interval(TEN, resamples=999, seed=3)
    assert interval.ci_low == pytest.approx(sample.mean() - high * error)
    assert interval.ci_high == pytest.approx(sample.mean() - low * error)


def test_the_studentised_bootstrap_leans_where_students_does_not():
    student, bootstrap = student_interval(TEN), bootstrap_t_interval(TEN)
    assert bootstrap.ci_high - bootstrap.mean > student.ci_high - student.mean
    mirrored = bootstrap_t_interval([-d for d in TEN])
    assert mirrored.ci_low == pytest.approx(-bootstrap.ci_high)


def test_the_bootstrap_decides_from_ten_replicates_on():
    assert gain_interval(TEN) == bootstrap_t_interval(TEN)
    assert gain_interval(TEN[:9]) == student_interval(TEN[:9])


def test_resamples_are_the_same_for_the_same_seed():
    assert bootstrap_t_interval(TEN, seed=1) == bootstrap_t_interval(TEN, seed=1)
    assert bootstrap_t_interval(TEN, seed=1) != bootstrap_t_interval(TEN, seed=2)


def test_resamples_of_equal_values_push_an_end_out_to_the_bound():
    one_apart = [0.1] * 9 + [0.2]  # a third of the resamples lack the tenth value, and with it any spread
    interval = bootstrap_t_interval(one_apart, 0.95, SHARES)
    assert interval.ci_high == 1.0
    assert bootstrap_t_interval(one_apart, 0.95, Scale(-1.0, 1.0, 0.1)).ci_high < 0.25


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [
        ("val/macro_f1", 0, 1), ("test_offsets/recall/a", 0, 1), ("val/mcc", -1, 1), ("val/brier", 0, 2),
        ("val/nll", 0, math.inf), ("val/my_metric", -math.inf, math.inf), ("", -math.inf, math.inf),
    ],
)  # fmt: skip
def test_a_metric_has_its_bounds(metric, low, high):
    assert (value_scale(metric).low, value_scale(metric).high) == (low, high)
    assert difference_scale(metric).high == high - low == -difference_scale(metric).low


def test_the_resolution_is_what_one_row_moves():
    rows = {"a": 60, "b": 30, "c": 10, "absent": 0}
    expected = {
        "accuracy": 1 / 100, "mcc": 2 / 100, "balanced_accuracy": 1 / 30, "macro_f1": 1 / 30,
        "micro_f1_minority": 1 / 40, "recall/b": 1 / 30, "f1/c": 1 / 10, "f1/absent": 0, "nll": 0, "ece": 0,
    }  # fmt: skip
    for name, step in expected.items():
        assert value_scale(f"test/{name}", rows).resolution == pytest.approx(step), name
    assert value_scale("test/micro_f1_minority", {"a": 60, "b": 40}).resolution == 1 / 100
    assert value_scale("test/accuracy").resolution == 0.0
