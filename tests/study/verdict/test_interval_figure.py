from __future__ import annotations

import pytest

from study.verdict.interval_figure import FigureRow, interval_figure
from trainables.interval import Interval

BLUE, RED, GREY = "#1f6feb", "#b42318", "#6e7681"


@pytest.mark.parametrize(
    ("metric", "mean", "low", "high", "colour", "words"),
    [
        ("test/macro_f1", 0.05, 0.02, 0.08, BLUE, "better"),
        ("test/macro_f1", -0.05, -0.08, -0.02, RED, "worse"),
        ("test/nll", -0.05, -0.08, -0.02, BLUE, "better"),  # of an error less is better
        ("test/nll", 0.05, 0.02, 0.08, RED, "worse"),
        ("test/macro_f1", 0.05, -0.02, 0.12, GREY, "no difference shown"),
    ],
)
def test_the_colour_says_what_the_words_say(metric, mean, low, high, colour, words):
    row = FigureRow("paper", Interval(mean=mean, n=5, ci_low=low, ci_high=high))
    figure = interval_figure([row], title="t", axis="gain", metric=metric)
    assert [c for c in (BLUE, RED, GREY) if c in figure] == [colour]
    assert words in figure
