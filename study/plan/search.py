"""What the search tries next: Optuna, with one sampler per arm and imbalance ratio that sees only its own gains.

Ratios are covered evenly, because "at which imbalance" is part of the question, and each ratio's sampler
learns from that ratio alone: gains at a severe ratio are larger whatever the settings. A tuned control has its own
space and samplers.

The study's folder holds one Optuna storage, which Optuna's own tools can open: the Optuna study with the name of
the study records pre-finetuning, and one named with ``-ARM`` added records each tuned control. The storage is rebuilt
from the ledger at every launch. The sampler of a track's n-th proposal is seeded by the track and n, so a resumed
search proposes what an uninterrupted one would have proposed from the same results, and no track's proposals depend
on another's.
"""

from __future__ import annotations

import itertools
import math
import sqlite3
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from study.config.study import StudyConfig
from study.plan.importances import importances
from study.plan.tracks import Track, TrackKey, tracks_of
from study.record.gains import gains_of, mean_of
from study.record.ledger import SEARCH_PHASES, Ledger, TrialRecord
from study.record.sqlite import is_locked, locked_by, sqlite_uri
from trainables.seeds import derive_seed, generator
from trainables.settings import TrialSettings

_LOCKED_S = 10.0  # how long another program's lock is waited for
_ATTEMPTS = 20  # after this many proposals of known configurations an unseen one is drawn at random


class GainSearch:
    """Propose values and learn from the mean gains of the trials that ran them.

    Parameters
    ----------
    config
        The study.
    storage
        File of Optuna's SQLite storage, which is rebuilt from the ledger. None keeps it in memory.
    say
        Called with the sentence that the file cannot be written any more. What is proposed does not depend on it, so
        the study goes on.
    """

    def __init__(
        self,
        config: StudyConfig,
        storage: Path | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._config = config
        self._ratio_distribution = CategoricalDistribution(tuple(config.imbalance_ratios))
        self._samplers = {track.key: TrackSampler(config, track) for track in tracks_of(config)}
        self._storage, self._say = storage, say
        self._behind = False  # the file lacks something that the ledger holds
        if storage is not None:
            storage.unlink(missing_ok=True)
        kept_in = None if storage is None else _storage(storage)
        self._records = {
            arm: optuna.create_study(
                study_name=config.name if arm == "prefinetune" else f"{config.name}-{arm}",
                storage=kept_in,
                direction="maximize",
            )
            for arm in dict.fromkeys(arm for arm, _ in self._samplers)
        }
        self._recorded: dict[str, optuna.Trial] = {}
        self._known: set[str] = set()  # trials that were opened and have not been told

    def replay(self, ledger: Ledger) -> None:
        """Learn every search trial that the ledger knows; those that have not ended stay open.

        Trials are opened in the order in which they started and told in the order in which they ended, as in the
        launch that ran them, because the next proposal depends on both orders. Trials of a control that this launch
        no longer tunes are skipped.
        """
        known = [
            trial
            for trial in ledger.of_phase(*SEARCH_PHASES)
            if (trial.arm, trial.imbalance_ratio) in self._samplers
        ]
        for trial in known:
            self.opened(trial)
        ended = [(trial.finished, trial) for trial in known if trial.finished is not None]
        for _, trial in sorted(ended, key=lambda pair: pair[0]):
            self.tell(trial, mean_of(gains_of(ledger, trial, self._config.objective)))

    def propose(self, key: TrackKey, first: Mapping[str, Any]) -> dict[str, Any]:
        """Return the next values of a track that is not exhausted.

        Parameters
        ----------
        key
            The track.
        first
            Values of its first trial; that trial's other values are sampled.
        """
        return self._samplers[key].sample(first)

    def opened_trials(self, key: TrackKey) -> int:
        """Return how many trials of a track have been started."""
        return self._samplers[key].opened

    def is_exhausted(self, key: TrackKey) -> bool:
        """Return whether all of a track's space has been tried."""
        return self._samplers[key].is_exhausted

    def importances(self) -> list[dict[str, Any]]:
        """Return what mattered in pre-finetuning's search, by imbalance ratio, as plain JSON values.

        Ratios of too few scored trials are left out, see :func:`study.plan.importances.importances`.
        """
        found = {
            ratio: (sampler.scored, sampler.importances())
            for (arm, ratio), sampler in self._samplers.items()
            if arm == "prefinetune"
        }
        return [
            {"imbalance_ratio": ratio, "trials": trials, "importances": shares}
            for ratio, (trials, shares) in found.items()
            if shares is not None
        ]

    def opened(self, trial: TrialRecord) -> None:
        """Record that proposed values now run as a trial."""
        if trial.trial_id in self._known:
            return
        sampler = self._samplers[trial.arm, trial.imbalance_ratio]
        values = sampler.values_of(trial.config)
        self._known.add(trial.trial_id)
        sampler.open(values)

        def record() -> None:
            study = self._records[trial.arm]
            study.enqueue_trial({**values, "imbalance_ratio": trial.imbalance_ratio})
            asked = study.ask({**sampler.space, "imbalance_ratio": self._ratio_distribution})
            asked.set_user_attr("trial_id", trial.trial_id)
            asked.set_user_attr("arm", trial.arm)
            self._recorded[trial.trial_id] = asked

        self._write(record)

    def tell(self, trial: TrialRecord, gain: float | None) -> None:
        """Learn the end of a trial.

        Parameters
        ----------
        trial
            Its record, with its final state.
        gain
            Mean gain over the replicates that it finished; None or NaN where it failed.
        """
        self._known.remove(trial.trial_id)
        learnt = None if trial.state == "failed" or gain is None or math.isnan(gain) else gain
        if learnt is not None:
            sampler = self._samplers[trial.arm, trial.imbalance_ratio]
            sampler.learn(sampler.values_of(trial.config), learnt)

        def record() -> None:
            recorded = self._recorded.pop(trial.trial_id)
            recorded.set_user_attr("state", trial.state)
            recorded.set_user_attr("replicates", len(trial.replicates))
            state = TrialState.FAIL if learnt is None else TrialState.COMPLETE
            self._records[trial.arm].tell(recorded, learnt, state=state)

        self._write(record)

    def catch_up(self, ledger: Ledger) -> None:
        """Write Optuna's storage anew if it lacks something that the ledger holds."""
        if not self._behind or self._storage is None:
            return
        try:
            GainSearch(self._config, self._storage, self._say).replay(ledger)
        except (StorageInternalError, SQLAlchemyError, OSError) as error:
            self._say(
                f"Optuna's storage {self._storage} is incomplete ({_first_line(error)}). The next launch writes "
                "it anew."
            )

    def _write_anew(self, storage: Path, ledger: Ledger) -> None:
        try:
            GainSearch(self._config, storage).replay(ledger)
            self._behind = False
        except (StorageInternalError, SQLAlchemyError, OSError) as error:
            self._say(
                f"Optuna's storage {storage} is still incomplete ({error}). The next launch writes it anew."
            )

    def _write(self, record: Callable[[], None]) -> None:
        """Write to Optuna's storage, unless that failed before: each trial there builds on the earlier ones."""
        if self._behind:
            return
        try:
            record()
        except (StorageInternalError, SQLAlchemyError) as error:
            if self._storage is None:
                raise
            self._behind = True
            cause = error.__cause__ or error
            why = f"locked by {locked_by(self._storage)}" if is_locked(cause) else _first_line(cause)
            self._say(
                f"Optuna's storage {self._storage} cannot be written ({why}). The study goes on without it, and writes "
                "it anew from the ledger at its end."
            )


class TrackSampler:
    """Sample the values of one arm at one imbalance ratio, never the same combination twice.

    Parameters
    ----------
    config
        The study.
    track
        The arm and ratio to sample for.
    """

    def __init__(self, config: StudyConfig, track: Track) -> None:
        self._config = config
        self._purpose = f"sampler/{track.arm}/{track.imbalance_ratio}"
        self._grids = {name: tuple(track.space[name]) for name in sorted(track.space)}
        self.space: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(grid) for name, grid in self._grids.items()
        }
        self._sampled = {name: _sampled_distribution(grid) for name, grid in self._grids.items()}
        self._view = optuna.create_study(direction="maximize")
        self._seen: set[tuple[Any, ...]] = set()
        self.opened = 0

    def values_of(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the searched values of a configuration."""
        # A configuration leaves out a setting that came later, at its default.
        whole = vars(TrialSettings.from_config(settings))
        return {name: whole[name] for name in self._grids}

    def open(self, values: Mapping[str, Any]) -> None:
        """Record that these values are being tried."""
        self._seen.add(_key(values))
        self.opened += 1

    def learn(self, values: Mapping[str, Any], gain: float) -> None:
        """Learn the gain of these values."""
        params = {n: self._grids[n].index(v) if self._is_ordered(n) else v for n, v in values.items()}
        self._view.add_trial(create_trial(params=params, distributions=self._sampled, value=gain))

    @property
    def scored(self) -> int:
        """Number of trials whose gains were learnt."""
        return len(self._view.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))

    def importances(self) -> dict[str, float] | None:
        """Return how much each setting mattered; None where too little is known."""
        return importances(self._view, self._config.seed)

    @property
    def is_exhausted(self) -> bool:
        """True when every combination of the grids has been seen."""
        return len(self._seen) >= math.prod(map(len, self._grids.values()))

    def sample(self, first: Mapping[str, Any]) -> dict[str, Any]:
        """Return unseen values, of which there must be some; ``first`` applies where none have been seen yet."""
        for attempt in range(_ATTEMPTS):
            seed = derive_seed(self._config.seed, f"{self._purpose}/{attempt}", self.opened) % 2**32
            self._view.sampler = optuna.samplers.TPESampler(
                seed=seed,
                multivariate=True,
                n_startup_trials=self._config.startup_trials,
            )
            if not self._seen:
                self._view.enqueue_trial(
                    {n: self._grids[n].index(v) if self._is_ordered(n) else v for n, v in first.items()}
                )
            trial = self._view.ask(self._sampled)
            self._view.tell(trial, state=TrialState.FAIL)  # its gain is learnt later, in ``learn``
            values = {n: self._grids[n][v] if self._is_ordered(n) else v for n, v in trial.params.items()}
            if _key(values) not in self._seen:
                return values
        rng = generator(self._config.seed, f"{self._purpose}/unseen", self.opened)
        unseen = [
            values
            for combination in itertools.product(*self._grids.values())
            if _key(values := dict(zip(self._grids, combination, strict=True))) not in self._seen
        ]
        return unseen[int(rng.integers(len(unseen)))]

    def _is_ordered(self, name: str) -> bool:
        return isinstance(self._sampled[name], IntDistribution)


def _storage(path: Path) -> optuna.storages.RDBStorage:
    """Open Optuna's SQLite file without waiting for the disk: the ledger can always rebuild it."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_LOCKED_S, check_same_thread=False)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    return optuna.storages.RDBStorage(sqlite_uri(path), engine_kwargs={"creator": connect})


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _key(params: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(params[name] for name in sorted(params))


def _sampled_distribution(values: Sequence[Any]) -> BaseDistribution:
    """Return what the sampler draws: for numbers the position on their grid, so that it knows their order."""
    if all(isinstance(value, (int, float)) for value in values):
        return IntDistribution(0, len(values) - 1)
    return CategoricalDistribution(tuple(values))
