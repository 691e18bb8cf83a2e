"""The mean of paired differences over replicates, with its interval: Student's, and the studentised bootstrap's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from study.statistics.scale import Scale
from trainables.interval import Interval, mean_interval
from trainables.seeds import generator

ANY = Scale()
# Fewer values than this are too few to resample.
FEW = 5
# From so many on the studentised bootstrap decides. Five values have but 126 distinct resamples: it hangs on extremes.
ENOUGH_TO_RESAMPLE = 10
RESAMPLES = 9999
_EQUAL = 1e-12

Floats = npt.NDArray[np.float64]
Values = Sequence[float] | Floats


def spread(differences: Values, scale: Scale = ANY) -> float:
    """Return the standard deviation of differences (n - 1), no smaller than the scale can show.

    Examples
    --------
    >>> round(spread([0.0, 0.0, 0.0], Scale(resolution=0.12)), 4), spread([0.3, 0.3])
    (0.0346, 0.0)
    """
    sample = np.asarray(differences, np.float64)
    if len(sample) < 2 or not np.isfinite(sample).all():
        return math.nan
    own = 0.0 if np.ptp(sample) <= _EQUAL * max(1.0, np.abs(sample).max()) else float(sample.std(ddof=1))
    return max(own, scale.smallest_spread)


def within(interval: Interval, scale: Scale) -> Interval:
    """Return an interval that keeps to the scale's bounds.

    It is cut at them, which takes nothing from its coverage: what it is about lies within. One that would reach from
    bound to bound says nothing, and is left out; so is one that has no end where there is no bound.

    Examples
    --------
    >>> within(Interval(0.35, -1.5, 2.2, 2), Scale(-1.0, 1.0))
    Interval(mean=0.35, ci_low=None, ci_high=None, n=2)
    >>> within(Interval(0.6, 0.1, 1.1, 3), Scale(-1.0, 1.0))
    Interval(mean=0.6, ci_low=0.1, ci_high=1.0, n=3)
    """
    if interval.ci_low is None or interval.ci_high is None:
        return interval
    low, high = max(scale.low, interval.ci_low), min(scale.high, interval.ci_high)
    if (low, high) == (scale.low, scale.high) or not (math.isfinite(low) and math.isfinite(high)):
        return replace(interval, ci_low=None, ci_high=None)
    return replace(interval, ci_low=low, ci_high=high)


def student_interval(differences: Values, confidence: float = 0.95, scale: Scale = ANY) -> Interval:
    """Return the mean with its paired Student t interval: ``mean ± t(n-1) · s / √n``.

    Parameters
    ----------
    differences
        (n,) arm minus vanilla on one replicate each. An undefined one makes the mean undefined.
    confidence
        Coverage, in (0, 1).
    scale
        Bounds and resolution. s is no smaller than the resolution hides; where all differences are equal and the
        resolution is not known, there is no interval. See :func:`within` for the bounds.

    References
    ----------
    Student, The probable error of a mean, Biometrika 6, 1908.

    Examples
    --------
    Sleep gained by ten patients on two drugs (Student's own data; published: t = 4.0621, [0.70, 2.46]):

    >>> interval = student_interval([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    >>> round(interval.mean, 2), round(interval.ci_low, 4), round(interval.ci_high, 4)
    (1.58, 0.7001, 2.4599)
    >>> student_interval([0.02, 0.02, 0.02, 0.02, 0.02]).ci_low is None
    True
    """
    if spread(differences, scale) == 0.0:
        return replace(mean_interval(differences, confidence), ci_low=None, ci_high=None)
    return within(mean_interval(differences, confidence, scale.smallest_spread), scale)


def bootstrap_t_interval(
    differences: Values,
    confidence: float = 0.95,
    scale: Scale = ANY,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the mean with its studentised bootstrap interval (bootstrap-t).

    Every resample gives ``t* = (mean* - mean) / (s* / √n)``. With the quantiles of t*, the interval is
    ``[mean - t*(1-α/2) · s / √n, mean - t*(α/2) · s / √n]``: it leans to where the differences are skewed, which
    Student's does not. scipy's ``bootstrap`` has no such method, and its percentile interval covers too seldom with
    ten values.

    Parameters
    ----------
    differences, confidence, scale
        As in :func:`student_interval`. There is no interval with fewer than :data:`FEW` values, nor where their spread
        is no larger than what the resolution hides: there is nothing to resample.
    resamples
        Number of resamples.
    seed
        Seed of the resamples.

    References
    ----------
    Efron & Tibshirani, An introduction to the bootstrap, 1993, section 12.5; Hall, Theoretical comparison of bootstrap
    confidence intervals, Ann. Stat. 16, 1988.

    Examples
    --------
    >>> skewed = [0.0, 0.01, 0.01, 0.02, 0.02, 0.02, 0.03, 0.03, 0.05, 0.12]
    >>> interval = bootstrap_t_interval(skewed)
    >>> bool(interval.ci_high - interval.mean > interval.mean - interval.ci_low)
    True
    """
    plain = mean_interval(differences, confidence)
    own = spread(differences)
    if plain.n < FEW or not plain.is_defined or own <= scale.smallest_spread:
        return replace(plain, ci_low=None, ci_high=None)
    sample = np.asarray(differences, np.float64)
    centred = sample - sample.mean()
    weights = resample_weights(plain.n, resamples, seed)
    means = weights @ centred / plain.n
    squares = weights @ centred**2 / plain.n
    deviations = np.sqrt(np.maximum(squares - means**2, 0.0) * plain.n / (plain.n - 1))
    # What is left of a spread of 0 after rounding; such a resample is infinitely far out, or not at all.
    deviations[deviations < 1e-7 * own] = 0.0
    low, high = t_quantiles(
        means, np.maximum(deviations, scale.smallest_spread) / math.sqrt(plain.n), confidence
    )
    error = own / math.sqrt(plain.n)
    return within(replace(plain, ci_low=plain.mean - high * error, ci_high=plain.mean - low * error), scale)


def gain_interval(
    differences: Values, confidence: float = 0.95, scale: Scale = ANY, seed: int = 0
) -> Interval:
    """Return the interval that decides.

    The studentised bootstrap's from ten replicates on; Student's with fewer, or where there is nothing to resample.
    """
    if len(differences) < ENOUGH_TO_RESAMPLE or not spread(differences) > scale.smallest_spread:
        return student_interval(differences, confidence, scale)
    return bootstrap_t_interval(differences, confidence, scale, seed=seed)


def t_quantiles(deviations: Floats, errors: Floats, confidence: float) -> tuple[float, float]:
    """Return the two quantiles of ``deviation / error`` over resamples, as order statistics.

    Parameters
    ----------
    deviations
        (resamples,) mean of each resample minus the mean.
    errors
        (resamples,) its standard error. Where it is 0 the quotient is infinite, or 0 where the deviation is 0 too.
    confidence
        Coverage; the quantiles leave out half of the rest at each end.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        quotients = np.sort(np.nan_to_num(deviations / errors, nan=0.0, posinf=np.inf, neginf=-np.inf))
    outside = max(1, math.floor((len(quotients) + 1) * (1.0 - confidence) / 2.0 + 1e-9))
    return float(quotients[outside - 1]), float(quotients[-outside])


@lru_cache(maxsize=8)
def resample_weights(n: int, resamples: int, seed: int) -> Floats:
    """Return (resamples, n) how often each of n values is drawn in each resample."""
    drawn = generator(seed, "bootstrap", n).multinomial(n, np.full(n, 1.0 / n), size=resamples)
    return drawn.astype(np.float64)
