"""Rows of JSON files: one object a line, or an array of objects, or objects over several lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from trainables.corpora.own_tables.columns import find_columns
from trainables.corpora.own_tables.encodings import Decoding
from trainables.corpora.own_tables.text_files import MAX_LINE, read_lines
from trainables.errors import ConfigurationError

# So far a file is read to learn which columns it has: a row need not have all.
_WINDOW_ROWS = 1000
_WINDOW_CHARACTERS = 1 << 24
_READ_CHARACTERS = 1 << 16
_MAX_LEVELS = 5
_BETWEEN = re.compile("[ \t\r\n,\ufeff]*")


class JsonObject:
    """One JSON object before it is known whether a name occurs twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs
        self.names = [name for name, _ in pairs]

    def with_inner(self) -> list[tuple[str, Any]]:
        """Return names and values, then those of the objects inside, as ``outer.inner``."""
        return [*self.pairs, *self._inner("", _MAX_LEVELS)]

    def _inner(self, prefix: str, levels: int) -> Iterator[tuple[str, Any]]:
        for name, value in self.pairs:
            if isinstance(value, JsonObject) and levels:
                yield from ((f"{prefix}{name}.{inner}", found) for inner, found in value.pairs)
                yield from value._inner(f"{prefix}{name}.", levels - 1)


_DECODER = json.JSONDecoder(object_pairs_hook=JsonObject)


def is_json_lines(path: Path, decoding: Decoding) -> bool:
    """Return whether the first line of a file is a JSON object, whatever its name."""
    line = next(filter(str.strip, read_lines(path, decoding.encoding, decoding.errors)), "")
    return line.lstrip().startswith("{") and _object_of(line) is not None


def read_json(
    path: Path, columns: Sequence[str], decoding: Decoding
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield line and the wanted columns of every object; a column that an object lacks is None.

    The columns are those of the first 1,000 objects together. A column of an object inside is called
    ``outer.inner``.

    Raises
    ------
    ConfigurationError
        With the line, for what is no JSON or no object; for columns that no object has, or one has twice.
    """
    lines = enumerate(read_lines(path, decoding.encoding, decoding.errors), start=1)
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        raise ConfigurationError(f"{path}: the file is empty; expected a table with at least one row.")
    starts = first[1].lstrip("\ufeff \t")[:1]
    if starts == "[" or (starts == "{" and _object_of(first[1]) is None and _goes_on(first[1])):
        values = _values(path, chain([first], lines))
    else:
        values = _one_a_line(path, chain([first], lines))
    objects = ((number, _checked(value, f"{path}, line {number}")) for number, value in values)

    window: list[tuple[int, JsonObject]] = []
    names: dict[str, None] = {}
    size = 0
    for number, value in objects:
        window.append((number, value))
        names.update(dict.fromkeys(value.names))
        size += sum(len(each) for _, each in value.pairs if isinstance(each, str))
        if names.keys() >= set(columns) or len(window) >= _WINDOW_ROWS or size > _WINDOW_CHARACTERS:
            break
    if not window:
        raise ConfigurationError(f"{path}: there is no row in it.")
    inside = any(column not in names for column in columns)
    if inside:
        names.update(dict.fromkeys(name for _, value in window for name, _ in value.with_inner()))
    try:
        picked = [[*names][index] for index in find_columns(columns, [*names], _where(path, window))]
    except ConfigurationError as error:
        raise ConfigurationError([fault + _hint(window[0][1]) for fault in error.faults]) from error
    inside = inside and any("." in name for name in picked)
    for number, value in chain(window, objects):
        if len(value.names) > len(set(value.names)):
            find_columns(picked, value.names, f"{path}, line {number}", missing=False)
        found = dict(value.with_inner() if inside else value.pairs)
        yield number, tuple(found.get(name) for name in picked)


def _where(path: Path, window: list[tuple[int, JsonObject]]) -> str:
    first, last = window[0][0], window[-1][0]
    return f"{path}, line {first}" if first == last else f"{path}, lines {first} to {last}"


def _hint(value: JsonObject) -> str:
    """Return what to do where one object holds all rows."""
    for name, inner in value.pairs:
        if isinstance(inner, list) and inner and isinstance(inner[0], JsonObject):
            return f" {name!r:.40} holds a list of objects: if those are the rows, write them to a file of their own."
    return ""


def _object_of(line: str) -> JsonObject | None:
    try:
        value = json.loads(line, object_pairs_hook=JsonObject)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, JsonObject) else None


def _goes_on(line: str) -> bool:
    """Return whether a line is the start of an object, or an object and what follows, rather than no JSON at all."""
    try:
        _DECODER.raw_decode(line.strip())
    except json.JSONDecodeError as error:
        return error.pos >= len(line.strip()) - 1
    except (ValueError, RecursionError):
        return False
    return True


def _one_a_line(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, Any]]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield number, json.loads(line, object_pairs_hook=JsonObject)
        except (ValueError, RecursionError) as error:
            raise _no_json(path, number, error) from error


def _values(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, Any]]:
    """Yield the elements of an array, or values that follow one another, with the line on which each begins.

    No more than one value is held, beside what was read ahead.
    """
    text, place, line, ahead = "", 0, 1, _READ_CHARACTERS
    is_open, ended = False, False
    while True:
        start = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]  # it matches nothing too
        line += text.count("\n", place, start)
        place = start
        if place < len(text) and text[place] in "[]" and is_open == (text[place] == "]"):
            is_open, place = not is_open, place + 1
            continue
        try:
            value, end = _DECODER.raw_decode(text, place) if place < len(text) else (None, -1)
        except json.JSONDecodeError as error:
            if ended or len(text) - place > MAX_LINE:
                raise _no_json(path, line + text.count("\n", place, error.pos), error) from error
            end = -1
        except (ValueError, RecursionError) as error:
            raise _no_json(path, line, error) from error
        if end >= 0:
            yield line, value
            line += text.count("\n", place, end)
            place, ahead = end, _READ_CHARACTERS
        elif not ended:
            more, line_shift = _more(lines, ahead)
            if not text:
                line = line_shift or line
            text, place, ended, ahead = text[place:] + more, 0, not more, 2 * ahead
        elif is_open:
            raise ConfigurationError(f"{path}: the array is not closed at its end; is the file complete?")
        else:
            return


def _more(lines: Iterator[tuple[int, str]], characters: int) -> tuple[str, int]:
    """Return lines of so many characters together, and the number of the first."""
    taken: list[str] = []
    size, first = 0, 0
    for number, line in lines:
        first = first or number
        taken.append(line)
        size += len(line)
        if size >= characters:
            break
    return "".join(taken), first


def _checked(value: Any, where: str) -> JsonObject:
    if not isinstance(value, JsonObject):
        shown = json.dumps(value, default=lambda inner: dict(inner.pairs), ensure_ascii=False)
        raise ConfigurationError(
            f"{where}: expected a JSON object, found {shown[:40]!r}; each row is an object, such as "
            f'{{"text": "…", "label": "…"}}.'
        )
    return value


def _no_json(path: Path, line: int, error: ValueError | RecursionError) -> ConfigurationError:
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return ConfigurationError(
        f"{path}, line {line}: not JSON ({reason}); expected one JSON object a line, or an array of objects."
    )
