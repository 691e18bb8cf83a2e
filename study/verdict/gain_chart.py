"""The gain at every imbalance ratio, drawn in characters."""

from __future__ import annotations

from study.verdict.confirmed import ConfirmedStudy
from study.verdict.words import ratio_name

_HALF = 20  # columns on each side of zero


def gain_chart(study: ConfirmedStudy) -> list[str]:
    """Return one line a ratio: its name, the winner's gain with its interval on a common axis, and the verdict.

    The line is the interval, the dot the mean, the bar zero.
    """
    ends = [
        abs(end)
        for found in study.ratios
        for end in (found.winner.gain.mean, found.winner.gain.ci_low, found.winner.gain.ci_high)
        if end is not None and found.winner.gain.is_defined
    ]
    scale = max(ends, default=0.0) or 1.0
    width = max(len(ratio_name(found.ratio)) for found in study.ratios)

    def column(value: float) -> int:
        return _HALF + round(_HALF * value / scale)

    lines = []
    for found in study.ratios:
        gain, cells = found.winner.gain, [" "] * (2 * _HALF + 1)
        if gain.ci_low is not None and gain.ci_high is not None:
            low, high = column(gain.ci_low), column(gain.ci_high)
            cells[low : high + 1] = "─" * (high - low + 1)
        cells[_HALF] = "│"
        if gain.is_defined:
            cells[column(gain.mean)] = "●"
        lines.append(
            f"{ratio_name(found.ratio):<{width}}  {''.join(cells)}  {gain.text(signed=True)}  {found.verdict.verdict}"
        )
    return lines
