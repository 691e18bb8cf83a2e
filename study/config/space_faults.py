"""Faults of one search space: of its lists and ranges, and settings in it that nothing reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from study.config.ranges import axes_of, axis_faults
from study.config.reading import beside, never_read
from study.config.values import length_faults, value_faults
from trainables.method.arms import ARMS, settings_of
from trainables.method.conditions import CONDITIONS
from trainables.rules import unknown
from trainables.settings import SEARCHABLE, TrialSettings, augments, duplicated_counterpart


def space_faults(where: str, space: object, arm: str, fixed: Mapping[str, Any]) -> list[str]:
    """Return every fault of a search space.

    Parameters
    ----------
    where, space
        Its name, and what it holds.
    arm
        The arm that runs its configurations.
    fixed
        The settings that the study fixes.
    """
    if not isinstance(space, Mapping):
        return [f"{where} is {space!r}: an object of settings with their lists or ranges was expected."]
    taken_over = fixed if arm in ("prefinetune", "vanilla") else ()
    faults = length_faults(where, (*space, *taken_over))
    for name, given in space.items():
        if name == "imbalance_ratio":
            faults.append(f"{where} names imbalance_ratio: give the ratios as imbalance_ratios instead.")
        elif name not in SEARCHABLE:
            faults.append(unknown(f"a setting of {where}", name, SEARCHABLE))
        elif wrong := axis_faults(where, name, given):
            faults += wrong
        elif (arm, name) == ("prefinetune_duplicated", "stage1_data") and any(map(augments, given)):
            faults += [
                f"{where} names {value!r}: this arm augments nothing, name {duplicated_counterpart(value)!r}."
                for value in filter(augments, given)
            ]
        if name in SEARCHABLE and name != "imbalance_ratio" and name not in settings_of(arm):
            faults.append(
                f"{where} names {name!r}, which {arm} does not read: search it in arm_spaces for an arm "
                f"that does ({readers(name)}), or remove it."
            )
    return faults + _without_effect(where, space, arm, fixed)


def _without_effect(where: str, space: Mapping[str, Any], arm: str, fixed: Mapping[str, Any]) -> list[str]:
    """Return a fault for every setting that another value of the study leaves without effect in all configurations."""
    sound = {name: given for name, given in space.items() if is_sound(name, given)}
    stands_beside = {n: v for n, v in beside(fixed, space).items() if not value_faults(n, v)}
    if any(c.decided_by in space and c.decided_by not in sound for c in CONDITIONS):
        return []
    idle = never_read(axes_of(sound), stands_beside)
    return [
        f"{where} names {name!r}, which changes nothing: {_always(decided_by, space, stands_beside)}. Remove it, or "
        f"search a value of {decided_by} beside which it is read."
        for names, decided_by, _ in CONDITIONS
        for name in names
        if name in sound and name in idle and {name, decided_by} <= {*settings_of(arm)}
    ]


def _always(name: str, space: Mapping[str, Any], fixed: Mapping[str, Any]) -> str:
    if name in space:
        return f"{name} is {' or '.join(map(repr, space[name]))} throughout"
    if name in fixed:
        return f"{name} is fixed at {fixed[name]!r}"
    return f"{name} is {getattr(TrialSettings(), name)!r}, its default"


def is_sound(name: str, given: object) -> bool:
    """Return whether a space gives for a setting something that can be searched."""
    return name in SEARCHABLE and not axis_faults("", name, given)


def readers(name: str) -> str:
    """Return the arms that read a setting, in words."""
    return ", ".join(arm for arm in ARMS if name in settings_of(arm)) or "there is none"
