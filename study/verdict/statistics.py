"""Means and paired differences with their uncertainty over replicates, as a comparison shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from study.record.gains import lower_is_better
from study.statistics.differences import FEW, within
from study.statistics.scale import Scale, difference_scale, value_scale
from trainables.interval import Interval, mean_interval

# The metrics, beside the objective, that stand with their intervals wherever there is room for a few.
HEADLINE_METRICS = ("macro_f1", "micro_f1_minority", "balanced_accuracy", "minority_auprc")


def paired_gain(
    arm: Mapping[int, float],
    reference: Mapping[int, float],
    metric: str = "",
    confidence: float = 0.95,
    rows: Mapping[str, int] | None = None,
) -> Interval:
    """Return the mean of arm minus reference over the replicates that both have.

    Parameters
    ----------
    arm, reference
        Values of one metric by replicate index.
    metric
        Its name. The interval of fewer than five replicates keeps to what its differences can be, see
        :func:`study.statistics.differences.within`; nothing is known of a metric without a name.
    confidence
        Coverage of the interval, in (0, 1).
    rows
        Scored rows of every class: the interval of differences that are all equal is then as wide as one row more or
        less would make it.

    Examples
    --------
    >>> paired_gain({0: 0.75, 1: 0.5, 2: 0.9}, {0: 0.5, 1: 0.25}).mean
    0.25
    >>> paired_gain({0: 0.75, 1: 0.5}, {0: 0.5, 1: 0.0}, "val/macro_f1").text(signed=True)
    '+0.375 (n=2, no interval)'
    """
    common = sorted(arm.keys() & reference.keys())
    return mean_gain((arm[r] - reference[r] for r in common), metric, confidence, rows)


def mean_gain(
    differences: Iterable[float],
    metric: str,
    confidence: float = 0.95,
    rows: Mapping[str, int] | None = None,
) -> Interval:
    """Return the mean of paired differences in one metric, see :func:`paired_gain`."""
    scale = difference_scale(metric, rows)
    return _bounded(mean_interval(differences, confidence, scale.smallest_spread), scale)


def metric_mean(values: Iterable[float], metric: str) -> Interval:
    """Return the mean of a metric over replicates; the interval of fewer than five keeps to what it can be.

    Examples
    --------
    >>> metric_mean([0.8, 0.95, 0.9], "val/macro_f1").text()
    '0.883 [0.694, 1.000]'
    """
    return _bounded(mean_interval(values), value_scale(metric))


def reading(interval: Interval, metric: str) -> str:
    """Say what an interval of differences shows.

    Returns
    -------
    str
        ``better``, ``worse``, ``no difference shown``, ``no interval`` (too few replicates) or
        ``nothing to compare``.
    """
    if not interval.is_defined:
        return "nothing to compare"
    if interval.leaves_out_zero is None:
        return "no interval"
    if not interval.leaves_out_zero:
        return "no difference shown"
    return "better" if (interval.mean > 0) != lower_is_better(metric) else "worse"


def _bounded(interval: Interval, scale: Scale) -> Interval:
    return within(interval, scale) if interval.n < FEW else interval
