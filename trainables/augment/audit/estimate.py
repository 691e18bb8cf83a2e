"""Means and shares over audited rows, each with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean over rows with its 95 % interval.

    Attributes
    ----------
    mean
        None where there is no row.
    low, high
        Bounds; None where the rows cannot give any.
    n
        Rows.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int


def mean_of(values: Sequence[float]) -> Estimate:
    """Return the mean of one value a row, with its Student t interval.

    Examples
    --------
    >>> mean_of([1.0, 2.0, 3.0]).mean, mean_of([0.5]).low
    (2.0, None)
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0)
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, None, 1)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return Estimate(mean, mean - half, mean + half, n)


def share_of(shares: Sequence[float]) -> Estimate:
    """Return the mean of one share in [0, 1] a row, with Wilson's score interval (J. Am. Stat. Assoc. 22, 1927).

    Rows count, however many copies a row's share is taken over: copies of one text are alike, so counting each
    would promise too much.

    Examples
    --------
    >>> all_kept = share_of([1.0] * 200)
    >>> all_kept.mean, round(all_kept.low, 3), all_kept.high
    (1.0, 0.981, 1.0)
    """
    n = len(shares)
    if n == 0:
        return Estimate(None, None, None, 0)
    p = float(np.mean(shares))
    z = float(stats.norm.ppf(0.975))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Estimate(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)), n)
