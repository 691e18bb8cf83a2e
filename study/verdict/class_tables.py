"""What becomes of each class: its precision, recall and F1 against vanilla's, beside the texts that were scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from study.record.ledger import TrialRecord
from study.verdict.comparison import Comparison
from study.verdict.evidence import scored_rows
from study.verdict.statistics import metric_mean, paired_gain
from study.verdict.words import metric_name, part_name
from trainables.interval import Interval

# What is shown of each class, by the metric's name: what it is.
CLASS_METRICS = {
    "precision": "share right of the texts that are labelled so",
    "recall": "share of the class's texts that are found",
    "f1": "harmonic mean of precision and recall",
}


@dataclass(frozen=True)
class ClassChange:
    """A metric of one class under vanilla and under another arm, with their paired difference."""

    vanilla: Interval
    other: Interval
    change: Interval


@dataclass(frozen=True)
class ClassTable:
    """Every class at one imbalance ratio.

    Attributes
    ----------
    ratio
        The imbalance ratio.
    rows
        By class and then metric, see :data:`CLASS_METRICS`.
    directions
        A sentence on each metric, for tables that are too long to take in.
    scale
        Half-width of the axis on which the changes are drawn.
    replicates
        On how many it rests.
    """

    ratio: float | str
    rows: Mapping[str, Mapping[str, ClassChange]]
    directions: tuple[str, ...]
    scale: float
    replicates: int


@dataclass(frozen=True)
class ClassSection:
    """The tables of one part of the split.

    Attributes
    ----------
    part
        ``validation``, ``test``, …
    other
        What is compared with vanilla, as people read it.
    texts
        Fewest and most texts of each class that a replicate was scored on; empty where they were not counted.
    metrics
        The metrics that the tables hold.
    tables
        One for each imbalance ratio.
    """

    part: str
    other: str
    texts: Mapping[str, tuple[int, int]]
    metrics: tuple[str, ...]
    tables: tuple[ClassTable, ...]


def class_sections(comparison: Comparison) -> list[ClassSection]:
    """Return what there is to show of the classes: the confirmation's test texts, then the search's."""
    sections = []
    confirmation = comparison.confirmation
    if confirmation is not None:
        pairs = {
            found.ratio: (vanilla.record, found.winner.record)
            for found in confirmation.ratios
            if (vanilla := found.of_role("vanilla"))
        }
        texts = _confirmed_texts(comparison, next(iter(pairs.values()), None))
        sections.append(_section(comparison, pairs, confirmation.metric, "winner", texts))
    pairs = {
        ratio: (reference.record, leading.record)
        for ratio, leading in comparison.best.items()
        if (reference := comparison.baseline(ratio, "vanilla"))
    }
    texts = scored_texts(comparison.study, part_name(comparison.metric))
    sections.append(_section(comparison, pairs, comparison.metric, comparison.leading_name, texts))
    return [section for section in sections if section.tables]


def class_changes(
    vanilla: TrialRecord,
    other: TrialRecord,
    scored_on: str,
    classes: Sequence[str],
    texts: Mapping[str, tuple[int, int]],
) -> dict[str, dict[str, ClassChange]]:
    """Return how an arm changes each class against vanilla, by class and then metric; what is not known is left out.

    Parameters
    ----------
    vanilla, other
        Both arms.
    scored_on
        The set: ``val``, ``test``, …
    classes
        Their names.
    texts
        Fewest and most texts of each that were scored.
    """
    fewest = {name: low for name, (low, _) in texts.items()}
    rows: dict[str, dict[str, ClassChange]] = {}
    for label in classes:
        row = {}
        for name in CLASS_METRICS:
            metric = f"{scored_on}/{name}/{label}"
            theirs, own = vanilla.values(metric), other.values(metric)
            if theirs and own:
                row[name] = ClassChange(
                    metric_mean(theirs.values(), metric),
                    metric_mean(own.values(), metric),
                    paired_gain(own, theirs, metric, rows=fewest),
                )
        rows[label] = row
    return rows


def class_directions(rows: Mapping[str, Mapping[str, ClassChange]]) -> tuple[str, ...]:
    """Say in how many classes each metric rises, falls and stays, going by its mean change."""
    said = []
    for name in CLASS_METRICS:
        changes = [
            row[name].change.mean for row in rows.values() if name in row and row[name].change.is_defined
        ]
        if changes:
            said.append(
                f"{metric_name(name)} is higher in {sum(c > 0 for c in changes)} of {len(changes)} classes, lower in "
                f"{sum(c < 0 for c in changes)} and the same in {sum(c == 0 for c in changes)}"
            )
    return tuple(said)


def _section(
    comparison: Comparison,
    pairs: Mapping[float | str, tuple[TrialRecord, TrialRecord]],
    metric: str,
    other: str,
    texts: Mapping[str, tuple[int, int]],
) -> ClassSection:
    classes = tuple(comparison.study["corpus"]["classes"])
    scored_on = metric.partition("/")[0]
    tables = []
    for ratio, (vanilla, arm) in pairs.items():
        rows = class_changes(vanilla, arm, scored_on, classes, texts)
        if any(rows.values()):
            changes = [cell.change for row in rows.values() for cell in row.values()]
            shared = len(vanilla.replicates.keys() & arm.replicates.keys())
            tables.append(ClassTable(ratio, rows, class_directions(rows), scale_of(changes), shared))
    found = {name for table in tables for row in table.rows.values() for name in row}
    metrics = tuple(name for name in CLASS_METRICS if name in found)
    return ClassSection(part_name(metric), other, texts, metrics, tuple(tables))


def _confirmed_texts(
    comparison: Comparison, pair: tuple[TrialRecord, TrialRecord] | None
) -> dict[str, tuple[int, int]]:
    """Count the test texts of each class in the kept scores: the same in every replicate and at every ratio."""
    if pair is None or comparison.confirmation is None:
        return {}
    vanilla, _ = pair
    run = comparison.confirmation.scores.of(vanilla, next(iter(vanilla.replicates)), vanilla)
    labels = run.test_labels[scored_rows(run, comparison.confirmation.metric)]
    classes = comparison.study["corpus"]["classes"]
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return {name: (n, n) for name, n in zip(classes, counts, strict=True)}


def scored_texts(study: Mapping[str, Any], part: str) -> dict[str, tuple[int, int]]:
    """Return the fewest and the most texts of each class that a replicate was scored on; nothing if not counted."""
    counts = study["parts"].get(part, {})
    ranges = study.get("part_ranges", {}).get(part, {})
    return {name: tuple(ranges.get(name, (n, n))) for name, n in counts.items()}


def scale_of(intervals: Iterable[Interval]) -> float:
    """Return the half-width of an axis around zero that fits these intervals, or 0 if there are none."""
    ends = [
        abs(end)
        for interval in intervals
        if interval.is_defined
        for end in (interval.mean, interval.ci_low, interval.ci_high)
        if end is not None
    ]
    return max(ends, default=0.0)
