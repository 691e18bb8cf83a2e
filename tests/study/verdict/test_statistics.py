import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from study.verdict.statistics import paired_gain
from trainables.interval import mean_interval

values = st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 6))


@given(st.lists(values, min_size=2, max_size=20), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_interval_agrees_with_scipy(sample, confidence):
    assume(np.std(sample) > 1e-6)
    interval = mean_interval(sample, confidence)
    expected = stats.ttest_1samp(sample, 0).confidence_interval(confidence)
    assert interval.n == len(sample)
    assert interval.mean == pytest.approx(np.mean(sample))
    assert (interval.ci_low, interval.ci_high) == pytest.approx((expected.low, expected.high))


def test_interval_covers_the_true_mean_at_its_confidence():
    rng = np.random.default_rng(0)
    samples = rng.normal(0.3, 1.0, size=(2000, 4))
    covered = [interval.ci_low <= 0.3 <= interval.ci_high for interval in map(mean_interval, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_one_replicate_has_a_mean_and_no_interval():
    interval = mean_interval([0.25])
    assert (interval.mean, interval.ci_low, interval.ci_high, interval.n) == (0.25, None, None, 1)


@pytest.mark.parametrize("sample", [[], [0.1, math.nan, 0.3], [math.inf, 0.2]])
def test_undefined_values_are_never_averaged_away(sample):
    interval = mean_interval(sample)
    assert not interval.is_defined
    assert interval.ci_low is None
    assert interval.ci_high is None
    assert interval.n == len(sample)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_impossible_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([1.0, 2.0], confidence)


@given(st.dictionaries(st.integers(0, 12), values, min_size=2), values)
def test_a_constant_gain_is_found_exactly_whatever_the_replicates(reference, gain):
    interval = paired_gain({r: value + gain for r, value in reference.items()}, reference)
    assert interval.mean == pytest.approx(gain, abs=1e-9)
    assert interval.ci_low == pytest.approx(gain, abs=1e-9)
    assert interval.ci_high == pytest.approx(gain, abs=1e-9)


@given(st.dictionaries(st.integers(0, 8), values), st.dictionaries(st.integers(0, 8), values))
def test_gain_uses_common_replicates_alone_and_changes_sign_with_its_arms(arm, reference):
    common = arm.keys() & reference.keys()
    forward, backward = paired_gain(arm, reference), paired_gain(reference, arm)
    assert forward.n == backward.n == len(common)
    assert forward.is_defined == bool(common)
    if common:
        assert forward.mean == pytest.approx(-backward.mean)
        assert forward.mean == pytest.approx(np.mean([arm[r] - reference[r] for r in common]))
