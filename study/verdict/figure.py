"""The report's figure: gain by imbalance ratio, as an SVG element that follows the page's colours."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.record.gains import lower_is_better
from study.verdict.comparison import Comparison, Result
from study.verdict.words import arm_name, metric_name, ratio_name
from trainables.interval import Interval

# Matplotlib cannot write CSS variables, so each role has a placeholder colour that is replaced afterwards.
_INK, _FAINT, _PAPER, _WARNING = "#010101", "#020202", "#030303", "#040404"
_SERIES = ("#050505", "#060606", "#070707", "#080808")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")
_VARIABLES = {
    _INK: "var(--ink)",
    _FAINT: "var(--faint)",
    _PAPER: "var(--paper)",
    _WARNING: "var(--warning)",
    **{placeholder: f"var(--series-{i})" for i, placeholder in enumerate(_SERIES)},
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gain-by-ratio",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
}


def gain_figure(comparison: Comparison) -> str:
    """Draw the gain of the leading trial, of every trial and of the controls, by imbalance ratio.

    Returns
    -------
    str
        An ``<svg>`` element with title and description, or an empty string where there is no gain to draw.
    """
    ratios = [r for r in comparison.ratios if r in comparison.best or _controls(comparison, r)]
    if not ratios:
        return ""
    arms = list(dict.fromkeys(c.record.arm for r in ratios for c in _controls(comparison, r)))
    offsets = np.linspace(-0.27, 0.27, len(arms) + 1) if arms else np.zeros(1)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=_INK, linewidth=1)
        axes.grid(axis="y", color=_FAINT, linewidth=0.5, alpha=0.5)
        axes.set_axisbelow(True)
        _draw_all_trials(axes, comparison, ratios, float(offsets[0]))
        leading = [comparison.best.get(ratio) for ratio in ratios]
        _draw_series(axes, leading, float(offsets[0]), 0, comparison.leading_name)
        for i, arm in enumerate(arms, start=1):
            controls = [comparison.baseline(ratio, arm) for ratio in ratios]
            _draw_series(axes, controls, float(offsets[i]), i, arm_name(arm))
        axes.set_xticks(range(len(ratios)), [ratio_name(ratio) for ratio in ratios])
        axes.set_xlim(-0.5, len(ratios) - 0.5)
        axes.set_xlabel("imbalance ratio, n_minority / n_majority")
        direction = ", lower is better" if lower_is_better(comparison.metric) else ""
        axes.set_ylabel(
            f"gain in {metric_name(comparison.metric)}{direction}\n(0 = vanilla, same replicates)"
        )
        axes.tick_params(length=0)
        figure.legend(loc="outside lower center", ncols=min(len(arms) + 2, 3), frameon=False, fontsize=9)
        if comparison.study["corpus"]["is_sample"]:
            axes.text(
                0.5, 0.5, "SAMPLE CORPUS", transform=axes.transAxes, rotation=18, fontsize=52, alpha=0.22,
                color=_WARNING, ha="center", va="center", weight="bold", zorder=5,
            )  # fmt: skip
        return _accessible_svg(figure, comparison, ratios)


def _controls(comparison: Comparison, ratio: float | str) -> list[Result]:
    return [
        b
        for b in comparison.baselines
        if b.record.imbalance_ratio == ratio
        and b.record.arm != "vanilla"
        and b.gain.is_defined
        and b is not comparison.best.get(ratio)
    ]


def _draw_all_trials(axes: Axes, comparison: Comparison, ratios: list[float | str], offset: float) -> None:
    """Scatter every trial beside the leading one, spread by rank rather than at random, so that redraws are equal."""
    x: list[float] = []
    y: list[float] = []
    for position, ratio in enumerate(ratios):
        gains = [t.gain.mean for t in comparison.trials_at(ratio) if t.gain.is_defined]
        golden = (np.arange(len(gains)) * 0.618034) % 1 - 0.5
        x.extend(position + offset + 0.16 * golden)
        y.extend(gains)
    if y:
        axes.scatter(x, y, s=22, color=_SERIES[0], alpha=0.4, linewidths=0, label="every trial", zorder=2)


def _draw_series(axes: Axes, results: list[Result | None], offset: float, index: int, label: str) -> None:
    color = _SERIES[index % len(_SERIES)]
    marker = _MARKERS[index % len(_MARKERS)]
    labelled = False
    for position, result in enumerate(results):
        if result is None or not result.gain.is_defined:
            continue
        gain, x = result.gain, position + offset
        if gain.ci_low is not None and gain.ci_high is not None:
            axes.vlines(x, gain.ci_low, gain.ci_high, color=color, linewidth=2.2, zorder=3)
        axes.plot(
            x,
            gain.mean,
            marker=marker,
            markersize=8.5,
            markeredgewidth=2,
            markeredgecolor=color,
            markerfacecolor=color if gain.ci_low is not None else _PAPER,
            linestyle="none",
            label=None if labelled else label,
            zorder=4,
        )
        labelled = True


def _accessible_svg(figure: Figure, comparison: Comparison, ratios: list[float | str]) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    opening = '<svg role="img" aria-labelledby="gain-title gain-description" class="figure"'
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*"', rf"{opening}\1", svg, count=1)
    svg = re.sub(r'^(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    end = svg.index(">") + 1
    title = "Gain over vanilla finetuning by imbalance ratio"
    description = _escaped(" ".join(_described(comparison, ratio) for ratio in ratios))
    labels = f'<title id="gain-title">{title}</title><desc id="gain-description">{description}</desc>'
    return svg[:end] + labels + svg[end:]


def _described(comparison: Comparison, ratio: float | str) -> str:
    leading = comparison.best.get(ratio)
    gains: list[tuple[str, Interval]] = [(comparison.leading_name, leading.gain)] if leading else []
    gains += [(arm_name(c.record.arm), c.gain) for c in _controls(comparison, ratio)]
    return (
        f"Ratio {ratio_name(ratio)}: " + "; ".join(f"{name} {g.text(signed=True)}" for name, g in gains) + "."
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
