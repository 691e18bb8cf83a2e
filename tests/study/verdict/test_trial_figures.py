"""Figures of trials: cost beside gain, and the lines of a search through its settings."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from study.verdict.cost_figure import CostRow, cost_figure
from study.verdict.parallel import TrialLine, parallel_figure
from trainables.interval import Interval

NOTHING = Interval(math.nan, None, None, 0)
ROWS = [
    CostRow("vanilla finetuning", NOTHING, 10.0),
    CostRow("winner", Interval(0.04, 0.01, 0.07, 5), 35.0, is_leading=True),
    CostRow("post-hoc <logit> adjustment", Interval(-0.02, None, None, 1), 0.0),
]
TRIALS = [
    TrialLine(
        {"operator": ("aeda", "eda")[i % 2], "copies": 2 ** (i % 3), "sizes": [i % 2]}, 0.01 * i, i == 4
    )
    for i in range(12)
]


def words(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_time_is_told_against_vanillas():
    said = words(cost_figure("cost", "Cost", ROWS, "macro F1"))
    assert {"1", "3.5", "0", "gain in macro F1", "post-hoc <logit> adjustment"} <= set(said)


def test_bars_are_as_long_as_the_times():
    drawn = cost_figure("cost", "Cost", ROWS, "macro F1")
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', drawn)]
    assert widths[1] == pytest.approx(3.5 * widths[0], rel=0.01)


@pytest.mark.parametrize("rows", [ROWS[:1], [CostRow("vanilla finetuning", NOTHING, 0.0)]])
def test_without_gains_or_times_there_is_still_a_drawing(rows):
    drawn = cost_figure("cost", "Cost", rows, "macro F1")
    assert "nan" not in drawn
    ElementTree.fromstring(drawn)


def test_a_trial_is_a_line_through_all_settings_to_its_gain_and_the_leading_one_is_over_the_others():
    drawn = parallel_figure("lines", "Trials", ["operator", "copies", "sizes"], TRIALS)
    lines = re.findall(
        r'points="([^"]*)" style="[^"]*stroke: var\(--(\w[\w-]*)\); stroke-width: ([\d.]+)', drawn
    )
    trials = [(points, colour, width) for points, colour, width in lines if len(points.split()) == 4]
    assert len(trials) == len(TRIALS)
    assert trials[-1][1:] == ("series-0", "3.2")
    assert sum(width == "1.4" for _, _, width in trials) == 3  # the upper quarter
    assert {"aeda", "eda", "1", "2", "4", "operator", "gain", "+0.110", "+0.000"} <= set(words(drawn))
    assert drawn == parallel_figure("lines", "Trials", ["operator", "copies", "sizes"], TRIALS)


def test_a_single_trial_and_a_missing_setting_are_drawn():
    drawn = parallel_figure("lines", "Trials", ["operator", "copies"], [TrialLine({"operator": "eda"}, 0.1)])
    assert "–" in words(drawn)
