"""Rows of CSV and TSV files: the delimiter and the use of quotes are told, or found in the first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from trainables.corpora.own_tables.encodings import Decoding
from trainables.corpora.own_tables.text_files import MAX_LINE, read_lines
from trainables.errors import ConfigurationError

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
QUOTING = ("double", "backslash", "none")
_SAMPLE_CHARACTERS = 1 << 18
_SAMPLE_LINES = 2000
# Excel reads this first line as the delimiter, and takes it for no row.
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?[\r\n]+", re.IGNORECASE)
_ESCAPED_QUOTE = re.compile(r'(\\+)"')


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written.

    Attributes
    ----------
    decoding
        How its bytes become text.
    delimiter
        One character.
    quoting
        A member of :data:`QUOTING`.
    spaced
        Whether spaces stand between a delimiter and the quote that opens a field.
    skipped
        Lines before the first row.
    """

    decoding: Decoding
    delimiter: str
    quoting: str
    spaced: bool = False
    skipped: int = 0


def find_dialect(
    path: Path, decoding: Decoding, *, delimiter: str | None = None, quoting: str | None = None
) -> Dialect:
    """Return the dialect of a file; what is told is not looked for.

    Of all delimiters with and without quotes the one is taken under which most of the first 2,000 lines have the
    same number of fields, two at least. Quotes count as part of the text where they do not enclose whole fields, as
    in the tab-separated files of many published data sets.

    Parameters
    ----------
    path
        The file.
    decoding
        How it is decoded.
    delimiter
        One character, or a key of :data:`DELIMITERS`.
    quoting
        ``"double"``: fields may stand in double quotes, and a quote in them is written twice; ``"backslash"``: a
        quote in them has a backslash before it; ``"none"``: quotes are characters like all others.

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
    sample, complete = _sample(path, decoding)
    skipped, told = 0, _SEPARATOR_LINE.fullmatch(sample[0]) if sample else None
    if told is not None:
        skipped, delimiter, sample = 1, delimiter or told[1], sample[1:]
    candidates = [delimiter] if delimiter is not None else list(DELIMITERS.values())
    if ".tsv" in path.name.lower():
        candidates.sort(key=lambda candidate: candidate != "\t")  # the first wins among equals
    ways = [quoting] if quoting is not None else [way for way in QUOTING if _may_be(way, sample)]
    best, best_rank = Dialect(decoding, candidates[0], ways[0], skipped=skipped), (0.0, 0)
    for candidate in candidates:
        is_spaced = sum(f'{candidate} "' in line for line in sample) * 2 > len(sample)
        for way in ways:
            plain = Dialect(decoding, candidate, way, skipped=skipped)
            for dialect in (replace(plain, spaced=True), plain) if is_spaced and way != "none" else (plain,):
                rank = _regularity(sample, dialect, complete)
                if rank > best_rank:
                    best, best_rank = dialect, rank
    return best


def _may_be(quoting: str, lines: list[str]) -> bool:
    return quoting != "backslash" or any('\\"' in line for line in lines)


def _sample(path: Path, decoding: Decoding) -> tuple[list[str], bool]:
    """Return the first lines, and whether they are the whole file."""
    lines, size = [], 0
    for line in islice(read_lines(path, decoding.encoding, decoding.errors), _SAMPLE_LINES):
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
    lines = read_lines(path, dialect.decoding.encoding, dialect.decoding.errors)
    reader = _reader(islice(lines, dialect.skipped, None), dialect)
    start = 1 + dialect.skipped
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1 + dialect.skipped
    except csv.Error as error:
        raise ConfigurationError(
            f"{path}, line {start}: the row cannot be read ({error}). A quote inside a quoted field is written twice; "
            f"where it has a backslash before it, give --quoting backslash, and where quotes enclose no fields, "
            f"--quoting none."
        ) from error


def _reader(lines: Iterator[str], dialect: Dialect) -> csv._reader:  # type: ignore[name-defined]
    csv.field_size_limit(MAX_LINE)
    if dialect.quoting == "backslash":
        lines = (_ESCAPED_QUOTE.sub(_doubled, line) for line in lines)
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_NONE if dialect.quoting == "none" else csv.QUOTE_MINIMAL,
        skipinitialspace=dialect.spaced,
        strict=True,
    )


def _doubled(found: re.Match[str]) -> str:
    """Return a quote behind backslashes as the ``csv`` module wants it; other backslashes stay what they are.

    The module's own ``escapechar`` would turn the two characters of a written line break into a bare "n".
    """
    pairs, is_escaped = divmod(len(found[1]), 2)
    return "\\" * pairs + ('""' if is_escaped else '"')
