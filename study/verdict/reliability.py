"""Calibration on the test split: how often a predicted class is right against how sure the model was of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from study.verdict.panel import Panel, place
from study.verdict.statistics import metric_mean
from study.verdict.svg import line
from trainables.interval import Interval
from trainables.metrics import CALIBRATION_BINS, calibration_bin, expected_calibration_error
from trainables.scores import RunScores

Floats = npt.NDArray[np.float64]
_LARGEST = 9.0  # radius of the mark of a bin that holds all texts


@dataclass(frozen=True)
class Reliability:
    """The predicted classes of some runs by the probability that each was given.

    Attributes
    ----------
    confidence, accuracy
        (B,) mean probability of the predicted class, and how often it was right; NaN for a bin that is empty.
    share
        (B,) share of the texts.
    error
        Expected calibration error, mean over replicates.
    """

    confidence: Floats
    accuracy: Floats
    share: Floats
    error: Interval


def reliability(runs: Sequence[RunScores]) -> Reliability:
    """Return the reliability of runs, their texts taken together."""
    confidences, corrects = [], []
    for run in runs:
        p = softmax(run.test.astype(np.float64), axis=1)
        confidences.append(p.max(axis=1))
        corrects.append(p.argmax(axis=1) == run.test_labels)
    errors = [expected_calibration_error(*pair) for pair in zip(confidences, corrects, strict=True)]
    confidence, correct = np.concatenate(confidences), np.concatenate(corrects)
    index = calibration_bin(confidence)
    rows = np.bincount(index, minlength=CALIBRATION_BINS)
    some = np.where(rows > 0, rows, np.nan)
    return Reliability(
        np.bincount(index, weights=confidence, minlength=CALIBRATION_BINS) / some,
        np.bincount(index, weights=correct, minlength=CALIBRATION_BINS) / some,
        rows / len(index),
        metric_mean(errors, "test/ece"),
    )


def reliability_figure(name: str, title: str, runs: Sequence[RunScores], *, is_vanilla: bool) -> str:
    """Draw the reliability of one arm.

    Parameters
    ----------
    name
        Unique on the page.
    title
        Name of the arm.
    runs
        Its runs.
    is_vanilla
        Whether it is vanilla, which is dashed and hollow everywhere.
    """
    found = reliability(runs)
    filled = ~np.isnan(found.accuracy)
    points = [
        place(float(x), float(y))
        for x, y in zip(found.confidence[filled], found.accuracy[filled], strict=True)
    ]
    colour = "ink" if is_vanilla else "series-0"
    fill = "paper" if is_vanilla else colour
    marks = [
        line([place(0, 0), place(1, 1)], "soft", 1.0, "1 3"),
        line(points, colour, 1.4, "5 3" if is_vanilla else ""),
        *(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + _LARGEST * share**0.5:.1f}" '
            f'style="fill: var(--{fill}); stroke: var(--{colour}); stroke-width: 1.5; fill-opacity: .75"/>'
            for (x, y), share in zip(points, found.share[filled].tolist(), strict=True)
        ),
    ]
    gap = float(np.nansum((found.confidence - found.accuracy) * found.share))
    described = (
        f"Expected calibration error {found.error.text()}. On average a predicted class gets a probability "
        f"{abs(gap):.3f} {'above' if gap > 0 else 'below'} the share of texts on which it is right."
    )
    subtitle = (
        f"ECE {found.error.text() if found.error.ci_low is not None else format(found.error.mean, '.3f')}"
    )
    labels = "probability of the predicted class", "share that is right"
    return Panel(name, title, subtitle, *labels, described).drawn(marks)
