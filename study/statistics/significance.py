"""Whether a mean difference can be chance, and how large it is beside its spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from study.statistics.differences import ANY, Floats, Values, spread
from study.statistics.scale import Scale
from trainables.seeds import generator

Key = TypeVar("Key")
# 2^13 is the last power of two below: with up to 13 replicates every assignment of signs is looked at.
SIGN_FLIPS = 9999


def paired_permutation_test(differences: Values, seed: int = 0) -> float:
    """Return the two-sided p-value of a paired permutation test of the mean difference.

    Where the two arms are alike, each pair could as well stand the other way round, so all 2^n assignments of signs are
    equally likely; p is twice the smaller share of them that has a mean at least as far out. Exact up to 13 pairs; with
    more, :data:`SIGN_FLIPS` random assignments, the one that was seen counted among them (Phipson & Smyth 2010). The
    arithmetic is that of :func:`scipy.stats.permutation_test`.

    Parameters
    ----------
    differences
        (n,) arm minus vanilla on one replicate each.
    seed
        Seed of the random assignments.

    Returns
    -------
    float
        NaN without a value, or where one is undefined.

    References
    ----------
    Fisher, The design of experiments, 1935, section 21.

    Examples
    --------
    Five of five in favour: 2 of 32 assignments are as far out.

    >>> paired_permutation_test([0.01, 0.02, 0.03, 0.04, 0.05])
    0.0625

    Darwin's maize in Fisher's book (eighths of an inch): 1726 of the 32768 assignments, .0527; here a sample of them.

    >>> maize = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    >>> round(paired_permutation_test(maize), 2)
    0.05
    """
    # It takes seconds to load; whoever asks for no test should not wait for it.
    from scipy.stats import permutation_test

    sample = np.asarray(differences, np.float64)
    if not len(sample) or not np.isfinite(sample).all():
        return math.nan
    if len(sample) == 1 or not sample.any():
        return 1.0
    # Ends of equal distance must be counted as such, but sums of 1/60 and the like differ in their last digits.
    tested = permutation_test(
        (sample / np.abs(sample).max(),),
        _mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=SIGN_FLIPS,
        rng=generator(seed, "sign flips", len(sample)),
    )
    return float(tested.pvalue)


def holm(p_values: Mapping[Key, float]) -> dict[Key, float]:
    """Return p-values adjusted for their number by Holm's method; an undefined one counts as 1.

    The i-th smallest of m is multiplied by m - i + 1, never below those before it: if every adjusted value up to α is
    called a difference, the chance of one false call among all is at most α, however the tests hang together.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6, 1979. The arithmetic is that of
    ``statsmodels.stats.multitest.multipletests``.

    Examples
    --------
    >>> {ratio: round(p, 3) for ratio, p in holm({0.01: 0.01, 0.1: 0.04, 0.5: 0.03}).items()}
    {0.01: 0.03, 0.1: 0.06, 0.5: 0.06}
    """
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return {}
    adjusted = multipletests([1.0 if math.isnan(p) else p for p in p_values.values()], method="holm")[1]
    return dict(zip(p_values, map(float, adjusted), strict=True))


def effect_size(differences: Values, scale: Scale = ANY) -> float | None:
    """Return the standardised mean difference of pairs, corrected for its bias: ``J(n-1) · mean / s`` (d_z).

    ``J(m) = Γ(m/2) / (√(m/2) · Γ((m-1)/2))``. None with fewer than three values, or where no spread can be told.

    References
    ----------
    Hedges, Distribution theory for Glass's estimator of effect size, J. Educ. Stat. 6, 1981; d_z: Cohen, Statistical
    power analysis for the behavioral sciences, 1988, section 2.3.5.

    Examples
    --------
    Student's sleep data: d_z = 4.0621 / √10 = 1.2846, J(9) = 0.9139.

    >>> round(effect_size([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]), 3)
    1.174
    """
    own = spread(differences, scale)
    df = len(differences) - 1
    if df < 2 or not own > 0.0:
        return None
    correction = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
    return correction * float(np.mean(differences)) / own


def _mean(sample: Floats, axis: int = -1) -> Floats:
    return np.asarray(np.round(sample.mean(axis=axis), 12))
