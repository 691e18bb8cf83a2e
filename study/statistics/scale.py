"""What the differences of a metric can be: their bounds, and the smallest step between two of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_SHARES = ("macro_f1", "balanced_accuracy", "accuracy", "minority_auprc", "micro_f1_minority", "ece")
_OF_ONE_CLASS = ("recall", "precision", "f1")
_RANGES = {
    **dict.fromkeys((*_SHARES, *_OF_ONE_CLASS), (0.0, 1.0)),
    "mcc": (-1.0, 1.0),
    "brier": (0.0, 2.0),
    "nll": (0.0, math.inf),
}


@dataclass(frozen=True)
class Scale:
    """Where values can lie, and how finely they are divided.

    Attributes
    ----------
    low, high
        Bounds; infinite where there are none.
    resolution
        The step by which one scored row moves a value; 0 where that is not known, or where values are not counted.
    """

    low: float = -math.inf
    high: float = math.inf
    resolution: float = 0.0

    @property
    def smallest_spread(self) -> float:
        """The standard deviation that rounding to the resolution alone hides: ``resolution / √12``.

        Equal values on such a scale are known to half a step only. What is rounded lies evenly within a step, whose
        standard deviation this is (Sheppard 1898), so that no spread is ever taken to be smaller: values that are all
        equal give an interval of some width.

        Examples
        --------
        >>> round(Scale(resolution=0.12).smallest_spread, 4)
        0.0346
        """
        return self.resolution / math.sqrt(12.0)


def value_scale(metric: str, rows: Mapping[str, int] | None = None) -> Scale:
    """Return the scale of one metric's values.

    Parameters
    ----------
    metric
        Its name, on whatever set: ``val/macro_f1``, ``test/recall/absorption``. One that is not among those of
        :func:`trainables.metrics.evaluate` has no bounds.
    rows
        Number of scored rows of every class; without them the resolution is 0.

    Notes
    -----
    One row more or less moves accuracy by 1/n, recall of a class by 1/n_c, and the mean over C classes by up to
    1/(C·n_min). For F1 and precision, whose denominator holds the predictions too, this is the order of magnitude,
    not the step itself. The calibration errors and the area under the precision-recall curve hang on probabilities:
    they have none.

    Examples
    --------
    >>> value_scale("test/macro_f1", {"a": 90, "b": 10})
    Scale(low=0.0, high=1.0, resolution=0.05)
    >>> value_scale("test/f1/b", {"a": 90, "b": 10}).resolution
    0.1
    """
    kind, _, of_class = metric.partition("/")[2].partition("/")
    low, high = _RANGES.get(kind, (-math.inf, math.inf))
    return Scale(low, high, _resolution(kind, of_class, {name: n for name, n in (rows or {}).items() if n}))


def difference_scale(metric: str, rows: Mapping[str, int] | None = None) -> Scale:
    """Return the scale of differences between two values of one metric, see :func:`value_scale`.

    Examples
    --------
    >>> difference_scale("test/mcc"), difference_scale("test/accuracy", {"a": 15, "b": 5})
    (Scale(low=-2.0, high=2.0, resolution=0.0), Scale(low=-1.0, high=1.0, resolution=0.05))
    """
    of_values = value_scale(metric, rows)
    width = of_values.high - of_values.low
    return Scale(-width, width, of_values.resolution)


def _resolution(kind: str, of_class: str, rows: Mapping[str, int]) -> float:
    if not rows:
        return 0.0
    if kind in _OF_ONE_CLASS:
        return 1.0 / rows[of_class] if of_class in rows else 0.0
    if kind in ("macro_f1", "balanced_accuracy"):
        return 1.0 / (len(rows) * min(rows.values()))
    everything = sum(rows.values())
    if kind == "micro_f1_minority":
        return 1.0 / (everything if len(rows) == 2 else everything - max(rows.values()) or everything)
    return {"accuracy": 1.0, "mcc": 2.0}.get(kind, 0.0) / everything
