"""The ladder as a figure of its own: an SVG file with one rung a row, the paper's protocol at the bottom."""

from __future__ import annotations

import io

import matplotlib as mpl
from matplotlib.figure import Figure

from study.verdict.answer import reading
from study.verdict.ladder import Ladder
from study.verdict.words import evaluated_on, metric_name, ratio_phrase

_SHOWN, _NOT_SHOWN, _INK, _FAINT = "#1f6feb", "#8a8f98", "#1c1e21", "#c9ccd1"
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ladder",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "text.parse_math": False,
}


def ladder_figure(ladder: Ladder) -> str:
    """Return the figure as the text of an SVG file; the same ladder gives the same text.

    A blue mark has an interval that leaves out zero, a grey one has not.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 1.0 + 0.75 * len(ladder.rungs)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=_INK, linewidth=1)
        axes.grid(axis="x", color=_FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        for place, rung in enumerate(ladder.rungs):
            gain = rung.gain
            if not gain.is_defined:
                continue
            colour = _SHOWN if gain.leaves_out_zero else _NOT_SHOWN
            if gain.ci_low is not None and gain.ci_high is not None:
                axes.plot([gain.ci_low, gain.ci_high], [place, place], color=colour, linewidth=2.5)
            axes.plot([gain.mean], [place], "o", color=colour, markersize=8)
            axes.annotate(
                f"{gain.text(signed=True)}, {reading(gain, ladder.metric)}",
                (gain.mean, place),
                xytext=(0, 9),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
        labels = [
            f"{place}. {rung.title}\nagainst {rung.rival}" for place, rung in enumerate(ladder.rungs, start=1)
        ]
        axes.set_yticks(range(len(ladder.rungs)), labels)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.5, len(ladder.rungs) - 0.3)
        axes.set_xlabel(
            f"gain of the paper's recipe in {metric_name(ladder.metric)}, {ratio_phrase(ladder.ratio)}\n"
            f"{evaluated_on(ladder.metric).lower()}; mean over {ladder.rungs[-1].gain.n} replicates, 95 % interval"
        )
        with io.StringIO() as file:
            figure.savefig(
                file, format="svg", metadata={"Date": None, "Title": f"Protocol ladder of {ladder.study}"}
            )
            return file.getvalue()
