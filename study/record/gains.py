"""Gains: a trial against the reference vanilla of its imbalance ratio, on the same replicates."""

from __future__ import annotations

import math
from collections.abc import Mapping

from study.record.ledger import Ledger, TrialRecord


def gains_of(ledger: Ledger, trial: TrialRecord, metric: str) -> dict[int, float]:
    """Return a trial's gain over the reference vanilla of its ratio, per common replicate."""
    reference = ledger.reference(trial.imbalance_ratio)
    if reference is None:
        return {}
    theirs = reference.values(metric)
    return {r: value - theirs[r] for r, value in trial.values(metric).items() if r in theirs}


def best_trial(ledger: Ledger, ratio: float | str, metric: str) -> TrialRecord | None:
    """Return the pre-finetuning trial with the highest mean gain at a ratio, among those with most replicates."""
    trials = [
        trial
        for trial in ledger.of_phase("search")
        if trial.imbalance_ratio == ratio and trial.state in ("complete", "raced_out") and trial.replicates
    ]
    if not trials:
        return None
    return max(trials, key=lambda trial: (len(trial.replicates), mean_of(gains_of(ledger, trial, metric))))


def mean_of(values: Mapping[int, float]) -> float:
    """Return the mean over replicates; not a number where there is none."""
    return sum(values.values()) / len(values) if values else math.nan
