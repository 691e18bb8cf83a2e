"""The ladder as a figure: one rung a row, the paper's protocol at the bottom."""

from __future__ import annotations

from study.verdict.interval_figure import FigureRow, interval_figure
from study.verdict.ladder import Ladder
from study.verdict.words import evaluated_on, metric_name, ratio_phrase


def ladder_figure(ladder: Ladder) -> str:
    """Return the figure as the text of an SVG file."""
    rows = [
        FigureRow(f"{place}. {rung.title}\nagainst {rung.rival}", rung.gain)
        for place, rung in enumerate(ladder.rungs, start=1)
    ]
    axis = (
        f"gain of the paper's recipe in {metric_name(ladder.metric)}, {ratio_phrase(ladder.ratio)}\n"
        f"{evaluated_on(ladder.metric).lower()}; mean over {ladder.rungs[-1].gain.n} replicates, 95 % interval"
    )
    return interval_figure(rows, title=f"Protocol ladder of {ladder.study}", axis=axis, metric=ladder.metric)
