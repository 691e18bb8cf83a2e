"""Means with their uncertainty: over replicates, or over audited rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Attributes
    ----------
    mean
        NaN where there is no value, or where one is undefined.
    ci_low, ci_high
        Bounds, in the unit of the mean; None where the values cannot give any (fewer than two).
    n
        Number of values.
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

    def text(self, *, signed: bool = False, digits: int = 3, percent: bool = False) -> str:
        """Write the mean with its uncertainty, which is never left out.

        Examples
        --------
        >>> Interval(0.0421, 0.0101, 0.0741, 5).text(signed=True)
        '+0.042 [+0.010, +0.074]'
        >>> Interval(-0.5, None, None, 1).text(signed=True)
        '−0.500 (n=1, no interval)'
        >>> Interval(0.5, 0.4, 0.612, 90).text(digits=1, percent=True)
        '50.0 % [40.0, 61.2]'
        """
        if not self.is_defined:
            return "undefined" if self.n else "–"
        form, factor = f"{'+' if signed else ''}z.{digits}f", 100.0 if percent else 1.0
        mean = f"{factor * self.mean:{form}}{' %' if percent else ''}"
        if self.ci_low is None or self.ci_high is None:
            text = f"{mean} (n={self.n}, no interval)"
        else:
            text = f"{mean} [{factor * self.ci_low:{form}}, {factor * self.ci_high:{form}}]"
        return text.replace("-", "−")

    def to_json(self) -> dict[str, Any]:
        """Return mean, bounds and n as plain JSON values; an undefined mean is null."""
        mean = self.mean if self.is_defined else None
        return {"mean": mean, "low": self.ci_low, "high": self.ci_high, "n": self.n}

    @classmethod
    def from_json(cls, values: Any) -> Interval:
        """Return what :meth:`to_json` wrote."""
        mean = float("nan") if values["mean"] is None else values["mean"]
        return cls(mean, values["low"], values["high"], values["n"])


def mean_interval(
    values: Iterable[float], confidence: float = 0.95, smallest_spread: float = 0.0
) -> Interval:
    """Return the mean and its two-sided Student t interval.

    An undefined value makes the mean undefined: leaving such replicates out would flatter an arm that
    breaks on some draws.

    Parameters
    ----------
    values
        One value per replicate, or per row.
    confidence
        Coverage of the interval, in (0, 1).
    smallest_spread
        The standard deviation is taken to be no smaller.

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
    standard_error = max(float(sample.std(ddof=1)), smallest_spread) / np.sqrt(n)
    half_width = float(stdtrit(n - 1, 0.5 + confidence / 2) * standard_error)
    return Interval(mean, mean - half_width, mean + half_width, n)


def share_interval(shares: Iterable[float]) -> Interval:
    """Return the mean of shares in [0, 1], one per row, with Wilson's 95 % score interval.

    n is the number of rows, however many copies a row's share is taken over: copies of one text are alike, so counting
    each would make the interval too narrow.

    References
    ----------
    Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat. Assoc. 22, 1927.

    Examples
    --------
    >>> all_kept = share_interval([1.0] * 200)
    >>> all_kept.mean, round(all_kept.ci_low, 3), all_kept.ci_high
    (1.0, 0.981, 1.0)
    """
    sample = np.fromiter(shares, dtype=np.float64)
    n = len(sample)
    if n == 0:
        return Interval(float("nan"), None, None, 0)
    p, z = float(sample.mean()), float(ndtri(0.975))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return Interval(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)), n)
