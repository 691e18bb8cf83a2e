"""Gains: a trial against the reference vanilla of its imbalance ratio, on the same replicates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from study.record.ledger import FRESH_PHASES, Ledger, TrialRecord
from trainables.method.arms import PAPER_ARM

_LOWER_IS_BETTER = ("ece", "brier", "nll")


def lower_is_better(metric: str) -> bool:
    """Return whether a metric is an error, on whatever set it was computed."""
    return metric.partition("/")[2] in _LOWER_IS_BETTER


def compared_with(ledger: Ledger, trial: TrialRecord) -> TrialRecord | None:
    """Return the vanilla that a trial is compared with, on the same replicates.

    That is the reference of its ratio; for a trial of the search that finds it, the first one of that search; on fresh
    replicates, the first vanilla of the same phase.
    """
    if trial.phase in FRESH_PHASES:
        of_ratio = (t for t in ledger.of_phase(trial.phase) if t.imbalance_ratio == trial.imbalance_ratio)
        return next((other for other in of_ratio if other.arm == "vanilla"), None)
    find = ledger.anchor if trial.phase == "reference_tuning" else ledger.reference
    return find(trial.imbalance_ratio)


def gains_of(ledger: Ledger, trial: TrialRecord, metric: str) -> dict[int, float]:
    """Return a trial's gain on each replicate that it and what it is compared with both have."""
    reference = compared_with(ledger, trial)
    if reference is None:
        return {}
    theirs = reference.values(metric)
    return {r: value - theirs[r] for r, value in trial.values(metric).items() if r in theirs}


def ranked_trials(ledger: Ledger, trials: Iterable[TrialRecord], metric: str) -> list[TrialRecord]:
    """Return the trials that have a gain, those with the most evidence first and of these the best mean gain first.

    The first is :func:`leading_trial`.
    """
    rivals = [trial for trial in trials if trial.state not in ("failed", "infeasible")]
    gains = {trial.trial_id: gains_of(ledger, trial, metric) for trial in rivals}
    sign = -1 if lower_is_better(metric) else 1

    def place(trial: TrialRecord) -> tuple[bool, int, float]:
        own = gains[trial.trial_id]
        return trial.state != "complete", -len(own), -sign * mean_of(own)

    return sorted((t for t in rivals if math.isfinite(mean_of(gains[t.trial_id]))), key=place)


def leading_trial(ledger: Ledger, trials: Iterable[TrialRecord], metric: str) -> TrialRecord | None:
    """Return the trial with the best mean gain among those with the most evidence; None if none has a gain.

    Only complete trials compete, or, while there are none, all that neither failed nor are infeasible. Of these, only
    the ones with the most paired replicates compete: otherwise every search would be led by the luckiest trial with one
    replicate.

    Parameters
    ----------
    ledger
        The ledger that holds the reference.
    trials
        Trials of one arm at one imbalance ratio.
    metric
        Metric of the gain.
    """
    return next(iter(ranked_trials(ledger, trials, metric)), None)


def leading_prefinetuning(ledger: Ledger, ratio: float | str, metric: str) -> TrialRecord | None:
    """Return the leading trial of pre-finetuning's search at a ratio; where nothing is searched, the paper's recipe."""
    searched = [trial for trial in ledger.of_phase("search") if trial.imbalance_ratio == ratio]
    if searched:
        return leading_trial(ledger, searched, metric)
    published = [
        trial
        for trial in ledger.of_phase("control")
        if (trial.arm, trial.imbalance_ratio) == (PAPER_ARM, ratio)
    ]
    # An earlier launch may have asked for another variant; choosing the better one would be a search.
    return leading_trial(ledger, published[-1:], metric)


def mean_of(values: Mapping[int, float]) -> float:
    """Return the mean over replicates; NaN if there are none."""
    return sum(values.values()) / len(values) if values else math.nan
