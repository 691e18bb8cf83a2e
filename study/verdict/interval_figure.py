"""A figure of means with their intervals, one a row: an SVG file that stands on its own."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from study.verdict.statistics import reading
from trainables.interval import Interval

_THEIRS, _INK, _FAINT = "#b35900", "#1c1e21", "#c9ccd1"
_BETTER, _WORSE, _NOT_SHOWN = (
    ("o", "#1f6feb", "#1f6feb"),
    ("s", "#b42318", "#b42318"),
    ("o", "#6e7681", "white"),
)
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "intervals",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "text.parse_math": False,
}


class FigureRow(NamedTuple):
    """A row: what is compared, the difference, and the one that was published for it, if any."""

    label: str
    gain: Interval
    published: float | None = None


def interval_figure(rows: Sequence[FigureRow], *, title: str, axis: str, metric: str) -> str:
    """Return the figure as the text of an SVG file; the same rows give the same text. The first row is at the bottom.

    A filled mark has an interval that leaves out zero (a blue circle: better, a red square: worse), a hollow grey one
    has not; a diamond is a published figure.

    Parameters
    ----------
    rows
        The rows, from the bottom up.
    title, axis
        Title of the file, and the label of its axis.
    metric
        Metric of the differences, for the words beside them.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 1.0 + 0.75 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=_INK, linewidth=1)
        axes.grid(axis="x", color=_FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        for place, row in enumerate(rows):
            if row.published is not None:
                axes.plot([row.published], [place - 0.18], "D", color=_THEIRS, markersize=6)
            gain = row.gain
            if not gain.is_defined:
                continue
            shows = reading(gain, metric)
            mark, colour, inside = {"better": _BETTER, "worse": _WORSE}.get(shows, _NOT_SHOWN)
            if gain.ci_low is not None and gain.ci_high is not None:
                axes.plot([gain.ci_low, gain.ci_high], [place, place], color=colour, linewidth=2.5)
            axes.plot([gain.mean], [place], mark, color=colour, markerfacecolor=inside, markersize=8)
            axes.text(
                1.02,  # in a column of its own, where it meets no label and no interval
                place,
                f"{gain.text(signed=True)}\n{shows}",
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=9,
            )
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.5, len(rows) - 0.3)
        published = (
            "\n◆ as published (another encoder and more rows)"
            if any(r.published is not None for r in rows)
            else ""
        )
        figure.supxlabel(axis + published, fontsize=11)
        with io.StringIO() as file:
            figure.savefig(file, format="svg", metadata={"Date": None, "Title": title})
            return file.getvalue()
