"""What the search tries next: Optuna, asked per imbalance ratio, told only gains of that ratio.

Ratios are covered evenly, because "at which imbalance" is part of the question, and each ratio's sampler
learns from that ratio alone: gains at a severe ratio are larger whatever the settings. One Optuna study in the
study's folder records all of it, so that Optuna's own tools open it.

The search is rebuilt from the ledger at every launch. The sampler of the n-th proposal is seeded by n, so a
resumed search proposes what an uninterrupted one would have proposed from the same results.
"""

from __future__ import annotations

import itertools
import math
import sqlite3
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from study.config import StudyConfig
from study.gains import gains_of, mean_of
from study.ledger import Ledger, TrialRecord
from trainables.seeds import derive_seed, generator
from trainables.settings import TrialSettings

_ATTEMPTS = 20  # proposals that repeat a known configuration before an unseen one is drawn at random


class GainSearch:
    """Propose configurations and learn from their mean gains.

    Parameters
    ----------
    config
        The study.
    storage
        File of Optuna's SQLite storage; rebuilt from the ledger. None keeps it in memory.
    """

    def __init__(self, config: StudyConfig, storage: Path | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._config = config
        self._space: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(tuple(values)) for name, values in sorted(config.space.items())
        }
        self._sampled = {name: _sampled_distribution(values) for name, values in sorted(config.space.items())}
        self._ratio_distribution = CategoricalDistribution(tuple(config.imbalance_ratios))
        if storage is not None:
            storage.unlink(missing_ok=True)
        self._record = optuna.create_study(
            study_name=config.name,
            storage=None if storage is None else _storage(storage),
            direction="maximize",
        )
        self._views = {ratio: optuna.create_study(direction="maximize") for ratio in config.imbalance_ratios}
        self._recorded: dict[str, optuna.Trial] = {}
        self._seen: dict[float | str, set[tuple[Any, ...]]] = {
            ratio: set() for ratio in config.imbalance_ratios
        }
        self._proposed = 0

    def replay(self, ledger: Ledger) -> None:
        """Take in every search trial that the ledger knows; those without an end stay open."""
        for trial in ledger.of_phase("search"):
            params = {name: trial.config[name] for name in self._space}
            self._open(trial.trial_id, trial.imbalance_ratio, params)
            if trial.state != "running":
                self.tell(trial, mean_of(gains_of(ledger, trial, self._config.objective)))

    def propose(self) -> TrialSettings | None:
        """Return the next configuration, or None when no unseen one is left."""
        ratios = self._config.imbalance_ratios
        for offset in range(len(ratios)):
            ratio = ratios[(self._proposed + offset) % len(ratios)]
            params = self._sample(ratio)
            if params is not None:
                return TrialSettings.from_config(
                    {**self._config.fixed, **params, "arm": "prefinetune", "imbalance_ratio": ratio}
                )
        return None

    def opened(self, trial_id: str, settings: TrialSettings) -> None:
        """Take note that a proposed configuration now runs as a trial."""
        config = settings.to_config()
        self._open(trial_id, settings.imbalance_ratio, {name: config[name] for name in self._space})

    def tell(self, trial: TrialRecord, gain: float | None) -> None:
        """Take in the end of a trial.

        Parameters
        ----------
        trial
            Its record, with its final state.
        gain
            Mean gain over the replicates that it finished; None or NaN where it failed.
        """
        recorded = self._recorded.pop(trial.trial_id)
        recorded.set_user_attr("state", trial.state)
        recorded.set_user_attr("replicates", len(trial.replicates))
        if trial.state == "failed" or gain is None or math.isnan(gain):
            self._record.tell(recorded, state=TrialState.FAIL)
            return
        self._record.tell(recorded, gain)
        params = self._to_sampled({name: trial.config[name] for name in self._space})
        self._views[trial.imbalance_ratio].add_trial(
            create_trial(params=params, distributions=self._sampled, value=gain)
        )

    def _to_sampled(self, params: Mapping[str, Any]) -> dict[str, Any]:
        ordered = {n for n, d in self._sampled.items() if isinstance(d, IntDistribution)}
        return {n: self._config.space[n].index(v) if n in ordered else v for n, v in params.items()}

    def _from_sampled(self, params: Mapping[str, Any]) -> dict[str, Any]:
        ordered = {n for n, d in self._sampled.items() if isinstance(d, IntDistribution)}
        return {n: self._config.space[n][v] if n in ordered else v for n, v in params.items()}

    def _open(self, trial_id: str, ratio: float | str, params: Mapping[str, Any]) -> None:
        if trial_id in self._recorded:
            return
        self._record.enqueue_trial({**params, "imbalance_ratio": ratio})
        self._recorded[trial_id] = self._record.ask(
            {**self._space, "imbalance_ratio": self._ratio_distribution}
        )
        self._recorded[trial_id].set_user_attr("trial_id", trial_id)
        self._seen[ratio].add(_key(params))
        self._proposed += 1

    def _sample(self, ratio: float | str) -> dict[str, Any] | None:
        seen = self._seen[ratio]
        if len(seen) >= math.prod(len(values) for values in self._config.space.values()):
            return None
        for attempt in range(_ATTEMPTS):
            seed = derive_seed(self._config.seed, f"sampler/{attempt}", self._proposed) % 2**32
            view = self._views[ratio]
            view.sampler = optuna.samplers.TPESampler(
                seed=seed,
                multivariate=True,
                n_startup_trials=self._config.startup_trials,
            )
            if not seen:
                view.enqueue_trial(self._to_sampled(self._config.first))
            trial = view.ask(self._sampled)
            view.tell(trial, state=TrialState.FAIL)  # a proposal is learnt from when it is told, in tell()
            params = self._from_sampled(trial.params)
            if _key(params) not in seen:
                return params
        rng = generator(self._config.seed, "sampler/unseen", self._proposed)
        names, grids = zip(*self._config.space.items(), strict=True)
        unseen = [
            dict(zip(names, values, strict=True))
            for values in itertools.product(*grids)
            if _key(dict(zip(names, values, strict=True))) not in seen
        ]
        return unseen[int(rng.integers(len(unseen)))]


def _storage(path: Path) -> optuna.storages.RDBStorage:
    """Open Optuna's SQLite file without waiting for the disk: the ledger can always rebuild it."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, check_same_thread=False)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    return optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"creator": connect})


def _key(params: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(params[name] for name in sorted(params))


def _sampled_distribution(values: Sequence[Any]) -> BaseDistribution:
    """Return what the sampler sees: the place on a grid of numbers, so that it knows their order."""
    if all(isinstance(value, (int, float)) for value in values):
        return IntDistribution(0, len(values) - 1)
    return CategoricalDistribution(tuple(values))
