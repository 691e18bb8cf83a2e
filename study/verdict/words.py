"""Names, numbers and settings as people read them, each written in one place."""

from __future__ import annotations

from typing import Any

from trainables.corpora.wording import counted as counted
from trainables.method.arms import ARM_TABLE
from trainables.trial import OFFSETS, is_with_offsets


def arm_name(arm: str) -> str:
    """Return the name of an arm as people read it."""
    return ARM_TABLE[arm].title if arm in ARM_TABLE else arm.replace("_", " ")


def ratio_name(ratio: float | str) -> str:
    """Return an imbalance ratio with its 1:n form, e.g. ``0.1 (1:10)``."""
    if isinstance(ratio, str):
        return ratio
    return f"{ratio:g}" + (f" (1:{1 / ratio:.3g})" if 0 < ratio < 1 else "")


def ratio_phrase(ratio: float | str) -> str:
    """Return an imbalance ratio with its noun, e.g. ``imbalance ratio 0.1 (1:10)``."""
    return f"{ratio} imbalance ratio" if isinstance(ratio, str) else f"imbalance ratio {ratio_name(ratio)}"


def at_ratio(ratio: float | str) -> str:
    """Return where something was found, e.g. ``at imbalance ratio 0.1 (1:10)``."""
    return f"at {'the ' if isinstance(ratio, str) else ''}{ratio_phrase(ratio)}"


def metric_name(metric: str) -> str:
    """Return a metric's name as people read it, e.g. ``macro F1``."""
    known = {
        "f1": "F1",
        "macro_f1": "macro F1",
        "minority_auprc": "minority AUPRC",
        "micro_f1_minority": "non-majority micro F1",
        "mcc": "MCC",
        "ece": "ECE",
        "nll": "NLL",
        "brier": "Brier score",
    }
    name = metric.partition("/")[2] or metric
    end = " with class offsets" if is_with_offsets(metric) else ""
    kind, separator, class_name = name.partition("/")
    return (
        f"{known.get(kind, kind)} of {class_name}" if separator else known.get(name, name.replace("_", " "))
    ) + end


def part_name(metric: str) -> str:
    """Return which texts a metric was computed on, with class offsets or without: ``validation``, ``test``, …"""
    scored_on = metric.partition("/")[0].removesuffix(OFFSETS)
    names = {
        "val": "validation",
        "test": "test",
        "test_skewed": "skewed test",
        "test_balanced": "balanced test",
    }
    return names[scored_on]


def evaluated_on(metric: str) -> str:
    """Return which texts a metric was computed on, as a sentence begins with it.

    Examples
    --------
    >>> [evaluated_on(metric) for metric in ("val/macro_f1", "test_skewed/accuracy", "val_offsets/macro_f1")]
    ['On validation', 'On the skewed test set', 'On validation']
    """
    part = part_name(metric)
    return {
        "validation": "On validation",
        "test": "On the test split",
        "skewed test": "On the skewed test set",
        "balanced test": "On the balanced test set",
    }[part]


def setting_text(value: Any) -> str:
    """Write the value of a setting as a person would."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {setting_text(item)}" for key, item in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(setting_text(item) for item in value) or "–"
    return str(value)


def duration(seconds: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> [duration(seconds) for seconds in (0.42, 42.0, 210.0, 2700.0, 7600.0)]
    ['0.4 s', '42 s', '3.5 min', '45 min', '2.1 h']
    """
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"
