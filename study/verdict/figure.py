"""The report's figure: gain by imbalance ratio, as an SVG element that follows the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.record.gains import lower_is_better
from study.verdict.comparison import Comparison
from study.verdict.confirmed import ConfirmedStudy
from study.verdict.words import arm_name, metric_name, ratio_name
from trainables.interval import Interval

# Matplotlib cannot write CSS variables, so each role has a placeholder colour that is replaced afterwards.
_INK, _FAINT, _PAPER = "#010101", "#020202", "#030303"
_SERIES = ("#050505", "#060606", "#070707", "#080808")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")
_VARIABLES = {
    _INK: "var(--ink)",
    _FAINT: "var(--faint)",
    _PAPER: "var(--paper)",
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


@dataclass(frozen=True)
class _Series:
    """One arm's gains by imbalance ratio."""

    name: str
    gains: Mapping[float | str, Interval]


def gain_figure(comparison: Comparison) -> str:
    """Draw the gain of the leading trial, of every trial and of the controls on validation, by imbalance ratio.

    Returns
    -------
    str
        An ``<svg>`` element with title and description, or an empty string where there is no gain to draw.
    """
    leading = {ratio: best.gain for ratio, best in comparison.best.items()}
    controls: dict[str, dict[float | str, Interval]] = {}
    for result in comparison.baselines:
        ratio, arm = result.record.imbalance_ratio, result.record.arm
        if arm != "vanilla" and result.gain.is_defined and result is not comparison.best.get(ratio):
            shown = comparison.baseline(ratio, arm) or result
            controls.setdefault(arm_name(arm), {})[ratio] = shown.gain
    series = [_Series(comparison.leading_name, leading), *(_Series(*item) for item in controls.items())]
    points = {
        ratio: [t.gain.mean for t in comparison.trials_at(ratio) if t.gain.is_defined]
        for ratio in comparison.ratios
    }
    title = "Gain over vanilla finetuning by imbalance ratio"
    return _drawn(series, comparison.ratios, comparison.metric, "gain", title, points)


def confirmed_figure(study: ConfirmedStudy) -> str:
    """Draw the confirmed gains of all arms by imbalance ratio, as :func:`gain_figure` does."""
    names = {"winner": "the winner of pre-finetuning"}
    arms: dict[str, dict[float | str, Interval]] = {}
    for found in study.ratios:
        for arm in found.arms:
            if arm.role != "vanilla":
                arms.setdefault(names.get(arm.role, arm_name(arm.record.arm)), {})[found.ratio] = arm.gain
    ratios = [found.ratio for found in study.ratios]
    title = "Confirmed gain over vanilla finetuning by imbalance ratio"
    return _drawn([_Series(*item) for item in arms.items()], ratios, study.metric, "confirmed", title)


def _drawn(
    series: Sequence[_Series],
    among: Sequence[float | str],
    metric: str,
    name: str,
    title: str,
    points: Mapping[float | str, Sequence[float]] | None = None,
) -> str:
    ratios = [ratio for ratio in among if any(ratio in one.gains for one in series)]
    if not ratios:
        return ""
    offsets = np.linspace(-0.27, 0.27, len(series)) if len(series) > 1 else np.zeros(1)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=_INK, linewidth=1)
        axes.grid(axis="y", color=_FAINT, linewidth=0.5, alpha=0.5)
        axes.set_axisbelow(True)
        _draw_points(axes, points or {}, ratios, float(offsets[0]))
        for i, one in enumerate(series):
            _draw_series(axes, one, ratios, float(offsets[i]), i)
        axes.set_xticks(range(len(ratios)), [ratio_name(ratio) for ratio in ratios])
        axes.set_xlim(-0.5, len(ratios) - 0.5)
        axes.set_xlabel("imbalance ratio, n_minority / n_majority")
        direction = ", lower is better" if lower_is_better(metric) else ""
        axes.set_ylabel(f"gain in {metric_name(metric)}{direction}\n(0 = vanilla, same replicates)")
        axes.tick_params(length=0)
        figure.legend(loc="outside lower center", ncols=min(len(series) + 1, 3), frameon=False, fontsize=9)
        return _accessible_svg(figure, name, title, " ".join(_described(series, ratio) for ratio in ratios))


def _draw_points(
    axes: Axes, points: Mapping[float | str, Sequence[float]], ratios: Sequence[float | str], offset: float
) -> None:
    """Scatter every trial beside the leading one, spread by rank rather than at random, so that redraws are equal."""
    x: list[float] = []
    y: list[float] = []
    for position, ratio in enumerate(ratios):
        gains = points.get(ratio, ())
        golden = (np.arange(len(gains)) * 0.618034) % 1 - 0.5
        x.extend(position + offset + 0.16 * golden)
        y.extend(gains)
    if y:
        axes.scatter(x, y, s=22, color=_SERIES[0], alpha=0.4, linewidths=0, label="every trial", zorder=2)


def _draw_series(axes: Axes, one: _Series, ratios: Sequence[float | str], offset: float, index: int) -> None:
    color = _SERIES[index % len(_SERIES)]
    marker = _MARKERS[index % len(_MARKERS)]
    labelled = False
    for position, ratio in enumerate(ratios):
        gain, x = one.gains.get(ratio), position + offset
        if gain is None or not gain.is_defined:
            continue
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
            label=None if labelled else one.name,
            zorder=4,
        )
        labelled = True


def _accessible_svg(figure: Figure, name: str, title: str, description: str) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    # Several figures stand on one page, and matplotlib names the parts of each alike.
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\1{name}-", svg)
    opening = f'<svg role="img" aria-labelledby="{name}-title {name}-description" class="figure"'
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*"', rf"{opening}\1", svg, count=1)
    svg = re.sub(r'^(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    end = svg.index(">") + 1
    labels = f'<title id="{name}-title">{title}</title><desc id="{name}-description">{_escaped(description)}</desc>'
    return svg[:end] + labels + svg[end:]


def _described(series: Sequence[_Series], ratio: float | str) -> str:
    gains = [f"{one.name} {one.gains[ratio].text(signed=True)}" for one in series if ratio in one.gains]
    return f"Ratio {ratio_name(ratio)}: {'; '.join(gains)}."


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
