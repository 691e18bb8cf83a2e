"""Trials of a search that made the very same stage-1 set: what tells them apart changed nothing.

A strength of .05 and one of .1 change as many words of a short text. Trials are told apart by the set that they made
(:data:`trainables.trial.SET_DIGEST`): where two differ in nothing else, they are one configuration.
"""

from __future__ import annotations

from typing import Any

from study.record.ledger import TrialRecord
from trainables.method.texts import AUGMENTED
from trainables.settings import digest_of
from trainables.trial import SET_DIGEST

_Index = tuple[str, int, float]


class SameSets:
    """The trials so far, by what they trained on."""

    def __init__(self) -> None:
        self._known: dict[_Index, list[TrialRecord]] = {}

    def add(self, trial: TrialRecord) -> TrialRecord | None:
        """Add a trial that has ended, and return the first one before it that was the same training.

        They are compared on the replicates that both have. A trial that made no set, that failed, or of a version that
        recorded no digest is like no other.
        """
        sets = {
            n: r.diagnostics[SET_DIGEST] for n, r in trial.replicates.items() if SET_DIGEST in r.diagnostics
        }
        if trial.state == "failed" or not sets or len(sets) < len(trial.replicates):
            return None
        first = min(sets)
        of_others = {name: value for name, value in trial.read.items() if name not in AUGMENTED.reads}
        rivals = self._known.setdefault((digest_of(of_others), first, sets[first]), [])
        rivals.append(trial)
        return next((rival for rival in rivals[:-1] if _agree(rival, sets)), None)


def _agree(trial: TrialRecord, sets: dict[int, float]) -> bool:
    both = trial.replicates.keys() & sets.keys()
    return all(trial.replicates[n].diagnostics[SET_DIGEST] == sets[n] for n in both)


def same_set_sentence(trial: TrialRecord, earlier: TrialRecord) -> str:
    """Say which values changed nothing between two trials."""
    differing = [name for name in AUGMENTED.reads if trial.read.get(name) != earlier.read.get(name)]
    values = ", ".join(f"{name} {_shown(trial, name)} or {_shown(earlier, name)}" for name in differing)
    return (
        f"{values} made the very same stage-1 sets at imbalance ratio {trial.imbalance_ratio}: {trial.trial_id} and "
        f"{earlier.trial_id} count as one trial, and another one takes its place."
    )


def _shown(trial: TrialRecord, name: str) -> Any:
    return trial.read.get(name, "(not read)")
