"""Checks of a trial's settings, as a search space or the command line gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainables.augment.registry import OPERATORS
from trainables.rules import Rule, one_of, rules_of, unknown
from trainables.settings import SEARCHABLE, TrialSettings

RULES = rules_of(TrialSettings)


def rule_of(name: str) -> Rule:
    """Return what values a setting of trials may take."""
    return one_of(*OPERATORS) if name == "operator" else RULES[name]  # only the registry knows operators


def value_faults(name: str, value: Any) -> list[str]:
    """Return what is wrong with one value of a setting; an empty list if nothing is."""
    if name not in SEARCHABLE:
        return [unknown("a searched or fixed setting", name, SEARCHABLE)]
    rule = rule_of(name)
    if name == "imbalance_ratio":
        return [] if rule.holds(value) else [f"imbalance ratio {value!r}: {rule.expectation}"]
    fault = rule.fault(name, value)
    return [] if fault is None else [fault]


def length_faults(where: str, names: Sequence[str]) -> list[str]:
    """Return a fault for each stage whose length is given both in epochs and in steps: the steps would win."""
    return [
        f"{where} (with fixed) names both {stage}_epochs and {stage}_steps: steps replace epochs, so keep one."
        for stage in ("stage1", "stage2")
        if f"{stage}_epochs" in names and f"{stage}_steps" in names
    ]
