"""What the kept scores of a confirmation show: curves, confusions and calibration of the winner beside vanilla."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.verdict.comparison import Comparison
from study.verdict.confirmed import ConfirmedRatio
from study.verdict.confusion import OTHERS, confusion, confusion_figure, merged, most_confused
from study.verdict.curves import curve_figure
from study.verdict.evidence import Scores, paired_replicates
from study.verdict.reliability import reliability_figure
from trainables.scores import RunScores

# Of more classes the rarest in training are drawn: they are what imbalance is about.
MOST_CURVES = 12
VANILLA, WINNER = "vanilla finetuning", "winner"


@dataclass(frozen=True)
class Drawing:
    """A figure: the name of its file, without suffix, and its SVG element."""

    file: str
    svg: str


@dataclass(frozen=True)
class ScoreFigures:
    """The figures of one imbalance ratio.

    Attributes
    ----------
    ratio, replicates, texts
        The imbalance ratio, and on how many replicates and test texts they rest.
    classes
        Number of classes that have test texts.
    curves
        One for each class that is drawn.
    confusions, reliabilities
        Of vanilla and of the winner.
    has_others
        Whether the matrices take some classes together.
    """

    ratio: float | str
    replicates: int
    texts: int
    classes: int
    curves: tuple[Drawing, ...]
    confusions: tuple[Drawing, ...]
    reliabilities: tuple[Drawing, ...]
    has_others: bool


def score_figures(comparison: Comparison) -> list[ScoreFigures]:
    """Return the figures of every confirmed ratio; none before a confirmation.

    Raises
    ------
    StudyStopped
        Scores that a verdict rests on cannot be read.
    """
    if comparison.confirmation is None:
        return []
    scores = comparison.confirmation.scores
    classes = tuple(comparison.study["corpus"]["classes"])
    return [_of_ratio(found, scores, classes) for found in comparison.confirmation.ratios]


def _of_ratio(found: ConfirmedRatio, scores: Scores, classes: Sequence[str]) -> ScoreFigures:
    reference = found.of_role("vanilla")
    assert reference is not None  # there is no verdict without
    shared = paired_replicates(found.winner.record, reference.record, found.replicates)
    vanilla, winner = (
        [scores.of(arm.record, replicate, reference.record) for replicate in shared]
        for arm in (reference, found.winner)
    )
    labels = vanilla[0].test_labels
    present = np.bincount(labels, minlength=len(classes)) > 0
    rarest = [int(c) for c in vanilla[0].order[::-1] if present[c]][:MOST_CURVES]
    matrices = [confusion(runs, len(classes)) for runs in (vanilla, winner)]
    shown = most_confused(matrices)
    names = [classes[c] for c in shown]
    names += [OTHERS] if len(shown) < len(classes) else []
    both = ((VANILLA, vanilla, matrices[0]), (WINNER, winner, matrices[1]))
    return ScoreFigures(
        ratio=found.ratio,
        replicates=len(shared),
        texts=len(labels),
        classes=int(present.sum()),
        curves=tuple(_curve(found.ratio, classes[c], c, vanilla, winner) for c in sorted(rarest)),
        confusions=tuple(
            Drawing(file, confusion_figure(file, title, merged(matrix, shown), names))
            for title, _, matrix in both
            for file in [f"confusion-{found.ratio}-{title.split()[0]}"]
        ),
        reliabilities=tuple(
            Drawing(file, reliability_figure(file, title, runs, is_vanilla=title == VANILLA))
            for title, runs, _ in both
            for file in [f"calibration-{found.ratio}-{title.split()[0]}"]
        ),
        has_others=len(shown) < len(classes),
    )


def _curve(
    ratio: float | str, name: str, label: int, vanilla: Sequence[RunScores], winner: Sequence[RunScores]
) -> Drawing:
    words = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:40]
    # With the number, because two names may have the same letters.
    file = f"precision-recall-{ratio}-{label}-{words}".rstrip("-")
    return Drawing(file, curve_figure(f"precision-recall-{ratio}-{label}", name, label, vanilla, winner))
