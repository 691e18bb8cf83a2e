"""What values the settings of a trial may take, and what is said of one that they may not."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from typing import Any

from trainables import settings as vocabulary
from trainables.augment.registry import OPERATORS
from trainables.settings import NATURAL, TrialSettings

SEARCHABLE = tuple(f.name for f in fields(TrialSettings) if f.name != "arm")
CHOICES: dict[str, Collection[str]] = {
    "operator": OPERATORS,
    "stage1_data": vocabulary.STAGE1_DATA,
    "stage1_trainable": vocabulary.TRAINABLE,
    "stage1_schedule": vocabulary.SCHEDULES,
    "stage2_schedule": vocabulary.SCHEDULES,
    "head": vocabulary.HEADS,
}


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def unknown(name: str, value: object, choices: Sequence[str]) -> str:
    """Return what is said of a name that is none of the known ones."""
    close = difflib.get_close_matches(str(value), list(choices), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{name} is {value!r}: one of {', '.join(choices)} was expected.{hint}"


Rule = tuple[Callable[[Any], bool], str]
_COUNT: Rule = (lambda v: is_whole(v) and v >= 1, "a whole number of at least 1")
_STEPS: Rule = (lambda v: v is None or (is_whole(v) and v >= 1), "a whole number of at least 1, or none,")
_SHARE: Rule = (lambda v: is_number(v) and 0 < v <= 1, "a number in (0, 1]")
_BELOW_ONE: Rule = (lambda v: is_number(v) and 0 <= v < 1, "a number in [0, 1)")
_POSITIVE: Rule = (lambda v: is_number(v) and v > 0, "a number above 0")
_NOT_NEGATIVE: Rule = (lambda v: is_number(v) and v >= 0, "a number of at least 0")
_RULES: dict[str, Rule] = {
    "imbalance_ratio": (
        lambda v: v == NATURAL or (is_number(v) and 0 < v <= 1),
        "a number in (0, 1], or 'natural',",
    ),
    "strength": _SHARE,
    "copies": _COUNT,
    "stage1_epochs": _POSITIVE,
    "stage1_steps": _STEPS,
    "stage1_learning_rate": _POSITIVE,
    "stage2_epochs": _POSITIVE,
    "stage2_steps": _STEPS,
    "stage2_learning_rate": _POSITIVE,
    "warmup": _BELOW_ONE,
    "batch_size": _COUNT,
    "weight_decay": _BELOW_ONE,
    "max_grad_norm": _POSITIVE,
    "layer_decay": _SHARE,
    "dropout": (lambda v: v is None or (is_number(v) and 0 <= v < 1), "a number in [0, 1), or none,"),
    "tau": (is_number, "a finite number"),
    "weight_power": _NOT_NEGATIVE,
    "beta": _BELOW_ONE,
    "gamma": _NOT_NEGATIVE,
    "head_epochs": _POSITIVE,
    "head_learning_rate": _POSITIVE,
    "smote_neighbours": _COUNT,
}


def value_faults(name: str, value: Any) -> list[str]:
    """Return what is wrong with one value of a setting; an empty list where nothing is."""
    if name not in SEARCHABLE:
        return [unknown("a searched or fixed setting", name, SEARCHABLE)]
    if name in CHOICES:
        choices = tuple(CHOICES[name])
        return [] if value in choices else [unknown(name, value, choices)]
    holds, expected = _RULES[name]
    if holds(value):
        return []
    subject = f"imbalance ratio {value!r}" if name == "imbalance_ratio" else f"{name} is {value!r}"
    return [f"{subject}: {expected} was expected."]


def length_faults(where: str, names: Sequence[str]) -> list[str]:
    """Return for which stages a length is given in epochs and in steps: the steps would replace the epochs."""
    return [
        f"{where} (with fixed) names both {stage}_epochs and {stage}_steps: steps replace epochs, so keep one."
        for stage in ("stage1", "stage2")
        if f"{stage}_epochs" in names and f"{stage}_steps" in names
    ]
