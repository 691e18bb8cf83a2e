"""The mean difference over replicates and over the groups of the test rows, both of which could have been others.

Replicates are scored on the same test rows, so what these rows happen to be does not average out over replicates. The
table of replicates by groups has three variances: of replicates, of groups, and of the two together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from study.statistics.counts import GroupCounts
from study.statistics.differences import ANY, ENOUGH_TO_RESAMPLE, Floats, t_quantiles, within
from study.statistics.scale import Scale
from trainables.interval import Interval
from trainables.seeds import generator

RESAMPLES = 1999
_CELLS = 4_000_000  # numbers held at once
_ROUNDING = 1e-24  # a variance of shares that is rounding alone


@dataclass(frozen=True)
class Crossed:
    """Mean difference of two arms and the parts of its variance.

    Attributes
    ----------
    mean
        Of the metric's difference, over replicates.
    of_replicates
        Variance of the mean as it is seen between replicates: ``s² / R``.
    of_groups
        Variance of the mean as it is seen between groups of test rows.
    of_both
        What is in both of them, once too often: the interaction's part.
    replicates, groups
        Their numbers R and G.
    """

    mean: float
    of_replicates: float
    of_groups: float
    of_both: float
    replicates: int
    groups: int

    @property
    def variance(self) -> float:
        """Variance of the mean: the first plus the second minus the third, never below the larger of the two."""
        return float(_total(self.of_replicates, self.of_groups, self.of_both))

    @property
    def fixed_variance(self) -> float:
        """What more replicates do not take away: the groups' part without the interaction's."""
        return max(0.0, self.of_groups - self.of_both)

    @property
    def df(self) -> float:
        """Degrees of freedom (Satterthwaite 1946), at least those of the smaller factor."""
        r, g = self.replicates - 1, self.groups - 1
        below = self.of_replicates**2 / r + self.of_groups**2 / g + self.of_both**2 / (r * g)
        return max(self.variance**2 / below, min(r, g)) if below > 0.0 else min(r, g)


def crossed(arm: GroupCounts, vanilla: GroupCounts, scale: Scale = ANY) -> Crossed:
    """Split the variance of the mean difference between two arms.

    Parameters
    ----------
    arm, vanilla
        Counts of the same replicates on the same rows.
    scale
        Its resolution bounds the spread over replicates from below.

    Raises
    ------
    ValueError
        The two are not of the same form, or there are fewer than two replicates or groups.

    Notes
    -----
    A metric is a ratio of sums over groups, so it is written as a mean over groups first: with the weight of group g
    moved, replicate r's difference d_r moves by ψ_rg (the infinitesimal jackknife), and ``z_rg = d_r + G·ψ_rg`` has d_r
    as its mean over groups. The two-way table z has the mean squares MS of its rows, columns and rest, and the variance
    of its mean is ``(MS_rows + MS_columns - MS_rest) / (R·G)``.

    References
    ----------
    Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1, 2007 (crossed random effects); Efron, The jackknife, the
    bootstrap and other resampling plans, 1982, chapter 6.
    """
    _check(arm, vanilla)
    ones = np.ones((1, arm.replicates)), np.ones((1, arm.groups))
    mean, *parts = (float(part[0]) for part in _moments(_Pair(arm, vanilla), *ones))
    parts = [part if part > _ROUNDING else 0.0 for part in parts]
    floor = scale.smallest_spread**2 / arm.replicates
    return Crossed(mean, max(parts[0], floor), parts[1], parts[2], arm.replicates, arm.groups)


def crossed_student_interval(found: Crossed, confidence: float = 0.95, scale: Scale = ANY) -> Interval:
    """Return the mean with a Student t interval of its crossed variance, with Satterthwaite's degrees of freedom.

    Examples
    --------
    Without a part of the groups it is the paired t interval:

    >>> interval = crossed_student_interval(Crossed(0.0, 0.01**2, 0.0, 0.0, 10, 500))
    >>> round(interval.ci_high, 4)
    0.0226
    """
    from scipy.special import stdtrit

    if not found.variance > 0.0:
        return Interval(found.mean, None, None, found.replicates)
    half = float(stdtrit(found.df, 0.5 + confidence / 2.0)) * math.sqrt(found.variance)
    return within(Interval(found.mean, found.mean - half, found.mean + half, found.replicates), scale)


def crossed_bootstrap_t_interval(
    arm: GroupCounts,
    vanilla: GroupCounts,
    confidence: float = 0.95,
    scale: Scale = ANY,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the mean with its studentised interval of a bootstrap of replicates crossed with one of test groups.

    Every resample draws R replicates and, independently, G groups, computes both metrics anew from the counts of what
    was drawn, and divides the change of their difference by its own standard error, see :func:`crossed`. Drawing both
    overstates the interaction's variance (Owen 2007), in the resample's standard error as much as in its mean: the
    quotient is free of it.

    Parameters
    ----------
    arm, vanilla, scale
        As in :func:`crossed`.
        There is no interval where nothing varies beyond what the resolution hides: there is nothing to resample.
    confidence
        Coverage, in (0, 1).
    resamples, seed
        Number and seed of the resamples.
    """
    found = crossed(arm, vanilla, scale)
    if not _can_resample(arm, vanilla, scale):
        return Interval(found.mean, None, None, found.replicates)
    rng = generator(seed, "crossed bootstrap", found.replicates)
    pair, at_once = _Pair(arm, vanilla), max(1, _CELLS // (found.replicates * found.groups))
    deviations, errors = np.empty(resamples), np.empty(resamples)
    floor = scale.smallest_spread**2 / found.replicates
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        weights = tuple(
            rng.multinomial(n, np.full(n, 1.0 / n), size=size).astype(np.float64)
            for n in (found.replicates, found.groups)
        )
        mean, *parts = _moments(pair, *weights)
        deviations[start : start + size] = mean - found.mean
        errors[start : start + size] = np.sqrt(_total(np.maximum(parts[0], floor), *parts[1:]))
    low, high = t_quantiles(deviations, errors, confidence)
    error = math.sqrt(found.variance)
    interval = Interval(found.mean, found.mean - high * error, found.mean - low * error, found.replicates)
    return within(interval, scale)


def crossed_gain_interval(
    arm: GroupCounts, vanilla: GroupCounts, confidence: float = 0.95, scale: Scale = ANY, seed: int = 0
) -> Interval:
    """Return the interval that decides.

    The studentised bootstrap's from ten replicates on; Student's with fewer, or where there is nothing to resample.
    """
    if arm.replicates < ENOUGH_TO_RESAMPLE or not _can_resample(arm, vanilla, scale):
        return crossed_student_interval(crossed(arm, vanilla, scale), confidence, scale)
    return crossed_bootstrap_t_interval(arm, vanilla, confidence, scale, seed=seed)


class _Pair:
    """Both arms' counts side by side, (R, G, 2K), and what each term of the difference counts: 1 or -1."""

    def __init__(self, arm: GroupCounts, vanilla: GroupCounts) -> None:
        self.hits = np.concatenate([arm.hits, vanilla.hits], axis=2)
        self.both = np.concatenate([arm.both, vanilla.both], axis=2)
        self.rows = arm.rows
        # (R, 4K, G)
        self.by_group = np.concatenate([self.hits, self.both], axis=2).transpose(0, 2, 1).copy()


def _moments(pair: _Pair, v: Floats, w: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the mean difference and the three parts of its variance for B choices of replicates and groups.

    Parameters
    ----------
    pair
        The counts.
    v, w
        (B, R) and (B, G): how often each replicate and each group was chosen; rows add up to R and G.
    """
    n_replicates, n_groups, n_terms = pair.hits.shape
    present = (w @ pair.rows > 0).astype(np.float64)
    share = np.concatenate([present, -present], axis=1) / present.sum(1, keepdims=True)  # (B, 2K)
    sums = np.einsum("bg,rkg->rbk", w, pair.by_group, optimize=True)  # (R, B, 4K)
    hits, both = sums[:, :, :n_terms], sums[:, :, n_terms:]
    inverse = np.divide(2.0 * share, both, out=np.zeros_like(both), where=both > 0)
    terms = inverse * hits  # share · F1
    d = terms.sum(2)  # (R, B)
    moved = n_groups * np.concatenate(
        [inverse, -np.divide(terms, both, out=np.zeros_like(both), where=both > 0)], axis=2
    )
    mean = (v.T * d).sum(0) / n_replicates
    z = moved @ pair.by_group + (d - mean)[:, :, None]  # (R, B, G), about the mean
    columns = np.einsum("br,rbg->bg", v, z, optimize=True) / n_replicates
    of_rows = (v.T * (d - mean) ** 2).sum(0)
    of_columns = (w * columns**2).sum(1)
    everything = np.einsum("br,bg,rbg->b", v, w, z**2, optimize=True)
    rest = np.maximum(everything - n_groups * of_rows - n_replicates * of_columns, 0.0)
    r, g = n_replicates - 1, n_groups - 1
    return (
        mean,
        of_rows / (r * n_replicates),
        of_columns / (g * n_groups),
        rest / (r * g * n_replicates * n_groups),
    )


def _total(of_replicates: Floats | float, of_groups: Floats | float, of_both: Floats | float) -> Floats:
    larger = np.maximum(of_replicates, of_groups)
    return np.asarray(np.maximum(np.add(of_replicates, of_groups) - of_both, larger))


def _can_resample(arm: GroupCounts, vanilla: GroupCounts, scale: Scale) -> bool:
    return crossed(arm, vanilla).variance > scale.smallest_spread**2 / arm.replicates


def _check(arm: GroupCounts, vanilla: GroupCounts) -> None:
    if arm.hits.shape != vanilla.hits.shape or not np.array_equal(arm.rows, vanilla.rows):
        raise ValueError(
            f"expected counts of the same replicates on the same rows, got {arm.hits.shape} and {vanilla.hits.shape}"
        )
    if arm.replicates < 2 or arm.groups < 2:
        raise ValueError(
            f"expected at least 2 replicates and 2 groups, got {arm.replicates} and {arm.groups}"
        )
