"""Counts by group give the metrics themselves, and the crossed variance is what its parts say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.statistics.counts import accuracy_counts, macro_f1_counts, micro_f1_minority_counts
from study.statistics.crossed import (
    Crossed,
    crossed,
    crossed_bootstrap_t_interval,
    crossed_gain_interval,
    crossed_student_interval,
)
from study.statistics.differences import student_interval
from study.statistics.scale import Scale, difference_scale
from trainables.metrics import evaluate_decisions

CLASSES = ("a", "b", "c")


def predictions(seed=0, replicates=6, groups=60, per_group=3, right=(0.85, 0.75)):
    """Return labels, groups, and the predictions of two arms that are right so often."""
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(groups), per_group)
    labels = rng.choice(3, len(names), p=(0.7, 0.2, 0.1))
    shape = (replicates, len(names))
    arms = (np.where(rng.random(shape) < share, labels, rng.integers(0, 3, shape)) for share in right)
    return labels, names, *arms


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 5]))
def test_the_metrics_are_those_that_replicates_are_scored_by(seed, n_classes):
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(0, n_classes, 12), rng.integers(0, n_classes, (4, 12))
    groups = rng.choice(["x", "y", "z"], 12)
    majority = int(rng.integers(n_classes))
    names = [str(c) for c in range(n_classes)]
    expected = [evaluate_decisions(one, labels, names, majority) for one in predicted]
    for name, counts in {
        "macro_f1": macro_f1_counts(predicted, labels, groups, n_classes),
        "micro_f1_minority": micro_f1_minority_counts(predicted, labels, groups, n_classes, majority),
        "accuracy": accuracy_counts(predicted == labels, groups),
    }.items():
        assert counts.values() == pytest.approx([scores[name] for scores in expected]), name
        assert (counts.replicates, counts.groups) == (4, len(set(groups)))


def test_the_parts_of_accuracys_variance_are_those_of_a_two_way_table():
    """Equal groups make accuracy a plain mean of a table, whose analysis of variance is in every textbook."""
    labels, groups, ours, theirs = predictions()
    difference = (ours == labels).astype(float) - (theirs == labels)
    table = difference.reshape(6, 60, 3).mean(2)
    rows, columns, mean = table.mean(1), table.mean(0), table.mean()
    rest = table - rows[:, None] - columns + mean
    found = crossed(accuracy_counts(ours == labels, groups), accuracy_counts(theirs == labels, groups))
    assert found.mean == pytest.approx(mean)
    assert found.of_replicates == pytest.approx(rows.var(ddof=1) / 6)
    assert found.of_groups == pytest.approx(columns.var(ddof=1) / 60)
    assert found.of_both == pytest.approx((rest**2).sum() / (5 * 59) / (6 * 60))


def test_the_groups_part_of_macro_f1_is_that_of_leaving_one_out():
    labels, groups, ours, theirs = predictions(groups=150)

    def mean_without(group):
        kept = groups != group
        counts = (macro_f1_counts(p[:, kept], labels[kept], groups[kept], 3) for p in (ours, theirs))
        return float(np.subtract(*(c.values() for c in counts)).mean())

    left_out = np.array([mean_without(group) for group in range(150)])
    jackknife = 149 / 150 * ((left_out - left_out.mean()) ** 2).sum()
    arm, vanilla = (macro_f1_counts(p, labels, groups, 3) for p in (ours, theirs))
    assert crossed(arm, vanilla).of_groups == pytest.approx(jackknife, rel=0.03)


def test_replicates_that_agree_leave_the_texts_uncertainty():
    """Two arms that predict the same in every replicate: between replicates nothing varies, between texts it does."""
    labels, groups, ours, theirs = predictions(replicates=1)
    arm, vanilla = (macro_f1_counts(np.repeat(p, 10, 0), labels, groups, 3) for p in (ours, theirs))
    assert student_interval((arm.values() - vanilla.values()).tolist()).ci_low is None
    found = crossed(arm, vanilla)
    assert found.of_replicates == pytest.approx(0.0, abs=1e-12)
    assert found.fixed_variance == pytest.approx(found.of_groups) == pytest.approx(found.variance)
    for interval in (crossed_student_interval(found), crossed_bootstrap_t_interval(arm, vanilla)):
        assert interval.ci_low < found.mean < interval.ci_high


def test_the_resolution_bounds_the_replicates_part():
    labels, groups, ours, theirs = predictions(replicates=1)
    arm, vanilla = (macro_f1_counts(np.repeat(p, 10, 0), labels, groups, 3) for p in (ours, theirs))
    assert crossed(arm, vanilla, Scale(resolution=0.06)).of_replicates == pytest.approx(0.06**2 / 12 / 10)


def test_identical_arms_have_no_interval_of_no_width():
    labels, groups, ours, _ = predictions(replicates=10)
    counts = macro_f1_counts(ours, labels, groups, 3)
    found = crossed(counts, counts)
    assert (found.mean, found.variance, found.df) == (pytest.approx(0.0, abs=1e-15), 0.0, 9)
    assert crossed_gain_interval(counts, counts).ci_low is None
    wide = crossed_gain_interval(counts, counts, 0.95, Scale(-1.0, 1.0, 0.01))
    assert wide.ci_low < 0 < wide.ci_high


def test_the_crossed_intervals_change_sign_with_their_arms():
    labels, groups, ours, theirs = predictions(replicates=10)
    arm, vanilla = (macro_f1_counts(p, labels, groups, 3) for p in (ours, theirs))
    forward = crossed_bootstrap_t_interval(arm, vanilla, resamples=499)
    backward = crossed_bootstrap_t_interval(vanilla, arm, resamples=499)
    assert forward.ci_low == pytest.approx(-backward.ci_high)
    assert forward.ci_high == pytest.approx(-backward.ci_low)
    assert crossed_gain_interval(arm, vanilla) == crossed_bootstrap_t_interval(arm, vanilla)


def test_below_ten_replicates_students_interval_decides():
    labels, groups, ours, theirs = predictions(replicates=6)
    arm, vanilla = (macro_f1_counts(p, labels, groups, 3) for p in (ours, theirs))
    assert crossed_gain_interval(arm, vanilla) == crossed_student_interval(crossed(arm, vanilla))


def test_the_crossed_bootstrap_is_a_plain_loop_over_the_predictions():
    """A few resamples, each drawn from the rows themselves and scored by the metric's own function."""
    from trainables.seeds import generator

    labels, groups, ours, theirs = predictions(replicates=4, groups=12)
    arm, vanilla = (macro_f1_counts(p, labels, groups, 3) for p in (ours, theirs))
    found = crossed(arm, vanilla)
    rng, resamples = generator(0, "crossed bootstrap", 4), 19
    v, w = (rng.multinomial(n, np.full(n, 1 / n), size=resamples) for n in (4, 12))
    quotients = []
    for of_replicates, of_groups in zip(v, w, strict=True):
        chosen = np.repeat(np.arange(12), of_groups)
        rows = np.concatenate([np.flatnonzero(groups == g) for g in chosen])
        places = np.repeat(np.arange(12), 3)  # a group that is drawn twice is two groups
        drawn = [p[np.repeat(np.arange(4), of_replicates)][:, rows] for p in (ours, theirs)]
        scores = [
            [evaluate_decisions(one, labels[rows], CLASSES, 0)["macro_f1"] for one in arm] for arm in drawn
        ]
        again = crossed(*(macro_f1_counts(p, labels[rows], places, 3) for p in drawn))
        assert again.mean == pytest.approx(np.subtract(*scores).mean())
        quotients.append((again.mean - found.mean) / np.sqrt(again.variance))
    low, high = min(quotients), max(quotients)
    interval = crossed_bootstrap_t_interval(arm, vanilla, 0.9, resamples=resamples)
    assert interval.ci_low == pytest.approx(found.mean - high * np.sqrt(found.variance))
    assert interval.ci_high == pytest.approx(found.mean - low * np.sqrt(found.variance))


def test_degrees_of_freedom_lie_between_the_smaller_factor_and_all():
    assert Crossed(0.0, 1.0, 0.0, 0.0, 10, 500).df == pytest.approx(9)
    assert Crossed(0.0, 0.0, 1.0, 0.0, 10, 500).df == pytest.approx(499)
    assert 9 < Crossed(0.0, 1.0, 1.0, 0.1, 10, 500).df < 508


def test_few_replicates_far_apart_have_no_crossed_interval_either():
    found = Crossed(0.35, 0.15**2, 1e-5, 0.0, 2, 300)
    assert crossed_student_interval(found, 0.95, difference_scale("test/macro_f1")).ci_low is None


def test_what_does_not_fit_together_is_refused():
    labels, groups, ours, theirs = predictions()
    with pytest.raises(ValueError, match=r"predictions \(R, n\)"):
        macro_f1_counts(ours, labels[1:], groups, 3)
    arm, vanilla = (macro_f1_counts(p, labels, groups, 3) for p in (ours, theirs[:5]))
    with pytest.raises(ValueError, match="same replicates"):
        crossed(arm, vanilla)
    alone = macro_f1_counts(ours, labels, np.zeros_like(groups), 3)
    with pytest.raises(ValueError, match="at least 2 replicates and 2 groups, got 6 and 1"):
        crossed(alone, alone)
