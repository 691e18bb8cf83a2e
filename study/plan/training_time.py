"""How long a configuration trains: seconds of a replicate as if no stage of it had come from the cache.

Which trial trains a shared stage and which ones find it is chance. So where a replicate found a stage, or a shorter
length of it, the steps that it was spared count at the pace of the same kind of stage elsewhere in the study.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from study.record.ledger import Ledger, TrialRecord
from trainables.trial import ReplicateRecord

# What a step's time hangs on, beside the study's own values; a stage's own settings follow its name.
_PACED_BY = ("batch_size",)
_PACED_BY_OF_STAGE = ("data", "trainable")


class TrainingTimes:
    """Tell the training time of the trials of a study.

    Parameters
    ----------
    ledger
        The study's ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._paces: dict[tuple[Any, ...], float] = {}
        for trial in ledger.trials.values():
            for record in trial.replicates.values():
                self.note(trial, record)

    def note(self, trial: TrialRecord, record: ReplicateRecord) -> None:
        """Take the pace of what a replicate trained."""
        for stage, steps, seconds in _stages(record.diagnostics):
            done = steps - record.diagnostics.get(f"{stage}_resumed_at", 0.0)
            if seconds is not None and done > 0:
                self._paces[_kind(stage, trial.config)] = seconds / done

    def of(self, trial: TrialRecord, *more: ReplicateRecord) -> float:
        """Return the mean seconds that a replicate of a trial trains; NaN before its first one.

        Parameters
        ----------
        trial
            Its record.
        more
            Replicates that its record lacks.

        Returns
        -------
        A lower bound where a stage was found of whose kind no trial of this ledger trained any.
        """
        records = {record.replicate: record for record in (*trial.replicates.values(), *more)}
        taken = [self._seconds(trial.config, record.diagnostics) for record in records.values()]
        return sum(taken) / len(taken) if taken else math.nan

    def _seconds(self, config: Mapping[str, Any], diagnostics: Mapping[str, float]) -> float:
        total = diagnostics.get("linear_seconds", 0.0)
        for stage, steps, seconds in _stages(diagnostics):
            spared = steps if seconds is None else diagnostics.get(f"{stage}_resumed_at", 0.0)
            total += (seconds or 0.0) + spared * self._paces.get(_kind(stage, config), 0.0)
        return total


def too_long(seconds: float, limit: float | None) -> str | None:
    """Return why a configuration that trains so long is infeasible; None where it is not."""
    if limit is None or not seconds > limit:
        return None
    return (
        f"a replicate trains {seconds:.3g} s, more than the {limit:g} s that it may (--max-seconds-per-trial)"
    )


def searched_end(state: str, seconds: float, limit: float | None) -> tuple[str, dict[str, Any]]:
    """Return how a trial of a search ends that did not fail: its state, and what the ledger holds beside it.

    Parameters
    ----------
    state
        How it would end without a limit.
    seconds, limit
        What a replicate of it trains, and may train.
    """
    if why := too_long(seconds, limit):
        return "infeasible", {"error": why, "training_seconds": seconds}
    return state, {} if math.isnan(seconds) else {"training_seconds": seconds}


def _stages(diagnostics: Mapping[str, float]) -> Iterator[tuple[str, float, float | None]]:
    """Go through the stages of a replicate: name, steps, and the seconds of those that it trained itself."""
    for name, steps in diagnostics.items():
        if name.endswith("_steps"):
            stage = name.removesuffix("_steps")
            yield stage, steps, diagnostics.get(f"{stage}_seconds")


def _kind(stage: str, config: Mapping[str, Any]) -> tuple[Any, ...]:
    names = (*_PACED_BY, *(f"{stage}_{name}" for name in _PACED_BY_OF_STAGE))
    return stage, *(config.get(name) for name in names)
