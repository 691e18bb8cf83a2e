"""Rows of CSV and TSV files: the delimiter and the use of quotes are told, or found in the first lines."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from trainables.corpora.own_tables.text_files import MAX_LINE, detect_encoding, read_lines
from trainables.errors import ConfigurationError

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
QUOTING = ("double", "none")
_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_LINES = 2000


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written: encoding, delimiter, and whether double quotes enclose fields."""

    encoding: str
    delimiter: str
    quoted: bool


def find_dialect(
    path: Path, *, encoding: str | None = None, delimiter: str | None = None, quoting: str | None = None
) -> Dialect:
    """Return the dialect of a file; what is told is not looked for.

    Of all delimiters with and without quotes the one is taken under which most of the first 2,000 lines have the
    same number of fields, two at least. Quotes count as part of the text where they do not enclose whole fields, as
    in the tab-separated files of many published data sets.

    Parameters
    ----------
    path
        The file.
    encoding
        A codec of Python's.
    delimiter
        One character, or a key of :data:`DELIMITERS`.
    quoting
        ``"double"``: fields may stand in double quotes; ``"none"``: quotes are characters like all others.

    Raises
    ------
    ConfigurationError
        For unreadable files and options that make no sense.
    """
    faults = []
    if delimiter is not None:
        delimiter = DELIMITERS.get(delimiter, "\t" if delimiter == "\\t" else delimiter)
        if (
            len(delimiter) != 1
            or delimiter in '"\r\n\0'
            or (not delimiter.isprintable() and delimiter != "\t")
        ):
            faults.append(
                f"--delimiter {delimiter!r}: one character was expected, or one of {', '.join(DELIMITERS)}."
            )
    if quoting is not None and quoting not in QUOTING:
        faults.append(f"--quoting {quoting}: one of {', '.join(QUOTING)} was expected.")
    if faults:
        raise ConfigurationError(faults)
    encoding = encoding or detect_encoding(path)
    sample, complete = _sample(path, encoding)
    candidates = [delimiter] if delimiter is not None else list(DELIMITERS.values())
    if ".tsv" in path.name.lower():
        candidates.sort(key=lambda candidate: candidate != "\t")  # the first wins among equals
    ways = [quoting == "double"] if quoting is not None else [True, False]
    best, best_rank = Dialect(encoding, candidates[0], ways[0]), (0.0, 0)
    for candidate in candidates:
        for quoted in ways:
            dialect = Dialect(encoding, candidate, quoted)
            rank = _regularity(sample, dialect, complete)
            if rank > best_rank:
                best, best_rank = dialect, rank
    return best


def _sample(path: Path, encoding: str) -> tuple[list[str], bool]:
    """Return the first lines, and whether they are the whole file."""
    lines, size = [], 0
    for line in islice(read_lines(path, encoding), _SAMPLE_LINES):
        lines.append(line)
        size += len(line)
        if size > _SAMPLE_CHARACTERS:
            return lines, False
    return lines, len(lines) < _SAMPLE_LINES


def _regularity(lines: list[str], dialect: Dialect, complete: bool) -> tuple[float, int]:
    """Return the share of rows with the most common number of fields, and the number of rows; (0, 0) if it fails."""
    widths: list[int] = []
    try:
        widths.extend(len(row) for row in _reader(iter(lines), dialect) if row)
    except csv.Error as error:
        # The sample may end inside a quoted field; the file does not.
        if complete or "unexpected end" not in str(error):
            return 0.0, 0
    if not widths:
        return 0.0, 0
    width, n = Counter(widths).most_common(1)[0]
    return (round(n / len(widths), 3), len(widths)) if width > 1 else (0.0, 0)


def read_delimited(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which the row starts, fields); empty lines are skipped.

    Raises
    ------
    ConfigurationError
        With file and line, where quotes are not closed or stand where none may.
    """
    reader = _reader(read_lines(path, dialect.encoding), dialect)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1
    except csv.Error as error:
        raise ConfigurationError(
            f"{path}, line {start}: the row cannot be read ({error}). A quote inside a quoted field is written twice; "
            f"where quotes enclose no fields, give --quoting none."
        ) from error


def _reader(lines: Iterator[str], dialect: Dialect) -> csv._reader:  # type: ignore[name-defined]
    csv.field_size_limit(MAX_LINE)
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
        strict=True,
    )
