"""Optuna's storage: the trials of the searches as Optuna's own tools show them, written from the ledger.

The study's folder holds one file. The Optuna study with the name of the study records pre-finetuning, and one named
with ``-ARM`` added records each other arm that is searched. The file is made anew at every launch, and a trial enters
it when it has ended, so that none there runs for ever: as COMPLETE or, where it was raced out, PRUNED, with its mean
gain; or as FAIL, with the cause. Its intermediate values are its gains, with the replicate as step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from study.record.ledger import TrialRecord
from study.record.sqlite import is_locked, locked_by, sqlite_uri
from trainables.errors import first_line

_LOCKED_S = 10.0  # how long another program's lock is waited for
_STATES = {"complete": TrialState.COMPLETE, "raced_out": TrialState.PRUNED, "failed": TrialState.FAIL}


class OptunaRecord:
    """Write trials that have ended into Optuna's storage.

    Parameters
    ----------
    storage
        File of Optuna's SQLite storage; an older one is replaced. None keeps it in memory.
    names
        The name of the Optuna study of each arm.
    say
        Called with the sentence that the file cannot be written any more. Nothing is read from it: the study goes on.
    """

    def __init__(self, storage: Path | None, names: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._storage, self._say = storage, say
        self.behind = False  # the file lacks something that the ledger holds
        if storage is not None:
            storage.unlink(missing_ok=True)
        kept_in = None if storage is None else _storage(storage)
        self._studies = {
            arm: optuna.create_study(study_name=name, storage=kept_in, direction="maximize")
            for arm, name in names.items()
        }

    def add(
        self,
        trial: TrialRecord,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        gains: Mapping[int, float],
        value: float | None,
    ) -> None:
        """Add a trial that has ended, unless an earlier one could not be written.

        Parameters
        ----------
        trial
            The trial, with its final state.
        params, distributions
            Its searched values, and what they were chosen from.
        gains
            Its gain on each replicate.
        value
            What the search learnt of it; None where it failed.
        """
        if self.behind:
            return
        try:
            self._studies[trial.arm].add_trial(_frozen(trial, params, distributions, gains, value))
        except (StorageInternalError, SQLAlchemyError) as error:
            if self._storage is None:
                raise
            self.behind = True
            cause = error.__cause__ or error
            why = f"locked by {locked_by(self._storage)}" if is_locked(cause) else first_line(cause)
            self._say(
                f"Optuna's storage {self._storage} cannot be written ({why}). The study goes on without it, and writes "
                "it anew from the ledger at its end."
            )


def _frozen(
    trial: TrialRecord,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    gains: Mapping[int, float],
    value: float | None,
) -> FrozenTrial:
    told: dict[str, Any] = {"trial_id": trial.trial_id, "arm": trial.arm, "state": trial.state}
    told |= {"replicates": len(trial.replicates), "seconds": round(trial.seconds, 3)}
    if trial.error is not None:
        told["error"] = trial.error
    frozen = create_trial(
        state=TrialState.FAIL if value is None else _STATES[trial.state],
        value=value,
        params=dict(params),
        distributions=dict(distributions),
        user_attrs=told,
        intermediate_values=dict(gains),
    )
    # So that the time line shows when it ran, not when the file was written.
    frozen.datetime_start = datetime.fromtimestamp(trial.started)
    frozen.datetime_complete = datetime.fromtimestamp(max(trial.started, trial.finished or 0.0))
    return frozen


def _storage(path: Path) -> optuna.storages.RDBStorage:
    """Open Optuna's SQLite file without waiting for the disk: the ledger can always rebuild it."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=_LOCKED_S, check_same_thread=False)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    return optuna.storages.RDBStorage(sqlite_uri(path), engine_kwargs={"creator": connect})
