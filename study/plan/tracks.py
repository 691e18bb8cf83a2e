"""Tracks: a track is one arm at one imbalance ratio, which is searched and raced on its own.

Trials of different ratios are never compared, because gains at a severe ratio are larger whatever the settings.
Nor are those of different arms: each arm should show its best at a stated budget, so no arm may push another out
of a race.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.config.arms import defining_settings
from study.config.study import SAME, StudyConfig
from trainables.method.arms import ARM_TABLE, PAPER_ARM
from trainables.settings import TrialSettings

TrackKey = tuple[str, float | str]


@dataclass(frozen=True)
class Track:
    """One arm at one imbalance ratio.

    Attributes
    ----------
    arm, imbalance_ratio
        The arm and the ratio.
    phase
        The phase under which the ledger records its trials.
    space
        Each searched setting with its grid.
    trials
        Number of configurations that are proposed for it.
    """

    arm: str
    imbalance_ratio: float | str
    phase: str
    space: Mapping[str, tuple[Any, ...]]
    trials: int

    @property
    def key(self) -> TrackKey:
        """The arm and ratio that all records of its trials share."""
        return self.arm, self.imbalance_ratio

    @property
    def configurations(self) -> int:
        """Number of configurations that can be tried: the trials, or the whole space if it holds fewer."""
        return min(self.trials, _size(self.space))


def wanted_trials(track: Track, limit: int | None) -> int:
    """Return how many trials a track gets: as many as planned, or fewer where time ran short."""
    return track.trials if limit is None else min(track.trials, limit)


def tracks_of(config: StudyConfig) -> tuple[Track, ...]:
    """Return the tracks of a study: vanilla at every ratio, then pre-finetuning, then every tuned control.

    Vanilla gets as many trials as pre-finetuning, or all of its grid if that is smaller or nothing else is searched. A
    grid of one is a recipe, and no track.
    """
    share, left = divmod(config.trials, len(config.imbalance_ratios))
    grid = _size(config.reference_space)
    tracks = []
    for arm in (*(("vanilla",) if grid > 1 else ()), "prefinetune", *config.tuned_arms()):
        for place, ratio in enumerate(config.imbalance_ratios):
            trials = share + (place < left)
            if arm == "vanilla":
                rivals = min(grid, trials) if config.trials else grid
                tracks.append(Track(arm, ratio, "reference_tuning", config.reference_space, rivals))
                continue
            if arm == "prefinetune":
                tracks.append(Track(arm, ratio, "search", config.space, trials))
                continue
            asked = config.trials_of(arm)
            wanted = trials if asked == SAME else int(asked or 0)
            tracks.append(Track(arm, ratio, "control_search", config.arm_spaces[arm], wanted))
    return tuple(tracks)


def _size(space: Mapping[str, tuple[Any, ...]]) -> int:
    return math.prod(map(len, space.values()))


def over_reference(arm: str, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return an arm's configuration with the settings of the reference vanilla."""
    return {**reference, **defining_settings(arm, reference), "arm": arm}


def trial_settings(
    config: StudyConfig, track: Track, reference: Mapping[str, Any], values: Mapping[str, Any]
) -> TrialSettings:
    """Return the whole configuration that belongs to proposed values.

    Parameters
    ----------
    config, track
        The study, and the track that the values were proposed for.
    reference
        Configuration of the ratio's reference vanilla. A control takes from it what its own space leaves out;
        vanilla and pre-finetuning take nothing.
    values
        Each searched setting with its value.
    """
    if track.arm in ("vanilla", "prefinetune"):
        base: dict[str, Any] = {**config.fixed, "arm": track.arm, "imbalance_ratio": track.imbalance_ratio}
    else:
        base = over_reference(track.arm, reference)
        for stage in ("stage1", "stage2"):
            # Steps taken from the reference would replace the searched epochs.
            if f"{stage}_epochs" in values:
                base[f"{stage}_steps"] = None
    return TrialSettings.from_config({**base, **values})


def first_values(config: StudyConfig, track: Track, reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that the first trial of a track starts from.

    For pre-finetuning these are the study's choice; for vanilla the paper's, and for a control the values that it would
    have untuned, as far as they are on its grids.
    """
    if track.arm == "prefinetune":
        return dict(config.first)
    if track.arm == "vanilla":
        published = {**ARM_TABLE[PAPER_ARM].recipe, **config.paper}
        return {
            name: published[name] if published.get(name) in grid else grid[len(grid) // 2]
            for name, grid in track.space.items()
        }
    base = vars(trial_settings(config, track, reference, {}))
    return {name: base[name] for name, grid in track.space.items() if base[name] in grid}
