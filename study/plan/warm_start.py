"""Warm start: what an earlier study's searches found, as history of this study's samplers and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.config.study import StudyConfig
from study.plan.aims import constraints_of, learnt_of
from study.plan.tracks import TrackKey, tracks_of
from study.record.folder import StudyFolder
from study.record.ledger import SEARCH_PHASES, Ledger
from trainables.errors import ConfigurationError

# Values that may differ without making the earlier gains mean anything else.
_OF_NO_MATTER = (
    *("name", "preset", "seed", "space", "reference_space", "arm_spaces", "first", "replicates"),
    *("aim", "max_seconds_per_trial"),
)


@dataclass(frozen=True)
class EarlierTrial:
    """A trial of an earlier study's search that ended with a gain.

    Attributes
    ----------
    key
        Its arm and imbalance ratio.
    config
        Its settings.
    learnt, constraints
        What this study's samplers learn of it, see :mod:`study.plan.aims`.
    """

    key: TrackKey
    config: Mapping[str, Any]
    learnt: list[float]
    constraints: Mapping[str, float] | None = None


def warm_start_faults(config: StudyConfig, own: Path) -> list[str]:
    """Return why the study named by ``warm_start`` cannot be the history of this one's samplers.

    Parameters
    ----------
    config
        The study.
    own
        Its folder.
    """
    if config.warm_start is None:
        return []
    folder = _folder(config.warm_start)
    asked = f"--warm-start {config.warm_start}"
    if folder.root == own.resolve():
        return [
            f"{asked}: this is the study itself, which goes on from its own history anyway. Leave it out."
        ]
    try:
        known = folder.read_facts()
    except ConfigurationError as fault:
        return [f"{asked}: {fault}"]
    if known is None:
        return [
            f"{asked}: {folder.facts} was expected, and is not there. Give the folder of an earlier study, such as "
            f"results/{config.name}."
        ]
    objective = known["config"].get("objective")
    if objective != config.objective:
        return [
            f"{asked}: its gains are in {objective}, this study's objective is {config.objective}. Set objective to "
            f"{objective}, or leave the warm start out."
        ]
    return []


def earlier_trials(config: StudyConfig, corpus: str, say: Callable[[str], None]) -> list[EarlierTrial]:
    """Return the trials of the study named by ``warm_start``, and say what they are.

    Parameters
    ----------
    config
        The study, in which :func:`warm_start_faults` finds nothing.
    corpus
        Digest of its corpus.
    say
        Called with the sentence.
    """
    if config.warm_start is None:
        return []
    folder = _folder(config.warm_start)
    known, ledger = folder.read_facts(), Ledger(folder.ledger)
    assert known is not None
    spaces = {track.key: track.space for track in tracks_of(config)}
    found, elsewhere = [], 0
    for trial in ledger.of_phase(*SEARCH_PHASES):
        learnt = None if trial.state == "running" else learnt_of(config, ledger, trial)
        if learnt is None:
            continue
        key = trial.arm, trial.imbalance_ratio
        if key in spaces and all(trial.config.get(name) in axis for name, axis in spaces[key].items()):
            found.append(EarlierTrial(key, trial.config, learnt, constraints_of(config, trial)))
        else:
            elsewhere += 1
    before, now = known["config"], config.identity()
    other = [name for name in sorted(before) if name not in _OF_NO_MATTER and before[name] != now.get(name)]
    if known["corpus"]["digest"] != corpus:
        other.append("its texts")
    sentence = (
        f"Warm start: the samplers know {len(found)} trials of {folder.root}, which count neither as trials nor as "
        "results of this study."
    )
    if elsewhere:
        sentence += f" {elsewhere} others are of an arm, a ratio or values that this study does not search."
    if other:
        sentence += f" That study differs in {', '.join(other)}, so its gains may lead astray."
    say(sentence)
    return found


def _folder(given: str) -> StudyFolder:
    root = Path(given).resolve()
    return StudyFolder(root.parent, root.name)
