"""Selected columns of tables, row by row: CSV, TSV, JSON Lines, Parquet and Hugging Face data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from trainables.corpora.left_out import LeftOut
from trainables.corpora.own_tables.columns import NUMBER, find_columns
from trainables.corpora.own_tables.delimited import find_dialect, read_delimited
from trainables.corpora.own_tables.encodings import Decoding, find_decoding
from trainables.corpora.own_tables.json_rows import is_json_lines, read_json
from trainables.corpora.own_tables.text_files import is_parquet
from trainables.errors import ConfigurationError

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
HEADERS = ("yes", "no")
WRONG_NUMBER_OF_FIELDS = "row with another number of fields"
_BATCH = 1000

# Number of the row or line, and the values of the wanted columns.
TableRows = Iterator[tuple[int, tuple[Any, ...]]]


@dataclass
class Notes:
    """What comes up while tables are read: rows that are left out, and sentences that the user has to know."""

    left_out: LeftOut = field(default_factory=LeftOut)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """How tables are written, as far as the user tells.

    Attributes
    ----------
    delimiter, quoting
        See :func:`trainables.corpora.own_tables.delimited.find_dialect`.
    encoding
        A codec of Python's. None: see :func:`trainables.corpora.own_tables.encodings.find_decoding`.
    header
        ``"yes"`` or ``"no"``: whether the first row of a CSV or TSV names the columns. None: it does so unless
        all wanted columns are numbers.
    """

    delimiter: str | None = None
    quoting: str | None = None
    encoding: str | None = None
    header: str | None = None


def read_table(path: Path, columns: Sequence[str], options: TableOptions, notes: Notes) -> TableRows:
    """Yield the wanted columns of a file's rows; the file's kind is told by its content and its name.

    Parameters
    ----------
    path
        A file.
    columns
        Names of columns, or their numbers from 0.
    options
        What the user tells of the file.
    notes
        Takes what comes up.

    Raises
    ------
    ConfigurationError
        With file and row, for whatever cannot be read, and for columns that are missing or occur twice.
    """
    if is_parquet(path):
        yield from read_parquet(path, columns)
        return
    decoding = Decoding(options.encoding) if options.encoding else find_decoding(path)
    if decoding.remark:
        notes.remarks.append(decoding.remark)
    if path.name.lower().removesuffix(".gz").endswith(JSON_SUFFIXES) or is_json_lines(path, decoding):
        yield from read_json(path, columns, decoding)
    else:
        yield from read_delimited_table(path, columns, options, decoding, notes)


def read_delimited_table(
    path: Path, columns: Sequence[str], options: TableOptions, decoding: Decoding, notes: Notes
) -> TableRows:
    """Yield the wanted columns of a CSV or TSV file."""
    if options.header not in (None, *HEADERS):
        raise ConfigurationError(f"--header {options.header}: one of {', '.join(HEADERS)} was expected.")
    dialect = find_dialect(path, decoding, delimiter=options.delimiter, quoting=options.quoting)
    rows = read_delimited(path, dialect)
    first = next(rows, None)
    if first is None:
        raise ConfigurationError(f"{path}: the file is empty; expected a table with at least one row.")
    line, fields = first
    has_header = options.header == "yes" or (
        options.header is None and not all(NUMBER.fullmatch(column) for column in columns)
    )
    names = fields if has_header else [str(number) for number in range(len(fields))]
    wanted = find_columns(columns, names, f"{path}, line {line}")
    if not has_header:
        yield line, tuple(fields[index] for index in wanted)
    found = False
    for line, fields in rows:
        found = True
        # Spreadsheets put delimiters behind the last column, some of them below the header alone.
        if len(fields) == len(names) or (len(fields) > len(names) and not any(fields[len(names) :])):
            yield line, tuple(fields[index] for index in wanted)
        else:
            where = f"{path.name}:{line} ({len(fields)} where {len(names)} were expected)"
            notes.left_out.add(WRONG_NUMBER_OF_FIELDS, where)
    if has_header and not found:
        raise ConfigurationError(f"{path}: there is a header and no row below it.")


def read_parquet(path: Path, columns: Sequence[str]) -> TableRows:
    """Yield the wanted columns of a Parquet file."""
    try:
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
            names = file.schema_arrow.names
            picked = [names[index] for index in find_columns(columns, names, str(path))]
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(dict.fromkeys(picked))):
                values = {name: [*map(_text, batch.column(name).to_pylist())] for name in set(picked)}
                for row in zip(*(values[name] for name in picked), strict=True):
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError, KeyError, UnicodeError, MemoryError) as error:
        raise ConfigurationError(
            f"{path}: cannot be read as Parquet ({_first_line(error)}); is the file complete?"
        ) from error


def _text(value: Any) -> Any:
    """Return bytes as the text that they are: some writers do not mark strings as such."""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


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
