"""Operators of a search space that cannot run on this machine: they are left out, with a notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.text import Text

from study.config.encoders import encoder_settings
from study.config.study import StudyConfig
from trainables.augment.english.language import looks_english
from trainables.augment.registry import OPERATORS, option_faults, why_unavailable
from trainables.errors import ConfigurationError

FACT = "operators_left_out"  # in study.json


def without_unavailable(
    config: StudyConfig, facts: Mapping[str, Any] | None = None
) -> tuple[StudyConfig, dict[str, str]]:
    """Leave the operators that cannot run here out of the search spaces.

    A first trial that would use such an operator uses the first one that is left. Where a control's own search space
    has none left, it takes those of the study's space. Where none is left there either, the space stays as it is,
    and :func:`unavailable_faults` reports it.

    Parameters
    ----------
    config
        The study.
    facts
        What ``study.json`` says of a study that may be resumed. The operators that it left out stay left out, so that
        its search space stays the same; those that it searches have to run here.

    Returns
    -------
    StudyConfig
        The study without them.
    dict
        Each operator left out, with the reason.

    Raises
    ------
    ConfigurationError
        The study to be resumed searches an operator that cannot run here.
    """
    reasons = _reasons(config, tuple(_searched(config)))
    if facts is not None:
        known = facts["config"]
        controls = known.get("arm_spaces", {})
        in_use = {*_operators(known.get("space", {}))}.union(
            *(_operators(controls.get(arm, {})) for arm in config.tuned_arms())
        )
        faults = [
            f"The study {config.name!r} in --storage searches the operator {name!r}, which cannot run here: {reason} "
            "Provide it, or give --fresh to set that study aside and start over without it."
            for name, reason in reasons.items()
            if name in in_use
        ]
        if faults:
            raise ConfigurationError(faults)
    # Controls come and go between launches, but their spaces have to stay as they were.
    named = {name for space in (config.space, *config.arm_spaces.values()) for name in _operators(space)}
    for name, reason in (facts or {}).get(FACT, {}).items():
        if name in named and name not in reasons:
            reasons[name] = f"this study was started without it ({reason}); with --fresh it is searched."
    if not reasons:
        return config, {}
    space = _without(config.space, reasons)
    left = tuple(name for name in _operators(space) if name not in reasons)
    first = dict(config.first)
    if first.get("operator") in reasons and left:
        first["operator"] = left[0]
    arm_spaces = {arm: _without(own, reasons, left) for arm, own in config.arm_spaces.items()}
    without = replace(config, space=space, first=first, arm_spaces=arm_spaces)
    still_searched = _searched(without)
    return without, {name: why for name, why in reasons.items() if name not in still_searched}


def unavailable_faults(config: StudyConfig) -> list[str]:
    """Return a fault for every operator that the study cannot do without and that cannot run here."""
    needed = {name: f"no operator of {where} can run here" for name, where in _searched(config).items()}
    fixed = config.fixed.get("operator")
    if isinstance(fixed, str):
        needed[fixed] = "fixed names an operator that cannot run here"
    own = config.paper.get("operator")
    if isinstance(own, str):
        needed.setdefault(own, "paper names an operator that cannot run here")
    return [f"{needed[name]}. {name}: {reason}" for name, reason in _reasons(config, tuple(needed)).items()]


def language_remarks(config: StudyConfig, texts: Sequence[str]) -> list[str]:
    """Return a remark where texts are not English and an operator that the study uses goes from English.

    Parameters
    ----------
    config
        The study, with operators that can run here.
    texts
        What is augmented.
    """
    name = "back_translation"
    used = {*_searched(config), config.fixed.get("operator"), config.paper.get("operator", name)}
    options = config.operator_options.get(name, {})
    # Two models given without a pivot may translate from any language.
    if name not in used or "forward" in options or why_unavailable(name, options) or looks_english(texts):
        return []
    pair = f'{{"{name}": {{"forward": "NAME@REVISION or folder", "backward": "NAME@REVISION or folder"}}}}'
    return [
        f"These texts do not look English, and {name} goes from English into its pivots and back: what it makes of "
        "them is mostly no change, or noise. Give it two models of the texts' language "
        f"(--set 'operator_options={pair}'), or leave it out."
    ]


def announce_left_out(left_out: Mapping[str, str], console: Console) -> None:
    """Say which operators the search leaves out."""
    for name, reason in left_out.items():
        console.print(Text(f"The search leaves out the operator {name}: {reason}"), soft_wrap=True)


def _searched(config: StudyConfig) -> dict[str, str]:
    """Return each operator that a study searches, with the first search space that names it."""
    if config.wrong_fields():
        return {}
    spaces = {"the search space": config.space}
    spaces |= {f"arm_spaces[{arm!r}]": config.arm_spaces.get(arm, {}) for arm in config.tuned_arms()}
    found: dict[str, str] = {}
    for where, space in spaces.items():
        for name in _operators(space):
            found.setdefault(name, where)
    return found


def _operators(space: object) -> tuple[str, ...]:
    """Return the operators of a search space; malformed values are reported elsewhere, as faults."""
    values = space.get("operator") if isinstance(space, Mapping) else None
    return tuple(v for v in values if isinstance(v, str)) if isinstance(values, (tuple, list)) else ()


def _without(
    space: Mapping[str, Any], reasons: Mapping[str, str], else_left: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """Return a search space without some operators, or unchanged if it would be left with none."""
    left = tuple(name for name in _operators(space) if name not in reasons) or else_left
    return {**space, "operator": left} if _operators(space) and left else space


def _reasons(config: StudyConfig, names: tuple[str, ...]) -> dict[str, str]:
    """Return why operators cannot run here; unknown ones and wrong options are reported elsewhere, as faults."""
    if config.wrong_fields() or option_faults(config.operator_options):
        return {}
    found = {
        name: why_unavailable(name, config.operator_options.get(name), encoder_settings(config))
        for name in dict.fromkeys(names)
        if name in OPERATORS
    }
    return {name: reason for name, reason in found.items() if reason is not None}
