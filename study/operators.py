"""Operators that a search space names and that cannot run on this machine are left out, and said to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from study.config import StudyConfig
from study.folder import StudyFolder
from study.preflight import encoder_settings
from trainables.augment import OPERATORS, option_faults, why_unavailable
from trainables.errors import ConfigurationError

FACT = "operators_left_out"  # in study.json


def without_unavailable(
    config: StudyConfig, existing: StudyFolder | None = None
) -> tuple[StudyConfig, dict[str, str]]:
    """Leave out of the search spaces what cannot run here.

    A first trial that would use such an operator uses the first one that is left. Where none is left, the
    space stays as it is, and :func:`unavailable_faults` says so.

    Parameters
    ----------
    config
        The study.
    existing
        Folder of the study that may be resumed. What it left out stays left out, so that its search space stays
        as it was; what it searches has to run here.

    Returns
    -------
    StudyConfig
        The study without them.
    dict
        Operator to the reason.

    Raises
    ------
    ConfigurationError
        A study that is resumed searches an operator that cannot run here.
    """
    searched = _searched(config)
    reasons = _reasons(config, searched)
    facts = {}
    if existing is not None and existing.facts.exists():
        facts = json.loads(existing.facts.read_text(encoding="utf-8"))
        in_use = facts["config"].get("space", {}).get("operator", ())
        faults = [
            f"{existing.root} searches the operator {name!r}, which cannot run here: {reason} Provide it, or give "
            "--fresh to set that study aside and start over without it."
            for name, reason in reasons.items()
            if name in in_use
        ]
        if faults:
            raise ConfigurationError(faults)
    for name, reason in facts.get(FACT, {}).items():
        if name in searched and name not in reasons:
            reasons[name] = f"this study was started without it ({reason}); with --fresh it is searched."
    left = tuple(name for name in searched if name not in reasons)
    if not reasons or not left:
        return config, {}
    first = dict(config.first)
    if first.get("operator") in reasons:
        first["operator"] = left[0]
    arm_spaces = {
        arm: {**space, "operator": tuple(name for name in space["operator"] if name not in reasons) or left}
        if "operator" in space
        else space
        for arm, space in config.arm_spaces.items()
    }
    space = {**config.space, "operator": left}
    return replace(config, space=space, first=first, arm_spaces=arm_spaces), reasons


def unavailable_faults(config: StudyConfig) -> list[str]:
    """Return a fault for every operator that the study cannot do without and that cannot run here."""
    needed = dict.fromkeys(_searched(config), "no operator of the search space can run here")
    fixed = config.fixed.get("operator")
    if isinstance(fixed, str):
        needed[fixed] = "fixed names an operator that cannot run here"
    return [f"{needed[name]}. {name}: {reason}" for name, reason in _reasons(config, tuple(needed)).items()]


def announce_left_out(left_out: Mapping[str, str], console: Console) -> None:
    """Say which operators the search does without."""
    for name, reason in left_out.items():
        console.print(Text(f"The search leaves out the operator {name}: {reason}"), soft_wrap=True)


def _searched(config: StudyConfig) -> tuple[str, ...]:
    values = config.space.get("operator", ())
    return tuple(v for v in values if isinstance(v, str)) if isinstance(values, (tuple, list)) else ()


def _reasons(config: StudyConfig, names: tuple[str, ...]) -> dict[str, str]:
    """Return why operators cannot run here; unknown ones and wrong options are faults of the configuration."""
    if config.type_faults() or option_faults(config.operator_options):
        return {}
    found = {
        name: why_unavailable(name, config.operator_options.get(name), encoder_settings(config))
        for name in dict.fromkeys(names)
        if name in OPERATORS
    }
    return {name: reason for name, reason in found.items() if reason is not None}
