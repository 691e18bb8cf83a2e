"""The trials of a search as lines through their settings: which values the ones with the largest gains share."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from study.verdict.svg import element, line, shortened, text
from study.verdict.words import setting_text

_STEP, _LEFT, _RIGHT, _TOP, _HEIGHT, _BOTTOM = 108.0, 92.0, 60.0, 88.0, 230.0, 20.0
_APART = 7.0  # lines through one value are spread so far, that they can be told apart
_MOST_VALUES = 8  # an axis with more is labelled at its ends alone


class TrialLine(NamedTuple):
    """A trial: its settings, its mean gain, and whether it leads."""

    config: dict[str, Any]
    gain: float
    is_leading: bool = False


def parallel_figure(name: str, title: str, settings: Sequence[str], trials: Sequence[TrialLine]) -> str:
    """Draw every trial as a line from setting to setting and to its gain, the last axis.

    The leading trial and the upper quarter by gain are drawn over the others, thicker; they stand out without colour.

    Parameters
    ----------
    name
        Unique on the page.
    title
        What the drawing is called.
    settings
        The searched settings that differ.
    trials
        At least one; gains are finite.
    """
    axes = [_Axis(each, [trial.config.get(each) for trial in trials]) for each in settings]
    gains = sorted(trial.gain for trial in trials)
    low, high = gains[0], gains[-1]
    good = gains[-max(1, math.ceil(len(gains) / 4))]

    def gain_at(value: float) -> float:
        return _TOP + _HEIGHT * (0.5 if high == low else (high - value) / (high - low))

    last = _LEFT + _STEP * len(axes)
    marks = [text(6, 18, title, style="font-weight: 600; font-size: 13px")]
    for place, axis in enumerate(axes):
        marks += axis.drawn(_LEFT + _STEP * place, above=place % 2 == 0)
    marks.append(line([(last, _TOP), (last, _TOP + _HEIGHT)], "ink", 1.4))
    marks.append(
        text(last, 44 if len(axes) % 2 == 0 else 62, "gain", anchor="middle", style="font-weight: 600")
    )
    # The best are drawn last, over the others.
    for number, trial in enumerate(sorted(trials, key=lambda t: (t.is_leading, t.gain))):
        # By rank rather than at random, so that redraws are equal.
        aside = _APART * (2 * (number * 0.618034 % 1) - 1)
        points = [
            (_LEFT + _STEP * place, axis.at(trial.config.get(axis.name)) + aside)
            for place, axis in enumerate(axes)
        ]
        points.append((last, gain_at(trial.gain)))
        if trial.is_leading:
            marks.append(line(points, "series-0", 3.2))
        elif trial.gain >= good:
            marks.append(line(points, "series-0", 1.4))
        else:
            marks.append(line(points, "faint", 1.0))
    for value in dict.fromkeys((high, low)):
        marks.append(_label(last + 7, gain_at(value) + 4, f"{value:+.3f}".replace("-", "−"), "start"))
    for place, axis in enumerate(axes):
        marks += axis.labels(_LEFT + _STEP * place)
    size = last + _RIGHT, _TOP + _HEIGHT + _BOTTOM
    best = max(trials, key=lambda t: (t.is_leading, t.gain))
    described = ", ".join(f"{axis.name} {setting_text(best.config.get(axis.name))}" for axis in axes)
    return element(name, size, title, f"The best line: {described}, gain {best.gain:+.3f}.", marks)


class _Axis:
    """The values of one setting, from the bottom up: numbers in their order, others as they come."""

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        found = {_key(value): value for value in values}
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in found.values())
        self._values = sorted(found.values()) if numbers else [found[key] for key in sorted(found)]
        self._places = {_key(value): place for place, value in enumerate(self._values)}

    def at(self, value: Any) -> float:
        """Return the height of a value in the drawing; all values are equally far apart."""
        top = len(self._values) - 1
        return _TOP + _HEIGHT * (0.5 if top == 0 else 1 - self._places[_key(value)] / top)

    def drawn(self, x: float, *, above: bool) -> list[str]:
        """Return the axis and its name; neighbours' names stand at different heights."""
        words = shortened(self.name.replace("_", " "), 24)
        return [
            line([(x, _TOP - _APART), (x, _TOP + _HEIGHT + _APART)], "ink", 1.0),
            text(x, 44 if above else 62, words, anchor="middle", style="font-weight: 600"),
        ]

    def labels(self, x: float) -> list[str]:
        """Return the values beside the axis, over the lines."""
        shown = self._values if len(self._values) <= _MOST_VALUES else [self._values[0], self._values[-1]]
        return [
            _label(x - 5, self.at(value) + 4, shortened(setting_text(value), 14), "end") for value in shown
        ]


def _label(x: float, y: float, words: str, anchor: str) -> str:
    """Return words that can be read over lines."""
    return text(
        x, y, words, anchor=anchor,
        style="paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round",
    )  # fmt: skip


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
