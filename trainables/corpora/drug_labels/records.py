"""Read JSON records one by one from JSON Lines, gzip, zip, bulk documents and folders of them.

Documents are parsed as they stream, so that memory stays flat however large a bulk download is.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import ijson

from trainables.corpora.drug_labels.archives import check_declared_sizes
from trainables.errors import ConfigurationError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".zip")
MAX_LINE_BYTES = 64 << 20  # the largest labels have some 10 MB
MAX_DEPTH = 50  # a record of the API has five levels
_HEAD_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"

Record = dict[str, Any]
_Opener = Callable[[], IO[bytes]]
Paths = str | Path | Iterable[str | Path]


def find_files(paths: Paths, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """Return the files that are meant by one path or several; folders stand for the files in them.

    Raises
    ------
    ConfigurationError
        Naming every path that does not exist and every folder without a suitable file.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    faults, files = [], []
    for path in map(Path, given):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.name.lower().endswith(suffixes))
            if not inside:
                faults.append(f"{path}: the folder holds no {', '.join(suffixes)} file.")
            files.extend(inside)
        elif path.exists():
            files.append(path)
        else:
            faults.append(f"{path}: no such file or folder; give the path of the data.")
    if not given:
        faults.append("no data file was given.")
    if faults:
        raise ConfigurationError(faults)
    return files


def read_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield (number, record) of one file; the number is the line in JSON Lines, else the position from 1.

    Raises
    ------
    ConfigurationError
        For a file that cannot be read or decompressed, or is not JSON, with its line or record.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                check_declared_sizes(archive, path)
                for name in sorted(archive.namelist()):
                    if name.lower().endswith(SUFFIXES):
                        yield from _records_of(partial(archive.open, name), path)
        elif magic[:2] == b"\x1f\x8b":
            yield from _records_of(cast(_Opener, partial(gzip.GzipFile, path)), path)
        else:
            yield from _records_of(lambda: path.open("rb"), path)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: not UTF-8 text ({error.reason}); expected JSON records."
        ) from error
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression that Python does not know
        raise ConfigurationError(f"{path}: cannot be read ({error}); is the file complete?") from error


def _records_of(open_stream: _Opener, path: Path) -> Iterator[tuple[int, Record]]:
    with open_stream() as stream:
        prefix = _prefix_of_records(stream.read(_HEAD_BYTES).removeprefix(_BOM), path)
    with open_stream() as stream:
        if prefix is None:
            yield from _lines(stream, path)
        else:
            yield from _document(stream, prefix, path)


def _prefix_of_records(head: bytes, path: Path) -> str | None:
    """Return where the records of a document lie, as ijson writes it, or None for one record a line."""
    start = head.lstrip()[:1]
    if start == b"[":
        return "item"
    if start != b"{":
        return None
    key = ""
    try:
        for where, event, value in ijson.parse(_shallow(io.BytesIO(head), path)):
            if where == "" and event == "map_key":
                key = value
            elif where == key and (key, event) in (("results", "start_array"), ("meta", "start_map")):
                return "results.item"
    except ijson.JSONError:
        pass  # the head ends inside a value, or a second line begins
    line, newline, _ = head.partition(b"\n")
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return "" if newline else None  # one record over several lines, or a line longer than the head
    except (ValueError, RecursionError):
        return None  # reading the lines will say what is wrong
    return None


def _shallow(stream: IO[bytes], path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the parser's events; refuse what is nested deeper than any label, as it takes memory by the square.

    ``use_float``: otherwise a number of thousands of digits ends the process inside the parser's C code.
    """
    depth = 0
    for event in ijson.basic_parse(stream, use_float=True, multiple_values=True):
        if event[0] in ("start_map", "start_array"):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigurationError(
                    f"{path}: nested deeper than {MAX_DEPTH} levels; expected JSON records."
                )
        elif event[0] in ("end_map", "end_array"):
            depth -= 1
        yield event


def _lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, Record]]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise ConfigurationError(
                f"{path}, line {number}: longer than {MAX_LINE_BYTES >> 20} MB; expected one record a line."
            )
        if number == 1:
            line = line.removeprefix(_BOM)
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode())
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"{path}, line {number}: not JSON ({error.msg}).") from error
        except UnicodeDecodeError:
            raise
        except ValueError as error:  # a number of thousands of digits
            raise ConfigurationError(f"{path}, line {number}: not JSON ({error}).") from error
        except RecursionError as error:
            raise ConfigurationError(f"{path}, line {number}: nested too deep.") from error
        if not isinstance(value, dict):
            raise ConfigurationError(f"{path}, line {number}: expected a JSON object, found {value!r:.40}.")
        yield number, value


def _document(stream: IO[bytes], prefix: str, path: Path) -> Iterator[tuple[int, Record]]:
    number = 0
    if stream.read(len(_BOM)) != _BOM:
        stream.seek(0)
    try:
        for record in ijson.items(ijson.parse(_shallow(stream, path)), prefix):
            number += 1
            if not isinstance(record, dict):
                raise ConfigurationError(
                    f"{path}, record {number}: expected a JSON object, found {record!r:.40}."
                )
            yield number, record
    except ijson.JSONError as error:
        what = str(error).splitlines()[0]
        raise ConfigurationError(
            f"{path}: not JSON behind record {number} ({what}); expected one record a line, or one document "
            f'{{"results": [...]}}. Is the file complete?'
        ) from error
