"""How likely an arm is better, practically the same, or worse. The one module that knows baycomp."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from study.statistics.differences import ANY, Values, spread
from study.statistics.scale import Scale

# Half the width of the region of practical equivalence: one point of F1 (Benavoli et al. 2017).
REGION = 0.01


@dataclass(frozen=True)
class Probabilities:
    """Posterior probabilities of the mean difference: above, within and below the region of practical equivalence."""

    better: float
    equivalent: float
    worse: float

    def to_json(self) -> dict[str, float]:
        """Return them by name."""
        return asdict(self)


def probabilities(
    differences: Values,
    region: float = REGION,
    *,
    correlation: float = 0.0,
    fixed_variance: float = 0.0,
    scale: Scale = ANY,
) -> Probabilities | None:
    """Return how likely the mean difference is above, within and below ±region: the Bayesian correlated t test.

    Under the prior that carries no information, the mean difference follows Student's t distribution with n - 1
    degrees of freedom about the observed mean, with variance ``s² · (1/n + ρ / (1 - ρ))``.

    Parameters
    ----------
    differences
        (n,) arm minus vanilla on one replicate each.
    region
        Half the width of the region of practical equivalence; 0 for none.
    correlation
        ρ of two differences: 0 for fresh draws; where splits are drawn again from the same rows, the share of rows that
        a split tests on (Nadeau & Bengio 2003).
    fixed_variance
        Variance of the mean that more replicates do not take away, see
        :attr:`study.statistics.crossed.Crossed.fixed_variance`.
    scale
        Its resolution bounds s from below.

    Returns
    -------
    Probabilities or None
        None with fewer than two values, an undefined one, or equal ones on a scale without a known resolution.

    References
    ----------
    Benavoli, Corani, Demšar & Zaffalon, Time for a change: a tutorial for comparing multiple classifiers through
    Bayesian analysis, JMLR 18(77), 2017, eq. 7 and 8; Corani & Benavoli, Mach. Learn. 100, 2015.

    Examples
    --------
    >>> found = probabilities([0.03, 0.05, 0.01, 0.04, 0.02])
    >>> round(found.better, 3), round(found.equivalent, 3), round(found.worse, 3)
    (0.976, 0.021, 0.002)
    """
    if not 0.0 <= correlation < 1.0:
        raise ValueError(f"correlation must lie in [0, 1), got {correlation}")
    # It brings scipy.stats along, which takes seconds.
    from baycomp.single import Posterior

    own = spread(differences, scale)
    if not own > 0.0:
        return None
    n = len(differences)
    variance = own**2 * (1.0 / n + correlation / (1.0 - correlation)) + fixed_variance
    found = Posterior(float(np.mean(differences)), variance, n - 1, rope=region).probs()
    worse, *within, better = (min(1.0, max(0.0, float(p))) for p in found)
    return Probabilities(better, math.fsum(within), worse)
