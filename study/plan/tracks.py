"""Tracks: a track is one arm at one imbalance ratio, which is searched and raced on its own.

Trials of different ratios are never compared, because gains at a severe ratio are larger whatever the settings.
Nor are those of different arms: each arm should show its best at a stated budget, so no arm may push another out
of a race.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from study.config.arms import defining_settings
from study.config.ranges import Axis, axes_of, middle_of, size_of
from study.config.reading import beside, unread_by_values
from study.config.study import SAME, StudyConfig
from trainables.method.arms import ARM_TABLE, PAPER_ARM
from trainables.method.conditions import unread_settings
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
        Each searched setting with its axis.
    trials
        Number of configurations that are proposed for it.
    fixed
        Values beside the searched ones, which may leave some of these without effect.
    """

    arm: str
    imbalance_ratio: float | str
    phase: str
    space: Mapping[str, Axis]
    trials: int
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> TrackKey:
        """The arm and ratio that all records of its trials share."""
        return self.arm, self.imbalance_ratio

    @property
    def configurations(self) -> int:
        """Number of configurations that can be tried: the trials, or the whole space if it holds fewer."""
        return int(min(self.trials, self.size))

    @property
    def size(self) -> float:
        """Number of configurations that the space holds; those that differ in nothing that is read count once."""
        return sum(
            math.prod(size_of(axis) for n, axis in self.space.items() if n not in unread and n not in values)
            for values, unread in unread_by_values(self.space, self.fixed)
        )

    def unread(self, values: Mapping[str, Any]) -> frozenset[str]:
        """Return the settings that change nothing beside these values of the searched ones."""
        return unread_settings({**self.fixed, **values})


def wanted_trials(track: Track, limit: int | None) -> int:
    """Return how many trials a track gets: as many as planned, or fewer where time ran short."""
    return track.trials if limit is None else min(track.trials, limit)


def tracks_of(config: StudyConfig) -> tuple[Track, ...]:
    """Return the tracks of a study: vanilla at every ratio, then pre-finetuning, then every tuned control.

    Vanilla gets as many trials as pre-finetuning, or all of its grid if that is smaller or nothing else is searched. A
    grid of one is a recipe, and no track.
    """
    share, left = divmod(config.trials, len(config.imbalance_ratios))
    spaces = {
        "vanilla": ("reference_tuning", config.reference_space),
        "prefinetune": ("search", config.space),
    }
    spaces |= {arm: ("control_search", config.arm_spaces[arm]) for arm in config.tuned_arms()}
    tracks = []
    for arm, (phase, given) in spaces.items():
        space, fixed = axes_of(given), beside(config.fixed, given)
        for place, ratio in enumerate(config.imbalance_ratios):
            trials = share + (place < left)
            track = Track(arm, ratio, phase, space, trials, fixed)
            if phase == "reference_tuning":
                if track.size == 1:
                    continue
                track = replace(track, trials=track.configurations if config.trials else int(track.size))
            elif phase == "control_search":
                asked = config.trials_of(arm)
                track = replace(track, trials=trials if asked == SAME else int(asked or 0))
            tracks.append(track)
    return tuple(tracks)


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
    have untuned, as far as its space holds them.
    """
    if track.arm == "prefinetune":
        return dict(config.first)
    if track.arm == "vanilla":
        published = {**ARM_TABLE[PAPER_ARM].recipe, **config.paper}
        return {
            name: published[name] if published.get(name) in axis else middle_of(axis)
            for name, axis in track.space.items()
        }
    base = vars(trial_settings(config, track, reference, {}))
    return {name: base[name] for name, axis in track.space.items() if base[name] in axis}
