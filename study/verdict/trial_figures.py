"""Figures of a study's trials at one imbalance ratio: cost beside gain, and the search as lines."""

from __future__ import annotations

import math
from collections.abc import Iterator

from study.record.ledger import TrialRecord
from study.verdict.comparison import Comparison, differing_settings
from study.verdict.cost_figure import CostRow, cost_figure
from study.verdict.parallel import TrialLine, parallel_figure
from study.verdict.score_figures import Drawing
from study.verdict.words import arm_name, metric_name, ratio_phrase
from trainables.interval import Interval
from trainables.method.arms import POSTHOC_ARM

# Fewer lines show nothing that the table of trials does not.
_FEWEST_LINES = 3


def cost_drawing(comparison: Comparison, ratio: float | str) -> Drawing | None:
    """Return the gain of every arm beside what it costs; None where nothing can be compared with vanilla.

    The gains are the confirmation's on the test split, before there is one the search's on validation.
    """
    confirmed = comparison.confirmation.at(ratio) if comparison.confirmation is not None else None
    metric = comparison.metric
    if confirmed is not None and comparison.confirmation is not None:
        metric = comparison.confirmation.metric
        reference = confirmed.of_role("vanilla")
        vanilla = reference.record if reference is not None else None
        others = [(a.record, a.gain, a.role == "winner") for a in confirmed.arms if a.role != "vanilla"]
    else:
        found = comparison.baseline(ratio, "vanilla")
        vanilla = found.record if found is not None else None
        others = [*_searched(comparison, ratio)]
    others = [(record, gain, leads) for record, gain, leads in others if gain.is_defined]
    if vanilla is None or not others:
        return None
    rows = [CostRow(arm_name(vanilla.arm), Interval(math.nan, None, None, 0), _seconds(vanilla))]
    for record, gain, leads in sorted(others, key=lambda one: (not one[2], -one[1].mean)):
        # Its logits are vanilla's.
        seconds = _seconds(vanilla) if record.arm == POSTHOC_ARM else _seconds(record)
        rows.append(CostRow(arm_name(record.arm), gain, seconds, leads))
    name = f"cost-{ratio}"
    title = f"Gain and cost of every arm, {ratio_phrase(ratio)}"
    return Drawing(name, cost_figure(name, title, rows, metric_name(metric)))


def parallel_drawing(comparison: Comparison, ratio: float | str) -> Drawing | None:
    """Return the trials of pre-finetuning's search as lines; None where there are too few, or nothing differs."""
    trials = [t for t in comparison.trials_at(ratio) if t.gain.is_defined]
    settings = differing_settings(trials)
    if len(trials) < _FEWEST_LINES or not settings:
        return None
    leading = comparison.best.get(ratio)
    lines = [TrialLine(t.record.read, t.gain.mean, t is leading) for t in trials]
    name = f"search-{ratio}"
    title = f"Every trial of the search, {ratio_phrase(ratio)}"
    return Drawing(name, parallel_figure(name, title, settings, lines))


def _searched(comparison: Comparison, ratio: float | str) -> Iterator[tuple[TrialRecord, Interval, bool]]:
    leading = comparison.best.get(ratio)
    if leading is not None:
        yield leading.record, leading.gain, True
    arms = dict.fromkeys(b.record.arm for b in comparison.baselines if b.record.imbalance_ratio == ratio)
    for arm in arms:
        result = comparison.baseline(ratio, arm)
        if result is not None and arm != "vanilla" and result is not leading:
            yield result.record, result.gain, False


def _seconds(record: TrialRecord) -> float:
    return record.seconds / max(len(record.replicates), 1)
