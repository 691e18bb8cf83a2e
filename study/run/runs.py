"""How many replicates of each arm a study trains, before anything is known of how its trials do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from study.config.arms import CONTROLS
from study.config.study import StudyConfig
from study.plan.tracks import Track, tracks_of
from trainables.method.arms import LINEAR_ARMS, PAPER_ARM

# What racing leaves of the replicates of a search in which no trial is better than another.
# Simulated: .70 of 4 trials x 3 replicates, .46 of 33 x 10. The larger one, so that no plan promises too short a time.
_SHARE_NOT_RACED_OUT = 0.7


@dataclass(frozen=True)
class Runs:
    """Replicates of one arm at one imbalance ratio in one phase.

    Attributes
    ----------
    phase
        The phase under which the ledger records them.
    arm
        The arm; ``prefinetune`` stands for any trial of its search.
    replicates
        Their number, where trials may be raced out the expected one.
    reads_test
        Whether they are scored on the test split too.
    trials
        Number of trials that they belong to.
    """

    phase: str
    arm: str
    replicates: float
    reads_test: bool = False
    trials: int = 1


def runs_of(config: StudyConfig, ratio: float | str) -> Iterator[Runs]:
    """Go through what a study trains at an imbalance ratio, phase by phase."""
    all_of_them, tests = float(config.replicates), bool(config.test_sets)
    tracks = [track for track in tracks_of(config) if track.imbalance_ratio == ratio and track.trials]
    if not any(track.arm == "vanilla" for track in tracks):
        yield Runs("reference", "vanilla", all_of_them, tests)
    for track in tracks:
        yield Runs(track.phase, track.arm, _searched(config, track), tests, _trials(track))
    tuned = [track.arm for track in tracks if track.phase == "control_search"]
    chosen = [arm for arm in config.arms if arm in CONTROLS]
    controls = (*LINEAR_ARMS, "vanilla_matched", PAPER_ARM, *chosen)
    if not config.confirmation_replicates:
        yield from (Runs("control", arm, all_of_them, tests) for arm in controls if arm not in tuned)
        return
    for track in tracks if config.screening_replicates else ():
        candidates = min(config.finalists + 1, track.configurations) + (track.arm == "prefinetune")
        if candidates > 1:
            replicates = float(candidates * config.screening_replicates)
            yield Runs("screening", track.arm, replicates, trials=candidates)
    winner = ("prefinetune",) if config.trials else ()
    for arm in ("vanilla", *winner, *controls):
        yield Runs("confirmation", arm, float(config.confirmation_replicates), True)


def _trials(track: Track) -> int:
    return track.configurations if track.phase == "control_search" else track.trials


def _searched(config: StudyConfig, track: Track) -> float:
    """Return how many replicates a search trains; the first trial of vanilla's is not raced."""
    raced = max(1.0, config.replicates * _SHARE_NOT_RACED_OUT)
    if track.arm == "vanilla":
        return config.replicates + (track.trials - 1) * raced
    return _trials(track) * raced
