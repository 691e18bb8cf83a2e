"""Selected columns of tables, row by row: CSV, TSV, JSON Lines, Parquet and Hugging Face data sets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from trainables.corpora.own_tables.delimited import find_dialect, read_delimited
from trainables.corpora.own_tables.text_files import detect_encoding, is_parquet, read_lines
from trainables.errors import ConfigurationError
from trainables.rules import did_you_mean

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
HEADERS = ("yes", "no")
WRONG_NUMBER_OF_FIELDS = "row with another number of fields"
_BATCH = 1000
_NUMBER = re.compile(r"[0-9]{1,6}")

# Number of the row or line, and the values of the wanted columns; a string in their place says why there are none.
TableRows = Iterator[tuple[int, tuple[Any, ...] | str]]


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How tables are written, as far as the user tells.

    Attributes
    ----------
    delimiter, quoting, encoding
        See :func:`trainables.corpora.own_tables.delimited.find_dialect`.
    header
        ``"yes"`` or ``"no"``: whether the first row of a CSV or TSV names the columns. None: it does so unless
        all wanted columns are numbers.
    """

    delimiter: str | None = None
    quoting: str | None = None
    encoding: str | None = None
    header: str | None = None


def read_table(path: Path, columns: Sequence[str], options: TableOptions) -> TableRows:
    """Yield the wanted columns of a file's rows; the file's kind is told by its content and its name.

    Parameters
    ----------
    path
        A file.
    columns
        Names of columns, or their numbers from 0.
    options
        What the user tells of the file.

    Raises
    ------
    ConfigurationError
        With file and row, for whatever cannot be read, and for columns that are missing or occur twice.
    """
    if is_parquet(path):
        return read_parquet(path, columns)
    if path.name.lower().removesuffix(".gz").endswith(JSON_SUFFIXES):
        return read_json_lines(path, columns, options.encoding)
    return read_delimited_table(path, columns, options)


def read_delimited_table(path: Path, columns: Sequence[str], options: TableOptions) -> TableRows:
    """Yield the wanted columns of a CSV or TSV file."""
    if options.header not in (None, *HEADERS):
        raise ConfigurationError(f"--header {options.header}: one of {', '.join(HEADERS)} was expected.")
    dialect = find_dialect(
        path, encoding=options.encoding, delimiter=options.delimiter, quoting=options.quoting
    )
    rows = read_delimited(path, dialect)
    first = next(rows, None)
    if first is None:
        raise ConfigurationError(f"{path}: the file is empty; expected a table with at least one row.")
    line, fields = first
    has_header = options.header == "yes" or (
        options.header is None and not all(_NUMBER.fullmatch(column) for column in columns)
    )
    names = fields if has_header else [str(number) for number in range(len(fields))]
    wanted = find_columns(columns, names, f"{path}, line {line}")
    if not has_header:
        yield line, tuple(fields[index] for index in wanted)
    found = False
    for line, fields in rows:
        found = True
        if len(fields) == len(names):
            yield line, tuple(fields[index] for index in wanted)
        else:
            yield line, WRONG_NUMBER_OF_FIELDS
    if has_header and not found:
        raise ConfigurationError(f"{path}: there is a header and no row below it.")


def read_json_lines(path: Path, columns: Sequence[str], encoding: str | None) -> TableRows:
    """Yield the wanted columns of a file with one JSON object a line."""
    picked: list[str] | None = None
    for number, line in enumerate(read_lines(path, encoding or detect_encoding(path)), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line, object_pairs_hook=JsonObject)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise ConfigurationError(
                f"{where}: not JSON ({reason}); expected one JSON object a line."
            ) from error
        if not isinstance(record, JsonObject):
            raise ConfigurationError(f"{where}: expected a JSON object, found {line.strip()[:40]!r}.")
        if picked is None or record.names_twice(picked):
            picked = [record.names[index] for index in find_columns(columns, record.names, where)]
        values = dict(record.pairs)
        yield number, tuple(values.get(name) for name in picked)


class JsonObject:
    """One JSON object before it is known whether a name occurs twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs
        self.names = [name for name, _ in pairs]

    def names_twice(self, columns: Sequence[str]) -> bool:
        return len(self.names) > len(set(self.names)) and any(self.names.count(name) > 1 for name in columns)


def read_parquet(path: Path, columns: Sequence[str]) -> TableRows:
    """Yield the wanted columns of a Parquet file."""
    try:
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
            names = file.schema_arrow.names
            picked = [names[index] for index in find_columns(columns, names, str(path))]
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(dict.fromkeys(picked))):
                values = {name: batch.column(name).to_pylist() for name in set(picked)}
                for row in zip(*(values[name] for name in picked), strict=True):
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError, KeyError, UnicodeError, MemoryError) as error:
        raise ConfigurationError(
            f"{path}: cannot be read as Parquet ({_first_line(error)}); is the file complete?"
        ) from error


def find_columns(columns: Sequence[str], names: Sequence[str], where: str) -> list[int]:
    """Return where the wanted columns stand, by name or else by number from 0.

    Raises
    ------
    ConfigurationError
        Naming every column that is missing or whose name occurs twice.
    """
    faults, indices = [], []
    listed = ", ".join(repr(name[:40]) for name in names[:50])
    for column in columns:
        places = [index for index, name in enumerate(names) if name == column]
        if len(places) > 1:
            faults.append(
                f"{where}: {len(places)} columns are called {column!r}; give the number of the one that is meant: "
                f"{', '.join(map(str, places))}."
            )
        elif places:
            indices.append(places[0])
        elif _NUMBER.fullmatch(column) and int(column) < len(names):
            indices.append(int(column))
        else:
            hint = did_you_mean(column, names[:200])
            faults.append(f"{where}: there is no column {column!r}; the columns are {listed}.{hint}")
    if faults:
        raise ConfigurationError(faults)
    return indices


def read_hugging_face(name: str, columns: Sequence[str]) -> Mapping[str, TableRows]:
    """Return the wanted columns of a Hugging Face data set, for each of its splits.

    Parameters
    ----------
    name
        ``NAME`` or ``NAME:CONFIGURATION`` on the Hub, or a local folder that ``save_to_disk`` wrote or that
        ``load_dataset`` understands.
    columns
        Names of columns.
    """
    # Imported here: it takes a second, and other corpora do without it.
    import datasets

    path, _, configuration = name.partition(":")
    folder = Path(path)
    try:
        if (folder / "dataset_dict.json").exists() or (folder / "dataset_info.json").exists():
            loaded = datasets.load_from_disk(path)
        else:
            loaded = datasets.load_dataset(path, configuration or None)
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
        raise ConfigurationError(_no_data_set(name, error)) from error
    except (datasets.exceptions.DatasetsError, pyarrow.ArrowException) as error:
        raise ConfigurationError(_no_data_set(name, error)) from error
    splits = loaded if isinstance(loaded, dict) else {"train": loaded}
    return {str(split): _hugging_face_rows(data, columns, f"hf:{name}") for split, data in splits.items()}


def _hugging_face_rows(data: Any, columns: Sequence[str], where: str) -> TableRows:
    picked = [data.column_names[index] for index in find_columns(columns, data.column_names, where)]
    # Only class labels have names for their numbers; -1 stands for a label that was not published.
    named = {name: getattr(data.features[name], "names", None) for name in picked}
    number = 0
    for batch in data.select_columns(list(dict.fromkeys(picked))).iter(batch_size=_BATCH):
        for row in zip(*(batch[name] for name in picked), strict=True):
            number += 1
            yield (
                number,
                tuple(
                    value if names is None or value is None else names[value] if value >= 0 else None
                    for value, names in zip(row, (named[name] for name in picked), strict=True)
                ),
            )


def _no_data_set(name: str, error: Exception) -> str:
    return (
        f"hf:{name}: cannot be loaded ({_first_line(error)}); give a data set of the Hub, as hf:NAME or "
        f"hf:NAME:CONFIGURATION, or a local folder."
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
