"""Looking at the replicates several times, in blocks, without more false calls than one look has: alpha spending."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal

import numpy as np

from study.statistics.differences import Floats

Spending = Literal["pocock", "obrien_fleming"]
_GRID = 201
_FAR = 8.5  # standard deviations beyond which a normal distribution is empty


@dataclass(frozen=True)
class Looks:
    """A plan of looks at a growing number of replicates, and the level of the test at each.

    At look k a share t_k = n_k / n_K of the replicates is in. A spending function α(t) says how much of the chance of a
    false call may be used up until then, and the boundary c_k uses up just that: ``P(|Z_1| < c_1, …, |Z_(k-1)| <
    c_(k-1), |Z_k| ≥ c_k) = α(t_k) - α(t_(k-1))``, where the Z are standard normal with correlation ``√(n_j / n_k)``
    if there is no difference. The intervals at the levels of the looks all hold together with a chance of 1 - α, so a
    study may end because one leaves out 0 or because it lies within the region of practical equivalence.

    Attributes
    ----------
    replicates
        Numbers of replicates at which one looks, ascending; the last is the most that will be run.
    alpha
        Chance of a false call over all looks.
    spending
        ``pocock``: ``α · ln(1 + (e - 1) · t)``, which spends evenly; ``obrien_fleming``: ``4 - 4Φ(z_(1-α/4) / √t)``
        (half of it on each side), which spends almost nothing early. The first is the default: its levels stay near
        each other, so that a decision can fall early, and are never so small that n pairs cannot reach them.

    Notes
    -----
    The spread is estimated, so Z is a t statistic. The level ``p_k = 2 - 2Φ(c_k)`` is taken over to Student's t with
    n_k - 1 degrees of freedom (the approximation by significance levels of Jennison & Turnbull 2000, section 4.4).
    This is not exact; how far it holds is simulated by ``python -m benchmarks.statistics``.

    References
    ----------
    Lan & DeMets, Discrete sequential boundaries for clinical trials, Biometrika 70, 1983; Pocock, Biometrika 64, 1977;
    O'Brien & Fleming, Biometrics 35, 1979; the recursion: Armitage, McPherson & Rowe, J. R. Stat. Soc. A 132, 1969.

    Examples
    --------
    The boundaries of five equal looks, as published for both spending functions:

    >>> pocock = Looks((10, 20, 30, 40, 50))
    >>> [round(c, 2) for c in pocock.boundaries]
    [2.44, 2.43, 2.41, 2.4, 2.39]
    >>> [round(c, 2) for c in Looks((10, 20, 30, 40, 50), spending="obrien_fleming").boundaries]
    [4.88, 3.36, 2.68, 2.29, 2.03]
    >>> round(pocock.confidence(10), 4)
    0.9852
    """

    replicates: tuple[int, ...]
    alpha: float = 0.05
    spending: Spending = "pocock"

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.replicates, self.replicates[1:], strict=False))
        if not self.replicates or self.replicates[0] < 2 or not ascending:
            raise ValueError(
                f"looks must be ascending numbers of replicates from 2 on, got {self.replicates}"
            )
        if not 0.0 < self.alpha < 1.0:
            raise ValueError(f"alpha must lie between 0 and 1, got {self.alpha}")
        if self.spending not in _SPENT:
            raise ValueError(f"spending must be one of {', '.join(_SPENT)}, got {self.spending!r}")

    @classmethod
    def in_blocks(
        cls, first: int, block: int, most: int, alpha: float = 0.05, spending: Spending = "pocock"
    ) -> Looks:
        """Return looks after the first replicates, after every further block, and after the last possible one.

        Examples
        --------
        >>> Looks.in_blocks(10, 5, 22).replicates
        (10, 15, 20, 22)
        """
        if block < 1 or most < first:
            raise ValueError(f"expected block >= 1 and most >= first, got {block}, {most} and {first}")
        return cls((*range(first, most, block), most), alpha, spending)

    @property
    def boundaries(self) -> tuple[float, ...]:
        """The c_k, in standard errors."""
        return _boundaries(self.replicates, self.alpha, self.spending)

    def number(self, replicates: int) -> int:
        """Return which look, counted from 1, is the one at so many replicates.

        Raises
        ------
        ValueError
            None of the planned looks is.
        """
        if replicates not in self.replicates:
            planned = ", ".join(map(str, self.replicates))
            raise ValueError(f"no look is planned at {replicates} replicates, only at {planned}")
        return self.replicates.index(replicates) + 1

    def level(self, replicates: int) -> float:
        """Return the two-sided level of the test at the look at so many replicates."""
        return math.erfc(self.boundaries[self.number(replicates) - 1] / math.sqrt(2.0))

    def confidence(self, replicates: int) -> float:
        """Return the coverage that the interval of the look at so many replicates must have by itself."""
        return 1.0 - self.level(replicates)

    def adjusted(self, p_value: float, replicates: int) -> float:
        """Return a p-value of one look, adjusted for the looks: the smallest α at which that look calls a difference.

        Values of several comparisons, each at its own look, can then be given to Holm's method (sequential p-values,
        Liu & Anderson, J. Am. Stat. Assoc. 103, 2008).

        Examples
        --------
        >>> looks = Looks((10, 20))
        >>> round(looks.adjusted(looks.level(20), 20), 3), round(looks.adjusted(0.02, 10), 3), looks.adjusted(1.0, 10)
        (0.05, 0.032, 1.0)
        """
        from scipy.optimize import brentq

        self.number(replicates)
        if math.isnan(p_value):
            return math.nan

        def excess(log_alpha: float) -> float:
            return replace(self, alpha=math.exp(log_alpha)).level(replicates) - p_value

        lowest, highest = math.log(1e-9), math.log(0.999)
        if excess(highest) < 0.0:
            return 1.0
        if excess(lowest) > 0.0:
            return max(p_value, 1e-9)
        return math.exp(float(brentq(excess, lowest, highest, xtol=1e-6)))


def _pocock(alpha: float, t: float) -> float:
    return alpha * math.log(1.0 + (math.e - 1.0) * t)


def _obrien_fleming(alpha: float, t: float) -> float:
    from scipy.special import ndtri

    return 2.0 * math.erfc(float(ndtri(1.0 - alpha / 4.0)) / math.sqrt(2.0 * t))


_SPENT: dict[str, Callable[[float, float], float]] = {"pocock": _pocock, "obrien_fleming": _obrien_fleming}


@lru_cache(maxsize=512)
def _boundaries(replicates: tuple[int, ...], alpha: float, spending: str) -> tuple[float, ...]:
    """Return the c_k by recursion over the looks.

    ``mass`` holds, on a grid of values of S_k = √n_k · Z_k inside the boundary, the probability of being there without
    having crossed before.
    """
    from scipy.optimize import brentq

    nodes, node_weights = np.polynomial.legendre.leggauss(_GRID)
    share = [n / replicates[-1] for n in replicates]
    found: list[float] = []
    points, mass = np.zeros(1), np.ones(1)
    spent, before = 0.0, 0.0
    for t in share:
        step = math.sqrt(t - before)
        owed = _SPENT[spending](alpha, t) - spent
        edge = math.sqrt(t)
        crossing = partial(_crossing, points=points / step, mass=mass, edge=edge / step, owed=owed)
        c = float(brentq(crossing, 0.0, _FAR, xtol=1e-10)) if crossing(_FAR) < 0.0 else _FAR
        found.append(c)
        ahead = nodes * c * edge
        density = np.exp(-0.5 * ((ahead[:, None] - points) / step) ** 2) / (step * math.sqrt(2.0 * math.pi))
        points, mass = ahead, (density @ mass) * node_weights * c * edge
        spent, before = spent + owed, t
    return tuple(found)


def _crossing(c: float, points: Floats, mass: Floats, edge: float, owed: float) -> float:
    """Return the chance of crossing ``c`` at a look, coming from ``points``, minus what that look may spend.

    ``points`` and ``edge``, the standard deviation of the sum at this look, are in standard deviations of the step.
    """
    from scipy.special import ndtr

    outside = ndtr(points - c * edge) + ndtr(-points - c * edge)
    return float((mass * outside).sum()) - owed
