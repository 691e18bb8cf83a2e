"""What every arm gains beside what it costs: one row each, so that a dear gain is seen to be one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from study.verdict.svg import element, line, shortened, text
from trainables.interval import Interval

_NAMES, _GAINS, _COSTS, _ROW, _TOP = 246.0, 220.0, 130.0, 30.0, 70.0
_GAP = 26.0
_RIGHT = 56.0


class CostRow(NamedTuple):
    """An arm: its name, its gain over vanilla, the seconds of one of its replicates, and how it is marked."""

    name: str
    gain: Interval
    seconds: float
    is_leading: bool = False


def cost_figure(name: str, title: str, rows: Sequence[CostRow], metric: str) -> str:
    """Draw gains with their intervals, and beside them the time of one replicate against vanilla's.

    Parameters
    ----------
    name
        Unique on the page.
    title
        What the drawing is called.
    rows
        Vanilla first; its gain is undefined, its seconds are the unit.
    metric
        Name of the metric of the gains, as people read it.
    """
    ends = [
        end
        for row in rows
        for end in (row.gain.mean, row.gain.ci_low, row.gain.ci_high)
        if row.gain.is_defined and end is not None
    ]
    widest = max((abs(end) for end in ends), default=0.0) or 1.0
    unit = rows[0].seconds or 1.0
    dearest = max(row.seconds for row in rows) / unit or 1.0
    bottom = _TOP + _ROW * len(rows)

    def gain_at(value: float) -> float:
        return _NAMES + _GAINS / 2 * (1 + value / widest)

    left = _NAMES + _GAINS + _GAP
    marks = [
        text(6, 18, title, style="font-weight: 600; font-size: 13px"),
        line([(gain_at(0), _TOP), (gain_at(0), bottom)], "ink", 1.0),
        line([(left, _TOP), (left, bottom)], "ink", 1.0),
        text(gain_at(0), 44, f"gain in {shortened(metric, 34)}", anchor="middle"),
        text(left, 44, "time, vanilla = 1"),
        *(
            text(
                gain_at(end), 60, f"{end:+.2g}".replace("-", "−"), anchor="middle", style="fill: var(--soft)"
            )
            for end in (-widest, widest)
        ),
        text(gain_at(0), 60, "0", anchor="middle", style="fill: var(--soft)"),
    ]
    for i, row in enumerate(rows):
        y = _TOP + _ROW * (i + 0.5)
        times = row.seconds / unit
        weight = "font-weight: 600" if row.is_leading else ""
        marks.append(text(_NAMES - 10, y + 4, shortened(row.name, 40), anchor="end", style=weight))
        marks += _gain_marks(row, y, gain_at)
        width = _COSTS * times / dearest
        colour = "series-0" if row.is_leading else "faint"
        marks.append(
            f'<rect x="{left:g}" y="{y - 7:g}" width="{max(width, 1):.1f}" height="14" '
            f'style="fill: var(--{colour})"/>'
        )
        marks.append(text(left + width + 6, y + 4, f"{times:.2g}" if times >= 0.01 else "0"))
    said = "; ".join(
        f"{row.name} {'the reference' if not row.gain.is_defined else row.gain.text(signed=True)} at "
        f"{row.seconds / unit:.3g} times vanilla's time"
        for row in rows
    )
    return element(name, (left + _COSTS + _RIGHT, bottom + 8), title, f"{said}.", marks)


def _gain_marks(row: CostRow, y: float, gain_at: Callable[[float], float]) -> list[str]:
    if not row.gain.is_defined:
        return [
            f'<circle cx="{gain_at(0):.1f}" cy="{y:g}" r="5" '
            'style="fill: var(--paper); stroke: var(--ink); stroke-width: 1.6"/>'
        ]
    colour = "series-0" if row.is_leading else "soft"
    low, high, x = row.gain.ci_low, row.gain.ci_high, gain_at(row.gain.mean)
    marks = []
    if low is not None and high is not None:
        marks.append(line([(gain_at(low), y), (gain_at(high), y)], colour, 2.2))
    fill = colour if marks else "paper"
    marks.append(
        f'<circle cx="{x:.1f}" cy="{y:g}" r="5" '
        f'style="fill: var(--{fill}); stroke: var(--{colour}); stroke-width: 1.6"/>'
    )
    return marks
