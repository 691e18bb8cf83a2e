"""The verdict on every comparison of a confirmation, with what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from study.statistics.counts import GroupCounts
from study.statistics.crossed import crossed, crossed_gain_interval
from study.statistics.differences import ANY, gain_interval, spread
from study.statistics.equivalence import REGION, Probabilities, probabilities
from study.statistics.looks import Looks
from study.statistics.power import detectable_gain, replicates_needed
from study.statistics.scale import Scale
from study.statistics.significance import effect_size, holm, paired_permutation_test
from trainables.interval import Interval

Verdict = Literal["better", "worse", "equivalent", "not shown"]
Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is fixed before the first replicate of a confirmation is scored.

    Attributes
    ----------
    alpha
        Chance of calling any difference among arms that are alike, over all comparisons and looks.
    region
        Half the width of the region of practical equivalence.
    power
        Power for which gains and replicates are counted.
    correlation
        Of two replicates' differences, see :func:`study.statistics.equivalence.probabilities`.
    looks
        The looks, at the same ``alpha``; None where all replicates are looked at once.
    seed
        Seed of resamples and random signs.
    """

    alpha: float = 0.05
    region: float = REGION
    power: float = 0.8
    correlation: float = 0.0
    looks: Looks | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.looks is not None and self.looks.alpha != self.alpha:
            raise ValueError(f"the looks spend alpha {self.looks.alpha}, expected {self.alpha}")
        if not self.region >= 0.0:
            raise ValueError(f"region must be 0 or more, got {self.region}")


@dataclass(frozen=True)
class Evidence:
    """The scores of an arm and its reference on the same replicates.

    Attributes
    ----------
    differences
        Arm minus reference in one metric, one value per replicate.
    scale
        Bounds and resolution of the differences.
    lower_is_better
        Whether the metric is an error.
    counts
        Both arms' counts by test group, where the predictions were kept; the interval then covers other test texts too.
        Both are of the metric of the differences.
    """

    differences: tuple[float, ...]
    scale: Scale = ANY
    lower_is_better: bool = False
    counts: tuple[GroupCounts, GroupCounts] | None = None

    @property
    def fixed_variance(self) -> float:
        """Variance of the mean that more replicates do not take away."""
        if self.counts is None or len(self.differences) < 2:
            return 0.0
        return crossed(*self.counts, self.scale).fixed_variance

    def interval(self, confidence: float, seed: int = 0) -> Interval:
        """Return the mean difference with the interval that decides."""
        if self.counts is None or len(self.differences) < 2:
            return gain_interval(self.differences, confidence, self.scale, seed)
        return crossed_gain_interval(*self.counts, confidence, self.scale, seed)


@dataclass(frozen=True)
class Judgement:
    """One verdict and what it rests on.

    Attributes
    ----------
    verdict
        ``equivalent``: the interval lies inside the region of practical equivalence. ``better`` or ``worse``: it
        leaves out 0, and so does the permutation test after correction. ``not shown``: neither.
    interval
        Mean difference, at the level of the look.
    confidence
        Coverage of that interval.
    p_value
        Of the paired permutation test.
    p_adjusted
        The same, corrected for looks and, by Holm, for the number of comparisons.
    effect_size
        d_z with Hedges' correction.
    probability
        Of better, equivalent, worse.
    detectable_gain
        The smallest gain that so many replicates show.
    replicates_needed
        How many replicates show a gain as large as the one seen, or as the region's edge where that is larger: a
        smaller one need not be shown. None where no number does.
    look, looks
        Which look it is, and of how many.
    """

    verdict: Verdict
    interval: Interval
    confidence: float
    p_value: float | None
    p_adjusted: float | None
    effect_size: float | None
    probability: Probabilities | None
    detectable_gain: float | None
    replicates_needed: int | None
    look: int = 1
    looks: int = 1

    @property
    def is_decided(self) -> bool:
        """Whether further replicates are not needed."""
        return self.verdict != "not shown"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; what is not defined is null."""
        return {
            "verdict": self.verdict,
            "gain": self.interval.mean if self.interval.is_defined else None,
            "ci_low": self.interval.ci_low,
            "ci_high": self.interval.ci_high,
            "confidence": self.confidence,
            "replicates": self.interval.n,
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
            "effect_size": self.effect_size,
            "probability": self.probability.to_json() if self.probability else None,
            "detectable_gain": self.detectable_gain,
            "replicates_needed": self.replicates_needed,
            "looks": {"look": self.look, "of": self.looks},
        }


def judge(evidence: Mapping[Key, Evidence], rules: Rules | None = None) -> dict[Key, Judgement]:
    """Judge all comparisons of a confirmation together.

    Parameters
    ----------
    evidence
        Every comparison on which a claim may rest: ratios times finalists. Those with fewer replicates than the first
        look cannot be judged under a plan of looks.
    rules
        By default :class:`Rules` as it stands.

    Raises
    ------
    ValueError
        The replicates of a comparison are not at a planned look.

    Notes
    -----
    Two conditions make a difference shown. The permutation test's level holds for arms that are alike whatever the
    form of the differences, and is corrected for all comparisons and looks; the interval covers the test texts too
    (with counts) and is corrected for the looks. ``equivalent`` asks that the whole interval lie inside the region,
    which is stricter than two one-sided tests at α (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987), and is not
    corrected for the number of comparisons. It comes before ``better``: a difference that is certain and too small to
    matter is no reason to do anything. The planning figures take the worst case of Holm's method, α divided by the
    number of comparisons.

    Examples
    --------
    >>> gains = (0.031, 0.042, 0.018, 0.025, 0.037, 0.029, 0.044, 0.021, 0.033, 0.027)
    >>> judged = judge({0.1: Evidence(gains), 0.5: Evidence(tuple(g - 0.03 for g in gains))})
    >>> [judged[ratio].verdict for ratio in (0.1, 0.5)], judged[0.1].p_value, judged[0.1].p_adjusted
    (['better', 'equivalent'], 0.001953125, 0.00390625)
    """
    rules = rules or Rules()
    p_values = {
        key: paired_permutation_test(found.differences, rules.seed) for key, found in evidence.items()
    }
    looks = rules.looks
    if looks is not None:
        at_looks = {key: looks.adjusted(p, len(evidence[key].differences)) for key, p in p_values.items()}
    else:
        at_looks = p_values
    adjusted = holm(at_looks)
    return {
        key: _judgement(found, rules, p_values[key], adjusted[key], len(evidence))
        for key, found in evidence.items()
    }


def verdict_on(
    interval: Interval, p_adjusted: float | None, rules: Rules, lower_is_better: bool = False
) -> Verdict:
    """Return the verdict on one comparison, see :class:`Judgement`."""
    low, high = interval.ci_low, interval.ci_high
    if low is None or high is None:
        return "not shown"
    if -rules.region <= low and high <= rules.region:
        return "equivalent"
    if low <= 0.0 <= high or p_adjusted is None or p_adjusted > rules.alpha:
        return "not shown"
    return "better" if (low > 0.0) != lower_is_better else "worse"


def _judgement(
    found: Evidence, rules: Rules, p_value: float, p_adjusted: float, comparisons: int
) -> Judgement:
    n, looks = len(found.differences), rules.looks
    level = looks.level(n) if looks else rules.alpha
    interval = found.interval(1.0 - level, rules.seed)
    fixed, own = found.fixed_variance, spread(found.differences, found.scale)
    plan = level / comparisons, rules.power, fixed
    probability = probabilities(
        found.differences,
        rules.region,
        correlation=rules.correlation,
        fixed_variance=fixed,
        scale=found.scale,
    )
    if probability is not None and found.lower_is_better:
        probability = Probabilities(probability.worse, probability.equivalent, probability.better)
    is_tested = not math.isnan(p_value)
    # Equal differences on a scale without a known resolution tell no spread, so nothing can be planned from them.
    can_plan = interval.is_defined and own > 0.0
    return Judgement(
        verdict=verdict_on(interval, p_adjusted if is_tested else None, rules, found.lower_is_better),
        interval=interval,
        confidence=1.0 - level,
        p_value=p_value if is_tested else None,
        p_adjusted=p_adjusted if is_tested else None,
        effect_size=effect_size(found.differences, found.scale),
        probability=probability,
        detectable_gain=detectable_gain(own, n, *plan) if can_plan else None,
        replicates_needed=(
            replicates_needed(max(abs(interval.mean), rules.region), own, *plan) if can_plan else None
        ),
        look=looks.number(n) if looks else 1,
        looks=len(looks.replicates) if looks else 1,
    )
