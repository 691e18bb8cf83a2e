"""What a number of replicates can show, and how many a gain needs.

The power is that of the paired t test. The verdict asks for more than that test: an interval and the permutation test
have to agree, and from ten replicates on the interval is the studentised bootstrap's. This costs as much as one
replicate would have brought with fewer than ten, as two from ten on, and as one more with the fewest that the
permutation test can do with. ``python -m benchmarks.statistics`` simulates what power the verdict then has.
"""

from __future__ import annotations

import math

from study.statistics.differences import ENOUGH_TO_RESAMPLE

# Beyond so many replicates nobody goes.
MOST_REPLICATES = 10_000


def fewest_replicates(alpha: float = 0.05) -> int:
    """Return how many replicates the paired permutation test needs to reach α at all: 2 of 2^n assignments.

    Examples
    --------
    >>> fewest_replicates(0.05), fewest_replicates(0.05 / 6)
    (6, 8)
    """
    return math.ceil(1.0 + math.log2(1.0 / alpha) - 1e-12)


def detectable_gain(
    spread: float,
    replicates: int,
    alpha: float = 0.05,
    power: float = 0.8,
    fixed_variance: float = 0.0,
    *,
    of_t_test: bool = False,
) -> float | None:
    """Return the smallest gain that so many replicates show with a given power.

    The d at which the two-sided paired t test has that power, with as many replicates less as the verdict's rule costs,
    times ``√(spread² + n · fixed_variance)``; the arithmetic is that of ``statsmodels.stats.power.TTestPower``.

    Parameters
    ----------
    spread
        Standard deviation of the differences over replicates.
    replicates
        Number of replicates n.
    alpha
        Two-sided level of the test; divide it by the number of comparisons for the worst case of Holm's method.
    power
        Chance of showing it, in (0, 1).
    fixed_variance
        Variance of the mean that more replicates do not take away: the test texts'.
    of_t_test
        Whether it is that test itself that is to show it, instead of the verdict.

    Returns
    -------
    float or None
        None with fewer replicates than :func:`fewest_replicates`: no gain is shown with those, however large.

    References
    ----------
    Cohen, Statistical power analysis for the behavioral sciences, 1988, chapter 2.

    Examples
    --------
    >>> round(detectable_gain(0.03, 10), 4), round(detectable_gain(0.03, 10, of_t_test=True), 4)
    (0.0347, 0.0299)
    >>> detectable_gain(0.03, 5) is None
    True
    """
    from scipy.optimize import brentq

    if replicates < fewest_replicates(alpha) or not math.isfinite(spread):
        return None
    scale = math.sqrt(spread**2 + replicates * fixed_variance)
    counted = replicates if of_t_test else _worth(replicates, alpha)
    largest = _largest_effect(counted, alpha)
    return scale * float(brentq(lambda effect: _power(effect, counted, alpha) - power, 0.0, largest))


def replicates_needed(
    gain: float,
    spread: float,
    alpha: float = 0.05,
    power: float = 0.8,
    fixed_variance: float = 0.0,
    *,
    of_t_test: bool = False,
) -> int | None:
    """Return how many replicates show a gain with a given power; None where no number up to 10,000 does.

    Parameters
    ----------
    gain
        The true mean difference, of either sign.
    spread, alpha, power, fixed_variance, of_t_test
        As in :func:`detectable_gain`. Where ``fixed_variance`` alone hides the gain, more replicates never show it:
        more test texts would.

    Examples
    --------
    >>> replicates_needed(0.03, 0.03), replicates_needed(0.03, 0.06)
    (12, 36)
    >>> replicates_needed(0.03, 0.03, of_t_test=True), replicates_needed(0.03, 0.06, of_t_test=True)
    (10, 34)
    >>> replicates_needed(0.03, 0.03, fixed_variance=0.02**2) is None
    True
    """
    if not (math.isfinite(gain) and math.isfinite(spread)):
        return None

    def shows(n: int) -> bool:
        total = math.sqrt(spread**2 + n * fixed_variance)
        counted = n if of_t_test else _worth(n, alpha)
        return total == 0.0 or _power(abs(gain) / total, counted, alpha) >= power

    if gain == 0.0 or not shows(MOST_REPLICATES):
        return None
    low, high = fewest_replicates(alpha), MOST_REPLICATES
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle + 1, high)
    return low


def _worth(replicates: int, alpha: float) -> int:
    """Return with how many replicates the t test shows what the verdict shows with so many."""
    costs = 2 if replicates >= ENOUGH_TO_RESAMPLE else 1
    return max(2, replicates - costs - (replicates <= fewest_replicates(alpha)))


def _power(effect: float, replicates: int, alpha: float) -> float:
    """Return the chance that the two-sided test shows an effect, on its own side of 0."""
    from statsmodels.stats.power import TTestPower

    shown = TTestPower().power(
        min(effect, _largest_effect(replicates, alpha)), replicates, alpha / 2.0, alternative="larger"
    )
    return float(shown)


def _largest_effect(replicates: int, alpha: float) -> float:
    """Return an effect that is shown with a chance above .999; the noncentral t distribution is lost far beyond it."""
    from scipy.special import stdtrit

    return (3.0 * float(stdtrit(replicates - 1, 1.0 - alpha / 2.0)) + 6.0) / math.sqrt(replicates)
