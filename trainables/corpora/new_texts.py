"""Texts that have no label yet: read one by one, in their order, from whatever file they are in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trainables.corpora.drug_labels.paragraphs import holds_labels, read_paragraphs
from trainables.corpora.own_tables.columns import visible
from trainables.corpora.own_tables.encodings import find_decoding
from trainables.corpora.own_tables.tables import Notes, TableOptions, read_table
from trainables.corpora.own_tables.tabular import NO_TEXT, NOT_TEXT
from trainables.corpora.own_tables.text_files import read_lines
from trainables.errors import ConfigurationError

LINES, TABLE, LABELS = FORMATS = ("lines", "table", "labels")
_LINES_SUFFIX = ".txt"
DEFAULT_COLUMN = "text"


class NewText(NamedTuple):
    """A text to be labelled.

    Attributes
    ----------
    row
        Line of a text file, of a CSV or of JSON Lines, row of a Parquet file, number of a label's paragraph; from 1,
        ascending.
    text
        The text.
    origin
        Where a label's paragraph stands.
    heading
        The class that the heading of a label's paragraph names, which is not part of the text.
    """

    row: int
    text: str
    origin: str = ""
    heading: str | None = None


def find_format(path: Path, corpus: str, column: str | None) -> str:
    """Return what a file holds: ``lines``, a ``table`` or, where the study is about them, drug ``labels``.

    Parameters
    ----------
    path
        A file, or a folder of labels.
    corpus
        Name of the study's corpus.
    column
        The column of the texts, where one was named: only a table has columns.
    """
    if column is not None:
        return TABLE
    if path.name.lower().removesuffix(".gz").endswith(_LINES_SUFFIX):
        return LINES
    return LABELS if corpus == "adme" and holds_labels(path) else TABLE


def read_new_texts(
    path: Path,
    kind: str,
    notes: Notes,
    *,
    column: str | None = None,
    classes: tuple[str, ...] = (),
    options: Mapping[str, Any] | None = None,
) -> Iterator[NewText]:
    """Yield the texts of a file.

    Parameters
    ----------
    path
        A file; of labels also a folder.
    kind
        One of :data:`FORMATS`.
    notes
        Takes what comes up: rows without a text, and a guessed encoding.
    column
        Column of the texts in a table, by name or by number from 0; by default ``text``.
    classes
        Those that the headings of labels may name.
    options
        Of the study's corpus: how its tables are written, or ``food_effect``.

    Raises
    ------
    ConfigurationError
        What cannot be read; a file without a row.
    """
    options = options or {}
    if path.is_dir() and kind != LABELS:
        raise ConfigurationError(f"{path}: a folder, expected a file.")
    if kind == LABELS:
        food_effect = str(options.get("food_effect", "absorption"))
        found = read_paragraphs(path, notes.left_out, classes, food_effect)
        yield from (NewText(row, *each) for row, each in enumerate(found, start=1))
        return
    if kind == LINES:
        yield from _texts(path, _lines(path, notes), notes)
        return
    written = {
        name: options[name] for name in ("delimiter", "quoting", "encoding", "header") if name in options
    }
    table = read_table(path, [column or DEFAULT_COLUMN], TableOptions(**written), notes)
    yield from _texts(path, ((number, values[0]) for number, values in table), notes)


def _lines(path: Path, notes: Notes) -> Iterator[tuple[int, Any]]:
    decoding = find_decoding(path)
    if decoding.remark:
        notes.remarks.append(decoding.remark)
    number = 0
    for number, line in enumerate(read_lines(path, decoding.encoding, decoding.errors), start=1):
        yield number, line
    if not number:
        raise ConfigurationError(f"{path}: the file is empty; expected one text a line.")


def _texts(path: Path, rows: Iterator[tuple[int, Any]], notes: Notes) -> Iterator[NewText]:
    row = 0
    for number, text in rows:
        row = max(row + 1, number)  # several objects may stand in one line of JSON
        where = f"{path.name}:{row}"
        if text is None or (isinstance(text, str) and not visible(text)):
            notes.left_out.add(NO_TEXT, where)
        elif not isinstance(text, str):
            notes.left_out.add(NOT_TEXT, where)
        else:
            yield NewText(row, text.strip())
