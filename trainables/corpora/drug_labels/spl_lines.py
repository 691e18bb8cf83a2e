"""The text of an SPL section as printed lines, with what is bold, underlined or italic.

A line ends where a reader sees one end: at a paragraph, a list item, a line break, a title, a table cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from trainables.corpora.drug_labels.safe_xml import child, local_name

TITLE, PARAGRAPH, BREAK, ITEM = "title", "paragraph", "break", "item"

_STYLE = re.compile(r"bold|ital|underl|emphasis|strong", re.I)
_HTML_STYLES = frozenset(("b", "strong", "i", "em", "u"))
# Notes, figures and the bullets of lists are not part of the running text.
_SKIPPED = frozenset(
    ("footnote", "footnoteRef", "renderMultiMedia", "observationMedia", "col", "colgroup", "highlight")
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_LETTERS = re.compile(r"[^\W\d_]{3}")


@dataclass(frozen=True)
class Run:
    """Characters of one look.

    Attributes
    ----------
    style
        Sorted style names, ``""`` for plain text.
    raised
        True for superscripts, which mark the notes of a table.
    """

    text: str
    style: str = ""
    raised: bool = False


@dataclass(frozen=True)
class Line:
    """One printed line; ``kind`` says how it begins: title, paragraph, break (inside a paragraph) or item."""

    runs: tuple[Run, ...]
    kind: str

    @property
    def text(self) -> str:
        """The characters with single spaces."""
        return " ".join("".join(run.text for run in self.runs).split())


@dataclass(frozen=True)
class Table:
    """The cells of a table: rows of cells of lines; empty cells are left out."""

    rows: tuple[tuple[tuple[Line, ...], ...], ...]


@dataclass
class _Writer:
    """Collects runs into lines while the elements are walked."""

    lines: list[Line | Table] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    kind: str = PARAGRAPH

    def add(self, text: str | None, style: str, raised: bool) -> None:
        if not text:
            return
        text = re.sub(r"\s+", " ", _INVISIBLE.sub("", text))
        if not text:
            return
        last = self.runs[-1] if self.runs else None
        if last is not None and _lost_space(last, text, style):
            text = f" {text}"
        if last is not None and last.style == style and last.raised == raised:
            self.runs[-1] = Run(last.text + text, style, raised)
        else:
            self.runs.append(Run(text, style, raised))

    def start(self, kind: str) -> None:
        """End the line, and begin one of a kind."""
        if any(run.text.strip() for run in self.runs):
            self.lines.append(Line(tuple(run for run in self.runs if run.text), self.kind))
            self.kind = kind
        elif kind != BREAK:
            self.kind = kind
        elif self.kind == BREAK:  # two line breaks print as an empty line
            self.kind = PARAGRAPH
        self.runs = []


def _lost_space(last: Run, text: str, style: str) -> bool:
    """Tell words that a label's source has run together where the style changes: ``<i>In vitro</i>studies``."""
    return (
        bool(last.style)
        and not style
        and not last.raised
        and text[0].isalpha()
        and last.text[-1:].isalpha()
        and len(last.text.strip()) > 3
    )


def text_lines(text: Element) -> list[Line | Table]:
    """Return the lines and tables of a ``<text>`` element in reading order."""
    writer = _Writer()
    _walk(text, "", False, writer)
    writer.start(PARAGRAPH)
    return writer.lines


def title_line(section: Element) -> Line | None:
    """Return a section's title, or None where it has none."""
    title = child(section, "title")
    if title is None:
        return None
    text = " ".join(" ".join(title.itertext()).split())
    return Line((Run(text, "title"),), TITLE) if text else None


def _walk(element: Element, style: str, raised: bool, writer: _Writer) -> None:
    writer.add(element.text, style, raised)
    for inner in element:
        _walk_child(inner, style, raised, writer)
        writer.add(inner.tail, style, raised)


def _walk_child(inner: Element, style: str, raised: bool, writer: _Writer) -> None:
    name = local_name(inner)
    if name in _SKIPPED or not name:
        return
    if name == "br":
        writer.start(BREAK)
    elif name == "table":
        writer.start(PARAGRAPH)
        writer.lines.append(Table(tuple(_rows(inner))))
    elif name in ("paragraph", "p", "div"):
        if not (writer.kind == ITEM and not writer.runs):  # an item's first paragraph is the item
            writer.start(PARAGRAPH)
        _walk(inner, style, raised, writer)
        writer.start(PARAGRAPH)
    elif name in ("item", "li"):
        writer.start(ITEM)
        _walk(inner, style, raised, writer)
        writer.start(PARAGRAPH)
    elif name == "list":
        writer.start(PARAGRAPH)
        _walk(inner, style, raised, writer)
        writer.start(PARAGRAPH)
    elif name == "caption":
        _caption(inner, writer)
    elif name in ("sup", "sub"):
        _walk(inner, style, raised or name == "sup", writer)
    elif name in ("linkHtml", "a"):
        _walk(inner, "", raised, writer)  # a cross-reference is no heading, however it looks
    else:
        _walk(inner, _joined_style(inner, name, style), raised, writer)


def _joined_style(inner: Element, name: str, style: str) -> str:
    own = {name} if name in _HTML_STYLES else set(_STYLE.findall(inner.get("styleCode", "").lower()))
    return " ".join(sorted(own | set(style.split())))


def _caption(caption: Element, writer: _Writer) -> None:
    """Take the caption of a paragraph, list or item as a heading; a bullet or a number is passed over."""
    text = " ".join(" ".join(caption.itertext()).split())
    if _LETTERS.search(text):
        kind = writer.kind
        writer.start(kind)
        writer.add(text, "caption", False)
        writer.start(BREAK)


def _rows(table: Element) -> Iterator[tuple[tuple[Line, ...], ...]]:
    for row in table.iter():
        if local_name(row) != "tr":
            continue
        cells = []
        for cell in row:
            if local_name(cell) in ("td", "th"):
                lines = tuple(line for line in text_lines(cell) if isinstance(line, Line))
                if lines:
                    cells.append(lines)
        if cells:
            yield tuple(cells)
