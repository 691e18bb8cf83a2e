"""What a study can show, said before anything is spent: the gain that its confirmation would find, and at what price.

Most studies of ten replicates end in "not shown" because nobody looked beforehand whether ten can show anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from study.config.study import StudyConfig
from study.plan.confirmation import planned_looks
from study.record.gains import gains_of
from study.record.ledger import Ledger
from study.statistics.judgement import Rules
from study.statistics.looks import Looks
from study.statistics.power import detectable_gain, fewest_replicates
from study.verdict.words import at_ratio, counted, duration, metric_name
from trainables.method.arms import PAPER_ARM

_RULES = Rules()
# An arm and vanilla on one replicate share rows and seed. Of two such scores with this correlation, the difference
# varies as much as each of them.
CORRELATION = 0.5
# Fewer degrees of freedom than this tell a standard deviation no better than a guess does.
_LEAST_FREEDOM = 3


@dataclass(frozen=True)
class Spread:
    """Standard deviation of the differences between an arm and vanilla over replicates, and how it is known.

    Attributes
    ----------
    value
        The standard deviation.
    source
        In words.
    is_measured
        Whether the study's own replicates tell it.
    """

    value: float
    source: str
    is_measured: bool = True


def expected_spread(config: StudyConfig, ledger: Ledger | None, ratio: float | str) -> Spread:
    """Return the spread to plan with at an imbalance ratio.

    That of the paired differences of pre-finetuning and the reference vanilla on validation, pooled over trials, where
    an earlier launch left some; else vanilla's own, times ``√(2 · (1 - ρ))``; else the study's ``prior_spread``.

    Parameters
    ----------
    config
        The study.
    ledger
        That of an earlier launch, or None.
    ratio
        The imbalance ratio.
    """
    if ledger is not None:
        finalists = [
            trial
            for trial in ledger.of_phase("search", "control")
            if trial.imbalance_ratio == ratio and (trial.phase == "search" or trial.arm == PAPER_ARM)
        ]
        gains = [list(gains_of(ledger, trial, config.objective).values()) for trial in finalists]
        pairs = [of for of in gains if len(of) > 1]
        if (value := _pooled(pairs)) is not None:
            differences = counted(sum(map(len, pairs)), "paired difference")
            return Spread(
                value, f"estimated from {differences} of {counted(len(pairs), 'trial')} on validation"
            )
        reference = ledger.reference(ratio)
        own = [] if reference is None else list(reference.values(config.objective).values())
        if (value := _pooled([own])) is not None:
            return Spread(
                value * math.sqrt(2.0 * (1.0 - CORRELATION)),
                f"estimated from vanilla alone on {len(own)} replicates, its scores and another arm's taken to be "
                f"correlated by {CORRELATION:g}",
            )
    return Spread(config.prior_spread, "assumed (prior_spread): no replicates tell it yet", is_measured=False)


def _pooled(samples: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation within samples; None where they are too few, or all alike."""
    freedom = sum(max(0, len(sample) - 1) for sample in samples)
    if freedom < _LEAST_FREEDOM:
        return None
    value = math.sqrt(sum(float(np.var(sample)) * len(sample) for sample in samples) / freedom)
    return value if math.isfinite(value) and value > 0.0 else None


def comparisons_of(config: StudyConfig) -> int:
    """Return on how many comparisons a confirmation gives a verdict: at every ratio the winner's and the recipe's."""
    return len(config.imbalance_ratios) * (2 if config.trials else 1)


def detectable_sentence(config: StudyConfig, ledger: Ledger | None, seconds: float) -> str:
    """Say which gain the planned confirmation would show, or that it can show none, and what more would buy.

    Parameters
    ----------
    config
        The study.
    ledger
        That of an earlier launch, or None.
    seconds
        What the planned confirmation takes.
    """
    n = config.confirmation_replicates
    if config.test_sets:
        return ""
    if not n:
        return (
            "What this study can show: nothing is confirmed (confirmation_replicates is 0), so it ends in a leading "
            "trial and without a verdict."
        )
    spreads = {ratio: expected_spread(config, ledger, ratio) for ratio in config.imbalance_ratios}
    widest = max(spreads, key=lambda ratio: spreads[ratio].value)
    spread = spreads[widest]
    differ = len({of.value for of in spreads.values()}) > 1
    where = f" {at_ratio(widest)}, where differences spread most," if differ else ""
    planned = _Planned(planned_looks(config, ledger), comparisons_of(config), spread.value, seconds / n)
    shown = f"in {metric_name(config.objective)} with {_RULES.power:.0%} power"
    say = _what_is_shown if planned.is_enough(planned.looks[0]) else _that_nothing_is_shown
    return (
        f"{say(planned, where, shown)} The standard deviation of the paired differences is {spread.value:.3g}, "
        f"{spread.source}."
    )


@dataclass(frozen=True)
class _Planned:
    """A confirmation before it is run.

    Attributes
    ----------
    looks
        Numbers of replicates at which verdicts are given.
    comparisons
        Number of verdicts.
    spread
        Standard deviation of the differences.
    seconds
        What one of its replicates takes.
    """

    looks: tuple[int, ...]
    comparisons: int
    spread: float
    seconds: float

    def level(self, replicates: int) -> float:
        """Return the level of every test in the worst case of Holm's method."""
        several = len(self.looks) > 1 and replicates in self.looks
        return (Looks(self.looks).level(replicates) if several else _RULES.alpha) / self.comparisons

    def is_enough(self, replicates: int) -> bool:
        """Return whether the permutation test can reach its level at all."""
        return replicates >= fewest_replicates(self.level(replicates))

    def gain(self, replicates: int) -> str:
        """Return the gain that is shown, in words."""
        found = detectable_gain(self.spread, replicates, self.level(replicates), _RULES.power)
        return "no gain" if found is None else f"a gain of {found:.3f} or more"

    def more(self, replicates: int) -> str:
        """Return what so many replicates take beyond the planned ones."""
        return f"about {duration(self.seconds * (replicates - self.looks[0]))} more"


def _what_is_shown(planned: _Planned, where: str, shown: str) -> str:
    first, last = planned.looks[0], planned.looks[-1]
    further, called = (
        (last, "the most that may be added up to") if last > first else (2 * first, "twice as many")
    )
    return (
        f"What this study can show:{where} {planned.gain(first)} {shown}, with {counted(first, 'replicate')} and "
        f"{counted(planned.comparisons, 'comparison')} (level {planned.level(first):.3g} each), for about "
        f"{duration(planned.seconds * first)} of confirmation. {further}, {called}, show {planned.gain(further)}, for "
        f"{planned.more(further)}."
    )


def _that_nothing_is_shown(planned: _Planned, where: str, shown: str) -> str:
    first, last = planned.looks[0], planned.looks[-1]
    begin = (
        f"WHAT THIS STUDY CAN SHOW: NOTHING with {counted(first, 'replicate')}, however large the gain: over so few "
        f"pairs the permutation test has no p-value below {2.0 ** (1 - first):.3g}, and "
        f"{counted(planned.comparisons, 'comparison')} {'asks' if planned.comparisons == 1 else 'ask'} for "
        f"{planned.level(first):.3g}."
    )
    if planned.is_enough(last):
        return f"{begin} With {last}, the most that may be added up to,{where} it shows {planned.gain(last)} {shown}."
    least = fewest_replicates(_RULES.alpha / planned.comparisons)
    alone = replace(planned, looks=(first,))
    return (
        f"{begin} {least} are the fewest (--confirm {least}):{where} they show {alone.gain(least)} {shown}, for "
        f"{alone.more(least)}."
    )
