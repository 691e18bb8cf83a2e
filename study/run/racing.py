"""Racing over replicates: asynchronous successive halving, among trials of one arm at one imbalance ratio only.

The fidelity is the number of replicates, never epochs: stage lengths are searched, so equal epochs would compare
unlike trials, while a trial stopped after r replicates has still estimated the same gain as a complete one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from study.config.study import StudyConfig
from study.plan.tracks import TrackKey
from study.record.gains import gains_of, lower_is_better
from study.record.ledger import SEARCH_PHASES, Ledger
from trainables.trial import TrialJob

# Asynchronous halving keeps every trial of a tie: where nothing learns, all would run to their end. So the one that
# entered first is ahead, by next to nothing.
_AHEAD = 1e-9


class RatioRacing(FIFOScheduler):  # type: ignore[misc]
    """Enter each trial of a search into the race of its arm and ratio; let every other trial run to its end.

    Parameters
    ----------
    config
        The study: ``replicates``, ``grace_replicates`` and ``reduction_factor`` shape every race.
    trains_too_long
        Whether a job, by what is known with the latest result, is infeasible: it leaves its race without that result.
    """

    def __init__(
        self,
        config: StudyConfig,
        trains_too_long: Callable[[TrialJob, Mapping[str, Any]], bool] = lambda job, result: False,
    ) -> None:
        super().__init__()
        self._config = config
        self._trains_too_long = trains_too_long
        self._races: dict[TrackKey, AsyncHyperBandScheduler] = {}
        self._entered: dict[str, int] = {}  # the trials in the order in which they entered a race

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Accept Tune's call; each race has its own metric and mode."""
        return True

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles what it is given, but the ledger is the state."""
        return {}

    def replay(self, ledger: Ledger, objective: str) -> None:
        """Put the finished search trials of earlier launches on the rungs of their races."""
        for record in ledger.of_phase(*SEARCH_PHASES):  # those that go on keep their place, too
            self._entered.setdefault(record.trial_id, len(self._entered))
        for record in ledger.of_phase(*SEARCH_PHASES):
            if record.state == "running" or record is ledger.anchor(record.imbalance_ratio):
                continue
            racer = SimpleNamespace(trial_id=record.trial_id)
            race = self._race_of((record.arm, record.imbalance_ratio))
            self._enter(race, racer)
            raced = list(gains_of(ledger, record, objective).values())
            for result in _running_means(raced[:-1] if record.state == "infeasible" else raced):
                race.on_trial_result(None, racer, self._ranked(racer, result))

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Enter a search trial into its race."""
        race = self._race(trial)
        if race is not None:
            self._enter(race, _racer(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide whether a search trial goes on after a replicate."""
        race = self._race(trial)
        if race is None or result["failure"] is not None:
            return str(TrialScheduler.CONTINUE)
        if self._trains_too_long(trial.config["job"], result):
            return str(TrialScheduler.STOP)
        racer = _racer(trial)
        return str(race.on_trial_result(tune_controller, racer, self._ranked(racer, result)))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Leave the rungs as they are: every result was raced when it arrived."""

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Leave the rungs as they are."""

    def _enter(self, race: AsyncHyperBandScheduler, racer: SimpleNamespace) -> None:
        self._entered.setdefault(racer.trial_id, len(self._entered))
        race.on_trial_add(None, racer)

    def _ranked(self, racer: SimpleNamespace, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return a result in which no two trials are equal."""
        behind = _AHEAD * self._entered[racer.trial_id]
        worse = behind if lower_is_better(self._config.objective) else -behind
        return {**result, "objective": result["objective"] + worse}

    def _race(self, trial: Any) -> AsyncHyperBandScheduler | None:
        job = trial.config["job"]
        if job.phase not in SEARCH_PHASES or not job.reference:
            return None  # the first trial of vanilla's search runs to its end, because the others are compared with it
        settings = job.settings
        return self._race_of((settings.arm, settings.imbalance_ratio))

    def _race_of(self, key: TrackKey) -> AsyncHyperBandScheduler:
        if key not in self._races:
            self._races[key] = AsyncHyperBandScheduler(
                time_attr="replicates",
                metric="objective",
                mode="min" if lower_is_better(self._config.objective) else "max",
                max_t=self._config.replicates,
                grace_period=self._config.grace_replicates,
                reduction_factor=self._config.reduction_factor,
            )
        return self._races[key]


def _racer(trial: Any) -> SimpleNamespace:
    """Return a trial under its name in the ledger, which a new Tune trial takes up if the first one's process dies."""
    return SimpleNamespace(trial_id=trial.config["job"].trial_id)


def _running_means(gains: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {"replicates": n, "objective": sum(gains[:n]) / n, "training_iteration": n}
        for n in range(1, len(gains) + 1)
    ]
