"""Optuna's storage: the trials of the searches as Optuna's own tools show them, written from the ledger.

The study's folder holds one file. The Optuna study with the name of the study records pre-finetuning, and one named
with ``-ARM`` added records each other arm that is searched. The file is made anew at every launch, and a trial enters
it when it has ended, so that none there runs for ever: as COMPLETE or, where it was raced out, PRUNED, with what its
sampler learnt; or as FAIL, with the cause. Its intermediate values are its gains, with the replicate as step. An
infeasible one is COMPLETE with a constraint above 0, as Optuna has it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
_STATES = {
    "complete": TrialState.COMPLETE,
    "raced_out": TrialState.PRUNED,
    "infeasible": TrialState.COMPLETE,  # Optuna's tools see by its constraint that it is
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Ended:
    """What the search learnt of a trial that has ended.

    Attributes
    ----------
    trial
        The trial, with its final state.
    gains
        Its gain on each replicate.
    values
        What the samplers learn of it; None where it failed.
    constraints
        What it breaks where they are above 0; None where there are none.
    """

    trial: TrialRecord
    gains: Mapping[int, float]
    values: Sequence[float] | None
    constraints: Mapping[str, float] | None


class OptunaRecord:
    """Write trials that have ended into Optuna's storage.

    Parameters
    ----------
    storage
        File of Optuna's SQLite storage; an older one is replaced. None keeps it in memory.
    names
        The name of the Optuna study of each arm.
    directions, value_names
        Which way each of its values is better, and what it is.
    say
        Called with the sentence that the file cannot be written any more. Nothing is read from it: the study goes on.
    """

    def __init__(
        self,
        storage: Path | None,
        names: Mapping[str, str],
        directions: Sequence[str],
        value_names: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        self._storage, self._say = storage, say
        self.behind = False  # the file lacks something that the ledger holds
        if storage is not None:
            storage.unlink(missing_ok=True)
        kept_in = None if storage is None else _storage(storage)
        self._studies = {
            arm: optuna.create_study(study_name=name, storage=kept_in, directions=directions)
            for arm, name in names.items()
        }
        for study in self._studies.values():
            study.set_metric_names(list(value_names))

    def add(
        self,
        ended: Ended,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
    ) -> None:
        """Add a trial that has ended, unless an earlier one could not be written.

        Parameters
        ----------
        ended
            The trial, and what the search learnt of it.
        params, distributions
            Its searched values, and what they were chosen from.
        """
        if self.behind:
            return
        try:
            self._studies[ended.trial.arm].add_trial(_frozen(ended, params, distributions))
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
    ended: Ended, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    trial = ended.trial
    told: dict[str, Any] = {"trial_id": trial.trial_id, "arm": trial.arm, "state": trial.state}
    told |= {"replicates": len(trial.replicates), "seconds": round(trial.seconds, 3)}
    if trial.error is not None:
        told["error"] = trial.error
    frozen = create_trial(
        state=TrialState.FAIL if ended.values is None else _STATES[trial.state],
        values=ended.values,
        params=dict(params),
        distributions=dict(distributions),
        user_attrs=told,
        intermediate_values=dict(ended.gains),
        # Without their names, as every version of Optuna's dashboard reads them.
        system_attrs=None if ended.constraints is None else {"constraints": [*ended.constraints.values()]},
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
