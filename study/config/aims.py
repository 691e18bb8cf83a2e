"""What a search may pursue, and by which metric."""

from __future__ import annotations

from collections.abc import Sequence

from trainables.rules import Rule, unknown
from trainables.trial import with_offsets

GAIN, SCORE, PARETO = "gain", "score", "pareto"
AIMS = (GAIN, SCORE, PARETO)
_OF_ALL = (
    "macro_f1",
    "balanced_accuracy",
    "minority_auprc",
    "mcc",
    "accuracy",
    "micro_f1_minority",
    "ece",
    "brier",
    "nll",
)
_OF_A_CLASS = ("recall", "precision", "f1")
# What hangs on the predicted classes alone is logged with class offsets, too.
_DECIDED = ("macro_f1", "balanced_accuracy", "mcc", "accuracy", "micro_f1_minority")
_DECIDED_OF_A_CLASS = ("recall", "f1")
# On validation, of which a search may know: a test split is read once, when everything is chosen.
METRICS = (*(f"val/{name}" for name in _OF_ALL), *(with_offsets(f"val/{name}") for name in _DECIDED))
_KINDS = (
    *(f"val/{name}/" for name in _OF_A_CLASS),
    *(with_offsets(f"val/{n}/") for n in _DECIDED_OF_A_CLASS),
)
METRIC = Rule(
    f"one of {', '.join(METRICS)}, or {', '.join(f'{kind}CLASS' for kind in _KINDS)}",
    lambda value: isinstance(value, str) and (value in METRICS or class_of(value) is not None),
    (*METRICS, *(f"{kind}CLASS" for kind in _KINDS)),
)


def class_of(metric: str) -> str | None:
    """Return the class of which a validation metric is; None where it is of all of them.

    Examples
    --------
    >>> class_of("val/recall/absorption"), class_of("val/mcc")
    ('absorption', None)
    """
    kind = next((kind for kind in _KINDS if metric.startswith(kind)), None)
    return None if kind is None else metric.removeprefix(kind) or None


def metric_faults(metric: str, classes: Sequence[str]) -> list[str]:
    """Return why no run of a corpus with these classes has a metric."""
    of_class = class_of(metric)
    if of_class is None or of_class in classes:
        return []
    kind = metric.removesuffix(of_class)
    return [unknown("objective", metric, tuple(f"{kind}{name}" for name in classes))]
