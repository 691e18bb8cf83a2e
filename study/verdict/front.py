"""The Pareto front of a search that pursues gain at little training time, and what is said of how a trial ended."""

from __future__ import annotations

import re

from study.config.aims import PARETO
from study.record.gains import lower_is_better
from study.record.ledger import TrialRecord
from study.statistics.pareto import pareto_front
from study.verdict.comparison import Comparison, without_passwords

LONGEST_CAUSE = 160
_TRACEBACK = re.compile(r"\s*\(traceback: .*\)$")


def pursues_front(comparison: Comparison) -> bool:
    """Return whether the study's search pursues gain and training time at once."""
    return bool(comparison.study["config"].get("aim") == PARETO)


def tells_training_time(comparison: Comparison) -> bool:
    """Return whether training time counts for something in the study, so that it stands beside every trial."""
    return pursues_front(comparison) or "max_seconds_per_trial" in comparison.study["config"]


def front_of(comparison: Comparison, ratio: float | str) -> set[str]:
    """Return the complete trials at a ratio that no other one beats in gain without training longer, by identity.

    Nothing where the search pursues something else.
    """
    if not pursues_front(comparison):
        return set()
    points = {
        trial.record.trial_id: (trial.gain.mean, trial.record.training_seconds)
        for trial in comparison.trials_at(ratio)
        if trial.record.state == "complete"
        and trial.gain.is_defined
        and trial.record.training_seconds is not None
    }
    return pareto_front(points, (-1 if lower_is_better(comparison.metric) else 1, -1))


def state_in_words(record: TrialRecord) -> str:
    """Return how a trial ended, and why it failed or is infeasible."""
    words, why = record.state.replace("_", " "), cause_in_words(record)
    return f"{words}: {why}" if why else words


def cause_in_words(record: TrialRecord) -> str:
    """Return why a trial failed or is infeasible, short enough for a table; empty for any other trial.

    The whole message stands among the failures at the end of the report.

    Examples
    --------
    >>> record = TrialRecord("t", "search", "prefinetune", 0.1, {}, state="failed", error="OSError: no room\\nat all")
    >>> state_in_words(record)
    'failed: OSError: no room'
    """
    if record.state not in ("failed", "infeasible") or not record.error:
        return ""
    first = next(iter(record.error.strip().splitlines()), "")
    plain = str(without_passwords(_TRACEBACK.sub("", first)))
    return plain if len(plain) <= LONGEST_CAUSE else f"{plain[: LONGEST_CAUSE - 1].rstrip()}…"


def training_time(record: TrialRecord) -> str:
    """Return the seconds that a replicate of a trial trains, as people read them."""
    return "–" if record.training_seconds is None else f"{record.training_seconds:.3g} s"
