"""The verdict, and looking several times before it."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from study.statistics.counts import macro_f1_counts
from study.statistics.judgement import Evidence, Rules, judge, verdict_on
from study.statistics.looks import Looks
from study.statistics.scale import Scale, difference_scale
from trainables.interval import Interval

TEN = (0.031, 0.042, 0.018, 0.025, 0.037, 0.029, 0.044, 0.021, 0.033, 0.027)
SHARES = difference_scale("test/macro_f1", {"a": 200, "b": 50})


def moved(by, times=1.0):
    return tuple(0.03 + times * (value - 0.03) + by for value in TEN)


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (0.005, 0.05, 0.01, "better"),
        (-0.05, -0.005, 0.01, "worse"),
        (0.005, 0.05, 0.06, "not shown"),  # after correction for the number of comparisons
        (-0.005, 0.05, 0.01, "not shown"),  # the test texts could have been others
        (-0.02, 0.02, 0.9, "not shown"),
        (-0.009, 0.008, 0.9, "equivalent"),
        (0.002, 0.008, 0.001, "equivalent"),  # certain, and too small to matter
        (None, None, 0.001, "not shown"),
        (0.005, 0.05, None, "not shown"),
    ],
)
def test_the_verdict_on_an_interval_and_a_corrected_test(low, high, p, verdict):
    interval = Interval(0.0, low, high, 10)
    assert verdict_on(interval, p, Rules()) == verdict
    turned = {"better": "worse", "worse": "better"}.get(verdict, verdict)
    assert verdict_on(interval, p, Rules(), lower_is_better=True) == turned


def test_all_comparisons_are_corrected_together():
    alone = judge({"a": Evidence(TEN[:6], SHARES)})["a"]
    assert (alone.verdict, alone.p_value, alone.p_adjusted) == ("better", 2 / 64, 2 / 64)
    both = judge({"a": Evidence(TEN[:6], SHARES), "b": Evidence(TEN[:6], SHARES)})
    assert both["a"].p_adjusted == 4 / 64 and both["a"].verdict == "not shown"
    assert both["a"].interval == alone.interval and both["a"].probability == alone.probability
    assert both["a"].detectable_gain is None  # six pairs cannot reach .025
    assert both["a"].replicates_needed >= 7


def test_equal_differences_are_judged_by_what_one_row_moves():
    by_rows = judge({"a": Evidence((0.0,) * 10, SHARES)})["a"]
    assert by_rows.verdict == "equivalent" and by_rows.interval.ci_low < 0 < by_rows.interval.ci_high
    assert by_rows.probability.equivalent > 0.99
    unknown = judge({"a": Evidence((0.0,) * 10)})["a"]
    assert (unknown.verdict, unknown.interval.ci_low, unknown.probability) == ("not shown", None, None)
    assert unknown.detectable_gain is None and unknown.replicates_needed is None


def test_an_error_is_better_when_it_falls():
    judged = judge({"nll": Evidence(tuple(-d for d in TEN), lower_is_better=True)})["nll"]
    assert judged.verdict == "better" and judged.probability.better > 0.99
    assert judged.interval.mean < 0 and judged.effect_size < 0


@pytest.mark.parametrize("differences", [(), (0.2,), (0.1, math.nan, 0.2)])
def test_what_cannot_be_judged_is_not_shown(differences):
    judged = judge({"a": Evidence(differences, SHARES)})["a"]
    assert judged.verdict == "not shown" and not judged.is_decided
    assert json.loads(json.dumps(judged.to_json(), allow_nan=False))["ci_low"] is None


def test_a_verdict_as_json():
    values = judge({"a": Evidence(TEN, SHARES)})["a"].to_json()
    assert list(values) == [
        "verdict", "gain", "ci_low", "ci_high", "confidence", "replicates", "p_value", "p_adjusted", "effect_size",
        "probability", "detectable_gain", "replicates_needed", "looks",
    ]  # fmt: skip
    assert list(values["probability"]) == ["better", "equivalent", "worse"]
    assert values["looks"] == {"look": 1, "of": 1} and values["verdict"] == "better"
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_what_is_needed_is_counted_for_the_gain_that_was_seen_or_for_the_regions_edge():
    seen = judge({"a": Evidence(moved(-0.015, times=4.0), SHARES)})["a"]
    assert seen.verdict == "not shown" and 10 < seen.replicates_needed < 60
    near_zero = judge({"a": Evidence(moved(-0.0299, times=4.0), SHARES)})["a"]
    assert near_zero.replicates_needed > seen.replicates_needed
    wider = judge({"a": Evidence(moved(-0.0299, times=4.0), SHARES)}, Rules(region=0.03))["a"]
    assert wider.replicates_needed < near_zero.replicates_needed


def test_test_texts_that_could_have_been_others_take_a_gain_back():
    """Twelve groups, on two of which the arm is better in every replicate."""
    labels = np.tile([0, 1], 12)
    groups = np.repeat(np.arange(12), 2)
    theirs = np.tile(np.where(groups < 2, 1 - labels, labels), (10, 1))
    ours = np.tile(labels, (10, 1))
    for replicate in range(10):  # some luck of its own
        ours[replicate, 4 + replicate] ^= 1
    counts = tuple(macro_f1_counts(p, labels, groups, 2) for p in (ours, theirs))
    differences = tuple((counts[0].values() - counts[1].values()).tolist())
    without = judge({"a": Evidence(differences, SHARES)})["a"]
    crossed = judge({"a": Evidence(differences, SHARES, counts=counts)})["a"]
    assert without.verdict == "better" and crossed.verdict == "not shown"
    assert crossed.interval.mean == pytest.approx(without.interval.mean)
    assert crossed.probability.better < without.probability.better
    assert crossed.replicates_needed is None, "more replicates would not show it, more test texts might"
    assert crossed.detectable_gain > without.detectable_gain


def test_looks_end_a_study_early_and_cost_some_of_its_level():
    looks = Looks.in_blocks(10, 5, 30)
    rules = Rules(looks=looks)
    early = judge({"a": Evidence(TEN, SHARES)}, rules)["a"]
    assert (early.verdict, early.look, early.looks) == ("better", 1, 5)
    assert early.confidence == looks.confidence(10) > 0.95
    assert early.p_adjusted > early.p_value
    plain = judge({"a": Evidence(TEN, SHARES)})["a"]
    assert early.interval.ci_low < plain.interval.ci_low
    with pytest.raises(ValueError, match="no look is planned at 9 replicates, only at 10, 15"):
        judge({"a": Evidence(TEN[:9], SHARES)}, rules)
    with pytest.raises(ValueError, match="spend alpha"):
        Rules(looks=looks, alpha=0.01)


def test_a_level_is_what_the_spending_function_leaves():
    """Two looks, half-way and at the end, against the bivariate normal distribution."""
    for spending, spent in (
        ("pocock", 0.05 * math.log(1 + (math.e - 1) / 2)),
        ("obrien_fleming", 4 * stats.norm.sf(stats.norm.ppf(1 - 0.05 / 4) / math.sqrt(0.5))),
    ):
        first, second = Looks((10, 20), spending=spending).boundaries
        assert 2 * stats.norm.sf(first) == pytest.approx(spent, rel=1e-4)
        both = stats.multivariate_normal([0, 0], [[1, math.sqrt(0.5)], [math.sqrt(0.5), 1]])
        inside = both.cdf([first, second], lower_limit=[-first, -second])
        assert 1 - inside == pytest.approx(0.05, abs=2e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-5, 0.4), st.sampled_from([10, 15, 25]), st.sampled_from(["pocock", "obrien_fleming"]))
def test_the_adjusted_p_value_calls_what_the_boundary_calls(p, replicates, spending):
    looks = Looks((10, 15, 25), spending=spending)
    adjusted = looks.adjusted(p, replicates)
    assert p <= adjusted <= 1.0 or adjusted == pytest.approx(p)
    assert (adjusted <= looks.alpha) == (p <= looks.level(replicates))


def test_one_look_is_no_correction():
    looks = Looks((12,))
    assert looks.level(12) == pytest.approx(0.05) and looks.adjusted(0.03, 12) == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicates": ()}, "ascending"), ({"replicates": (10, 10)}, "ascending"), ({"replicates": (1, 5)}, "from 2"),
        ({"alpha": 0.0}, "alpha"), ({"spending": "linear"}, "pocock, obrien_fleming"),
    ],
)  # fmt: skip
def test_looks_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Looks((10, 20)), **changes)


@pytest.mark.parametrize(("first", "block", "most"), [(10, 0, 20), (10, 5, 9)])
def test_blocks_that_cannot_be_are_refused(first, block, most):
    with pytest.raises(ValueError, match="block >= 1"):
        Looks.in_blocks(first, block, most)


def test_a_scale_that_is_not_given_bounds_nothing():
    assert judge({"a": Evidence((0.5, 9.0, 4.0))})["a"].interval.ci_high > 9
    assert judge({"a": Evidence((0.5, 9.0, 4.0), Scale(-10.0, 10.0))})["a"].interval.ci_high == 10.0
