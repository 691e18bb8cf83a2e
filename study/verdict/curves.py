"""Precision against recall of each class on the test split: the winner beside vanilla, means over replicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from study.verdict.panel import Panel, place
from study.verdict.statistics import metric_mean, paired_gain
from study.verdict.svg import line
from trainables.interval import Interval
from trainables.scores import RunScores

Floats = npt.NDArray[np.float64]
# Recalls at which the curves of several replicates are averaged.
GRID = np.linspace(0.0, 1.0, 101)[1:]
_METRIC = "test/minority_auprc"  # the same measure, of any class: it lies between 0 and 1


@dataclass(frozen=True)
class Curve:
    """One class under one arm.

    Attributes
    ----------
    precision
        (100,) mean precision over replicates at the recalls of :data:`GRID`.
    average_precision
        By replicate.
    """

    precision: Floats
    average_precision: dict[int, float]

    @property
    def mean(self) -> Interval:
        """Average precision with its interval over replicates."""
        return metric_mean(self.average_precision.values(), _METRIC)


def precision_recall(scores: Floats, truth: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return recall and precision at every threshold, from the highest score down; rows of one score go together.

    Parameters
    ----------
    scores
        (n,) probability of the class.
    truth
        (n,) whether a row is of the class; some are.

    Examples
    --------
    >>> recall, precision = precision_recall(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    >>> recall.tolist(), precision.round(2).tolist()
    ([0.5, 1.0, 1.0], [1.0, 0.67, 0.5])
    """
    order = np.argsort(-scores, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(truth[order])[last_of_score]
    return hits / truth.sum(), hits / (last_of_score + 1)


def curve(runs: Sequence[RunScores], label: int) -> Curve:
    """Return the curve of a class, the mean over runs.

    Average precision is Σ (R_n - R_{n-1})·P_n over thresholds, and the precision at a recall is that of the first
    threshold which reaches it, so that the area below one run's curve is its average precision.
    """
    at_grid, averages = [], {}
    for replicate, run in enumerate(runs):
        recall, precision = precision_recall(
            softmax(run.test.astype(np.float64), axis=1)[:, label], run.test_labels == label
        )
        averages[replicate] = float(np.sum(np.diff(recall, prepend=0.0) * precision))
        at_grid.append(precision[np.searchsorted(recall, GRID - 1e-9)])
    return Curve(np.mean(at_grid, axis=0), averages)


def curve_figure(
    name: str, title: str, label: int, vanilla: Sequence[RunScores], winner: Sequence[RunScores]
) -> str:
    """Draw the curves of one class.

    Parameters
    ----------
    name
        Unique on the page.
    title
        Name of the class.
    label
        Its index; the test split holds some rows of it.
    vanilla, winner
        Their runs on the same replicates.
    """
    theirs, own = curve(vanilla, label), curve(winner, label)
    share = float(np.mean(vanilla[0].test_labels == label))
    gain = paired_gain(own.average_precision, theirs.average_precision, _METRIC)
    change = gain.text(signed=True).partition(" (")[0]
    subtitle = f"AP {theirs.mean.mean:.3f} → {own.mean.mean:.3f}: {change}"
    described = (
        f"Average precision of vanilla {theirs.mean.text()}, of the winner {own.mean.text()}, difference "
        f"{gain.text(signed=True)}; {share:.1%} of the test texts are of this class."
    )
    marks = [
        line([place(0, share), place(1, share)], "soft", 1.0, "1 3"),
        line(_path(theirs), "ink", 1.4, "5 3"),
        line(_path(own), "series-0", 2.2),
    ]
    return Panel(name, title, subtitle, "recall", "precision", described).drawn(marks)


def _path(found: Curve) -> list[tuple[float, float]]:
    return [place(float(x), float(y)) for x, y in zip(GRID, found.precision, strict=True)]
