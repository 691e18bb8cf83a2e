"""Drawings of the report: SVG elements that follow the page's colours, and files that stand on their own."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

# What each variable of the page's style sheet stands for, in the light and in the dark.
LIGHT = {
    "ink": "#1b1f24",
    "soft": "#57606a",
    "faint": "#afb8c1",
    "line": "#d8dee4",
    "paper": "#ffffff",
    "panel": "#f6f8fa",
    "warning": "#b35900",
    "warning-paper": "#fff4e0",
    "series-0": "#0072b2",
    "series-1": "#c94f00",
    "series-2": "#00805d",
    "series-3": "#a8487f",
}
DARK = {
    "ink": "#e6edf3",
    "soft": "#9ea7b3",
    "faint": "#59636e",
    "line": "#30363d",
    "paper": "#0f1318",
    "panel": "#171c23",
    "warning": "#f0a14a",
    "warning-paper": "#33240f",
    "series-0": "#56b4e9",
    "series-1": "#f08a45",
    "series-2": "#2fc79a",
    "series-3": "#e08fbb",
}
_NOTE_HEIGHT = 18


def element(
    name: str, size: tuple[float, float], title: str, description: str, marks: Sequence[str], font: int = 11
) -> str:
    """Return a drawing as an ``<svg>`` element that a screen reader can tell.

    Parameters
    ----------
    name
        Unique on the page.
    size
        Width and height; where there is less room, it is scaled down.
    title, description
        What it shows, and what is to be seen in it.
    marks
        Its parts, as SVG.
    font
        Size of its text, in the unit of ``size``.
    """
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" class="drawing" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" aria-labelledby="{name}-title {name}-description" '
        f'font-family="sans-serif" font-size="{font}" style="fill: var(--ink)">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-description">{html.escape(description)}</desc>{"".join(marks)}</svg>'
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", style: str = "", turn: float = 0.0) -> str:
    """Return words at a place; ``anchor`` is start, middle or end, ``turn`` an angle in degrees."""
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    styled = f' style="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{styled}{turned}>{html.escape(words)}</text>'


def line(points: Sequence[tuple[float, float]], colour: str, width: float, dashes: str = "") -> str:
    """Return a line through points; ``colour`` names a variable of the page."""
    dashed = f"; stroke-dasharray: {dashes}" if dashes else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    style = f"fill: none; stroke: var(--{colour}); stroke-width: {width:g}{dashed}"
    return f'<polyline points="{path}" style="{style}"/>'


def shortened(name: str, length: int) -> str:
    """Return a name that has room in a drawing.

    Examples
    --------
    >>> shortened("absorption", 12), shortened("a class with a long name", 12)
    ('absorption', 'a class wit…')
    """
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def standalone(svg: str, note: str = "") -> str:
    """Return a drawing as the text of a file: in the colours of the light page, with a note below it.

    Programs that set papers know no variables of a style sheet.
    """
    svg = re.sub(r"var\(--([\w-]+)\)", lambda found: LIGHT[found[1]], svg).rstrip()
    if note:
        opening, rest = svg.split(">", 1)
        left, top, width, height = map(float, re.findall(r'viewBox="([^"]*)"', opening)[0].split())
        taller = height + _NOTE_HEIGHT
        opening = re.sub(
            r'viewBox="[^"]*"', f'viewBox="{left:g} {top:g} {width:g} {taller:g}"', opening, count=1
        )
        opening = re.sub(r' height="[^"]*"', f' height="{taller:g}"', opening, count=1)
        style = f"font: 10px sans-serif; fill: {LIGHT['warning']}"
        said = text(left + 4, top + taller - 6, note, style=style)
        svg = f"{opening}>{rest.removesuffix('</svg>')}{said}</svg>"
    return svg + "\n"
