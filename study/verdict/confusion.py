"""Confusion matrices on the test split: what the texts of each class are taken for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from study.verdict.svg import element, shortened, text
from trainables.scores import RunScores

Floats = npt.NDArray[np.float64]
# A drawing of more classes cannot be read; the others are taken together.
MOST_CLASSES = 10
OTHERS = "all others"
_CELL, _LEFT, _TOP, _RIGHT = 38.0, 132.0, 116.0, 46.0


def confusion(runs: Sequence[RunScores], n_classes: int) -> Floats:
    """Return how many texts of each class (rows) are taken for each class (columns), the mean over runs."""
    found = np.zeros((n_classes, n_classes))
    for run in runs:
        np.add.at(found, (run.test_labels, run.test.argmax(axis=1)), 1.0)
    return found / len(runs)


def most_confused(matrices: Sequence[Floats], most: int = MOST_CLASSES) -> list[int]:
    """Return the classes with the most errors in all matrices, as missed ones or as false ones, in their own order."""
    total = np.sum(matrices, axis=0)
    if len(total) <= most:
        return list(range(len(total)))
    errors = total.sum(axis=0) + total.sum(axis=1) - 2 * np.diag(total)
    worst = np.argsort(-errors, kind="stable")[: most - 1]
    return sorted(worst.tolist())


def merged(matrix: Floats, shown: Sequence[int]) -> Floats:
    """Return a matrix of the classes that are shown and, where some are not, all others as a last one."""
    if len(shown) == len(matrix):
        return matrix
    place = np.full(len(matrix), len(shown))
    place[list(shown)] = np.arange(len(shown))
    found = np.zeros((len(shown) + 1, len(shown) + 1))
    np.add.at(found, (place[:, None], place[None, :]), matrix)
    return found


def confusion_figure(name: str, title: str, matrix: Floats, classes: Sequence[str]) -> str:
    """Draw a matrix: a row is a class, a cell the percentage of its texts that are taken for the class of the column.

    Parameters
    ----------
    name
        Unique on the page.
    title
        Name of the arm.
    matrix
        (C, C) texts of each class by what they are taken for.
    classes
        C names.
    """
    n = len(classes)
    totals = matrix.sum(axis=1)
    marks = [
        text(6, 18, title, style="font-weight: 600; font-size: 13px"),
        text(6, _TOP - 10, "is ↓  taken for →"),
    ]
    for i, of in enumerate(classes):
        y = _TOP + _CELL * i
        x = _LEFT + _CELL * i
        marks.append(text(_LEFT - 7, y + _CELL / 2 + 4, shortened(of, 20), anchor="end"))
        marks.append(text(x + _CELL / 2 + 2, _TOP - 7, shortened(of, 17), turn=-48))
        marks.append(
            text(_LEFT + _CELL * n + 6, y + _CELL / 2 + 4, f"{round(totals[i]):,}", style="fill: var(--soft)")
        )
        shares = matrix[i] / totals[i] if totals[i] else np.zeros(n)
        marks += [_cell(_LEFT + _CELL * j, y, share, i == j) for j, share in enumerate(shares.tolist())]
    size = _LEFT + _CELL * n + _RIGHT, _TOP + _CELL * n + 6
    return element(name, size, title, _described(matrix, classes), marks)


def _cell(x: float, y: float, share: float, is_right: bool) -> str:
    ink = "paper" if share > 0.7 else "ink"
    edge = "stroke: var(--ink); stroke-width: 1.6" if is_right else "stroke: var(--line); stroke-width: .8"
    box = (
        f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{_CELL - 2:g}" height="{_CELL - 2:g}" '
        f'style="fill: var(--series-0); fill-opacity: {share:.2f}; {edge}"/>'
    )
    if share < 0.005:
        return box
    percent = text(
        x + _CELL / 2, y + _CELL / 2 + 4, f"{100 * share:.0f}", anchor="middle", style=f"fill: var(--{ink})"
    )
    return box + percent


def _described(matrix: Floats, classes: Sequence[str]) -> str:
    """Say which confusions take the most texts."""
    wrong = matrix - np.diag(np.diag(matrix))
    found = np.argsort(-wrong, axis=None, kind="stable")[:3]
    said = [
        f"{classes[i]} taken for {classes[j]} {wrong[i, j]:.1f} times"
        for i, j in zip(*np.unravel_index(found, wrong.shape), strict=True)
        if wrong[i, j] > 0
    ]
    return f"The most frequent confusions: {'; '.join(said)}." if said else "Nothing is confused."
