"""A small square plot on two axes from 0 to 1, for shares of something against shares of something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from study.verdict.svg import element, line, shortened, text

_LEFT, _TOP, _SIDE, _RIGHT, _BOTTOM = 38.0, 50.0, 200.0, 12.0, 40.0
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Panel:
    """What stands around the marks of a plot.

    Attributes
    ----------
    name
        Unique on the page.
    title, subtitle
        Two lines above it.
    x_label, y_label
        Of its axes.
    description
        What is to be seen in it, for who cannot.
    """

    name: str
    title: str
    subtitle: str
    x_label: str
    y_label: str
    description: str

    def drawn(self, marks: Sequence[str]) -> str:
        """Return the plot as an ``<svg>`` element."""
        low, high = place(0, 0), place(1, 1)
        ticks = []
        for tick in _TICKS:
            x, y = place(tick, tick)
            ticks.append(line([(x, low[1]), (x, high[1])], "line", 0.6))
            ticks.append(line([(low[0], y), (high[0], y)], "line", 0.6))
            if tick != 0.25 and tick != 0.75:
                ticks.append(text(x, low[1] + 13, f"{tick:g}", anchor="middle"))
                ticks.append(text(low[0] - 5, y + 4, f"{tick:g}", anchor="end"))
        middle = place(0.5, 0.5)
        words = [
            text(_LEFT - 26, 16, shortened(self.title, 36), style="font-weight: 600; font-size: 13px"),
            text(_LEFT - 26, 34, self.subtitle),
            text(middle[0], low[1] + 30, self.x_label, anchor="middle"),
            text(_LEFT - 26, middle[1], self.y_label, anchor="middle", turn=-90),
        ]
        size = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM
        return element(self.name, size, self.title, self.description, [*ticks, *words, *marks])


def place(x: float, y: float) -> tuple[float, float]:
    """Return where a point of the unit square lies in the drawing."""
    return _LEFT + _SIDE * x, _TOP + _SIDE * (1 - y)
