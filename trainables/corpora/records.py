"""Read JSON records one by one from JSON Lines, gzip, zip, bulk documents and folders of them."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from trainables.errors import ConfigurationError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".zip")

Record = dict[str, Any]
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
        For a file that cannot be read or decompressed, or is not JSON, with its line.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if name.lower().endswith(SUFFIXES):
                        with io.TextIOWrapper(archive.open(name), encoding="utf-8-sig") as stream:
                            yield from _records_of(stream, path)
        elif magic[:2] == b"\x1f\x8b":
            with gzip.open(path, "rt", encoding="utf-8-sig") as stream:
                yield from _records_of(stream, path)
        else:
            with path.open(encoding="utf-8-sig") as stream:
                yield from _records_of(stream, path)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: not UTF-8 text ({error.reason}); expected JSON records."
        ) from error
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error}); is the file complete?") from error


def _records_of(stream: IO[str], path: Path) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            if number == 1:  # a document over several lines, such as a bulk download
                yield from _document(line + stream.read(), path)
                return
            raise ConfigurationError(f"{path}, line {number}: not JSON ({error.msg}).") from error
        if isinstance(value, dict) and isinstance(value.get("results"), list):
            yield from enumerate(_checked(value["results"], path), start=1)
        elif isinstance(value, list):
            yield from enumerate(_checked(value, path), start=1)
        elif isinstance(value, dict):
            yield number, value
        else:
            raise ConfigurationError(f"{path}, line {number}: expected a JSON object, found {value!r:.40}.")


def _document(text: str, path: Path) -> Iterator[tuple[int, Record]]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}); expected one record a line, or one document "
            f'{{"results": [...]}}.'
        ) from error
    records = value.get("results", [value]) if isinstance(value, dict) else value
    yield from enumerate(_checked(records, path), start=1)


def _checked(records: Any, path: Path) -> list[Record]:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ConfigurationError(f'{path}: expected a list of JSON objects under "results".')
    return records
