"""Means with their uncertainty over replicates, alone and paired."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Interval:
    """A mean over replicates with its confidence interval.

    Attributes
    ----------
    mean
        Not a number where there is no replicate, or where the value of one is undefined.
    ci_low, ci_high
        Bounds, in the unit of the mean; None where the replicates cannot give any (fewer than two).
    n
        Number of replicates.
    """

    mean: float
    ci_low: float | None
    ci_high: float | None
    n: int

    @property
    def is_defined(self) -> bool:
        """True where there is a mean to show."""
        return bool(np.isfinite(self.mean))

    @property
    def leaves_out_zero(self) -> bool | None:
        """Whether the interval shows a difference from 0; None where there is no interval."""
        if self.ci_low is None or self.ci_high is None:
            return None
        return not self.ci_low <= 0.0 <= self.ci_high


def mean_interval(values: Iterable[float], confidence: float = 0.95) -> Interval:
    """Return the mean and its two-sided Student t interval.

    An undefined value makes the mean undefined: leaving such replicates out would flatter an arm that
    breaks on some draws.

    Parameters
    ----------
    values
        One value per replicate.
    confidence
        Coverage of the interval, in (0, 1).

    Raises
    ------
    ValueError
        If ``confidence`` is not in (0, 1).

    Examples
    --------
    >>> mean_interval([0.4])
    Interval(mean=0.4, ci_low=None, ci_high=None, n=1)
    >>> interval = mean_interval([1.0, 2.0, 3.0])
    >>> interval.mean, round(interval.ci_low, 3), round(interval.ci_high, 3)
    (2.0, -0.484, 4.484)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    sample = np.fromiter(values, dtype=np.float64)
    n = len(sample)
    if n == 0 or not np.isfinite(sample).all():
        return Interval(float("nan"), None, None, n)
    mean = float(sample.mean())
    if n < 2:
        return Interval(mean, None, None, n)
    standard_error = sample.std(ddof=1) / np.sqrt(n)
    half_width = float(stdtrit(n - 1, 0.5 + confidence / 2) * standard_error)
    return Interval(mean, mean - half_width, mean + half_width, n)


def paired_gain(
    arm: Mapping[int, float], reference: Mapping[int, float], confidence: float = 0.95
) -> Interval:
    """Return the mean of arm minus reference over the replicates that both have.

    Parameters
    ----------
    arm, reference
        Replicate index to value of one metric.
    confidence
        Coverage of the interval, in (0, 1).

    Examples
    --------
    >>> paired_gain({0: 0.75, 1: 0.5, 2: 0.9}, {0: 0.5, 1: 0.25}).mean
    0.25
    """
    common = sorted(arm.keys() & reference.keys())
    return mean_interval((arm[r] - reference[r] for r in common), confidence)
