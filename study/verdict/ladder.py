"""The protocol ladder: what is left of the paper's gain as the comparison becomes sound, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.record.gains import mean_of
from study.verdict.comparison import Comparison, Result, objective_of
from study.verdict.statistics import metric_mean, paired_gain, reading
from study.verdict.words import arm_name
from trainables.errors import StudyStopped
from trainables.interval import Interval
from trainables.method.arms import LINEAR_ARMS, PAPER_ARM, POSTHOC_ARM

# Arms that are trained in seconds, or not at all.
_FREE = (POSTHOC_ARM, *LINEAR_ARMS)
AFTER_ADJUSTMENT = "after post-hoc logit adjustment"


@dataclass(frozen=True)
class Rung:
    """The paper's recipe against one rival, on the same replicates and texts.

    Attributes
    ----------
    title
        What the protocol of this rung adds to the one below it.
    rival
        The rival, as people read it.
    scores
        Mean score of the recipe and of the rival, with intervals.
    gain
        The recipe minus the rival.
    """

    title: str
    rival: str
    scores: tuple[Interval, Interval]
    gain: Interval


@dataclass(frozen=True)
class Ladder:
    """All rungs at one imbalance ratio.

    Attributes
    ----------
    study
        Name of the study.
    metric
        Metric of the gains.
    ratio
        The imbalance ratio.
    rungs
        From the paper's protocol on.
    """

    study: str
    metric: str
    ratio: float | str
    rungs: tuple[Rung, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the ladder as plain JSON values."""
        return {
            "study": self.study,
            "metric": self.metric,
            "imbalance_ratio": self.ratio,
            "rungs": [
                {
                    "rung": place,
                    "title": rung.title,
                    "rival": rung.rival,
                    "paper": rung.scores[0].to_json(),
                    "rival_score": rung.scores[1].to_json(),
                    "gain": rung.gain.to_json(),
                    "reading": reading(rung.gain, self.metric),
                }
                for place, rung in enumerate(self.rungs, start=1)
            ],
        }


def build_ladders(study: str, by_row: Comparison, by_group: Comparison) -> list[Ladder]:
    """Return the ladder of every imbalance ratio.

    The last two rivals are chosen on validation, as a user would choose them; their gains are those on the test split.

    Parameters
    ----------
    study
        Name of the study.
    by_row, by_group
        The paper's recipe and its rivals, with the texts split at random and split by group.

    Raises
    ------
    StudyStopped
        A rung lacks its arm, because it failed.
    """
    return [_ladder(study, by_row, by_group, ratio) for ratio in by_group.ratios]


def _ladder(study: str, by_row: Comparison, by_group: Comparison, ratio: float | str) -> Ladder:
    metric = by_group.metric
    chosen_on = objective_of(by_group.study)

    def rung(title: str, where: Comparison, rival: str, values: Mapping[int, float]) -> Rung:
        paper = _of(where, ratio, PAPER_ARM).record.values(metric)
        return Rung(
            title,
            rival,
            (_mean(paper, values, metric), _mean(values, paper, metric)),
            paired_gain(paper, values, metric),
        )

    def against(title: str, where: Comparison, arm: str) -> Rung:
        return rung(title, where, arm_name(arm), _of(where, ratio, arm).record.values(metric))

    free = _free_rivals(by_group, ratio)
    best = max(free, key=lambda name: mean_of(_values(free[name], chosen_on)))
    return Ladder(
        study,
        metric,
        ratio,
        (
            against("the paper's protocol: texts split at random", by_row, "vanilla"),
            against("texts split by group", by_group, "vanilla"),
            against("vanilla gets as many steps", by_group, "vanilla_matched"),
            against("vanilla is tuned", by_group, "vanilla_tuned"),
            rung("the best control that costs nothing", by_group, best, _values(free[best], metric)),
        ),
    )


def _free_rivals(comparison: Comparison, ratio: float | str) -> dict[str, dict[int, Mapping[str, float]]]:
    """Return the metrics by replicate of every rival that needs no training beyond vanilla's and its tuning."""
    rivals: dict[str, dict[int, Mapping[str, float]]] = {
        arm_name(arm): {r: replicate.metrics for r, replicate in found.record.replicates.items()}
        for arm in _FREE
        if (found := comparison.baseline(ratio, arm)) is not None and found.replicates
    }
    for arm in ("vanilla_matched", "vanilla_tuned"):
        record = _of(comparison, ratio, arm).record
        rivals[f"{arm_name(arm)}, {AFTER_ADJUSTMENT}"] = {
            r: replicate.posthoc for r, replicate in record.replicates.items()
        }
    return rivals


def _of(comparison: Comparison, ratio: float | str, arm: str) -> Result:
    found = comparison.baseline(ratio, arm)
    if found is None or not found.replicates:
        why = found.record.error if found is not None else "it has not run"
        raise StudyStopped(
            f"{comparison.study['study']}: {arm_name(arm)} at ratio {ratio} has no score: {why}."
        )
    return found


def _values(replicates: Mapping[int, Mapping[str, float]], metric: str) -> dict[int, float]:
    return {r: metrics[metric] for r, metrics in replicates.items()}


def _mean(values: Mapping[int, float], others: Mapping[int, float], metric: str) -> Interval:
    """Return the mean of the values on the replicates that both have."""
    return metric_mean((value for r, value in values.items() if r in others), metric)
