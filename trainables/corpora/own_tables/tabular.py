"""Anyone's own table as a corpus: CSV, TSV, JSON Lines, Parquet, or a Hugging Face data set."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainables.corpora.corpus import Corpus
from trainables.corpora.left_out import LeftOut
from trainables.corpora.own_tables.alike import common_spellings, look, remarks_on, remarks_on_merged
from trainables.corpora.own_tables.columns import visible
from trainables.corpora.own_tables.damage import remarks_on_texts
from trainables.corpora.own_tables.json_rows import JsonObject
from trainables.corpora.own_tables.tables import (
    WRONG_NUMBER_OF_FIELDS,
    Notes,
    TableOptions,
    TableRows,
    read_hugging_face,
    read_table,
)
from trainables.corpora.rows import Row, build_corpus, class_order, own_group
from trainables.corpora.split import PARTS
from trainables.errors import ConfigurationError

HUGGING_FACE = "hf:"
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
JSON = ".json"  # in a folder often something about the tables
NO_TEXT = "no text"
NOT_TEXT = "text that is no string"
NO_LABEL = "no label"
_PART_NAMES = {
    "train": PARTS[0],
    "training": PARTS[0],
    "validation": PARTS[1],
    "valid": PARTS[1],
    "val": PARTS[1],
    "dev": PARTS[1],
    "development": PARTS[1],
    "test": PARTS[2],
    "testing": PARTS[2],
}
_PART_IN_FILE_NAME = re.compile(rf"(?<![a-z])({'|'.join(_PART_NAMES)})(?![a-z])")
_MAX_CLASSES = 1000
_MAX_REMARKS = 8
_HINT = (
    " Fields that hold the delimiter have to stand in double quotes; --delimiter and --quoting tell how the file is "
    "written."
)


def read_tabular(
    data: str | None,
    *,
    text: str | None = None,
    label: str | None = None,
    group: str | None = None,
    split: str | None = None,
    validation_data: str | None = None,
    test_data: str | None = None,
    delimiter: str | None = None,
    quoting: str | None = None,
    encoding: str | None = None,
    header: str | None = None,
    merge_alike: bool = False,
) -> Corpus:
    """Read a table with a column of texts and a column of labels.

    Labels may be of any type with one value a row. Rows without text or label, or with another number of fields
    than the first one, are left out and counted. The corpus remarks on that, on an encoding that was guessed, and on
    labels that look alike.

    Parameters
    ----------
    data
        A file (CSV, TSV, JSON or Parquet, plain or gzip), a folder, or ``hf:NAME``. In a folder, files named
        for parts (``train.csv``, ``my-dev.csv``, ``test.csv``) give the split and other files are not read; where
        none is, all tables are read as one.
    text, label
        Columns, by name or by number from 0. Where all columns are given by number, a CSV is taken to have no header.
    group
        Column of the groups that must not be split. By default every text is a group of its own.
    split
        Column that says ``train``, ``validation`` (or ``valid``, ``val``, ``dev``) or ``test``.
    validation_data, test_data
        Files of these parts; ``data`` is train then.
    delimiter, quoting, encoding, header
        How a CSV is written, see :class:`trainables.corpora.own_tables.tables.TableOptions`; found where not told.
    merge_alike
        Make one class of labels that look alike; it takes the most common spelling.

    Raises
    ------
    ConfigurationError
        With file and row, for what cannot be read; for missing columns, unknown parts, a single class, and labels
        that are not classes.
    """
    faults = []
    if not data:
        faults.append("--data is missing: give a file, a folder or hf:NAME.")
    for option, column in (("--text", text), ("--label", label)):
        if column in (None, ""):
            faults.append(f"{option} is missing: give the column, by name or by number from 0.")
    if text and text == label:
        faults.append(
            f"--text and --label both name the column {text}; give that of the texts and that of the labels."
        )
    if faults or not data:
        raise ConfigurationError(faults)
    columns = [str(text), str(label)]
    columns += [str(column) for column in (group, split) if column is not None]
    options = TableOptions(delimiter=delimiter, quoting=quoting, encoding=encoding, header=header)

    notes = Notes()
    tables, source = _tables(data, validation_data, test_data, columns, options, split is not None, notes)
    rows: Iterator[Row] = (
        row
        for name, part, table in tables
        for row in _rows(table, name, part, group is not None, split is not None, notes.left_out)
    )
    spellings: Counter[str] = Counter()
    if merge_alike:
        rows = _by_look(rows, spellings)
    try:
        corpus = build_corpus(rows, None, source=source, left_out=notes.left_out)
    except ConfigurationError as error:
        hint = _HINT if notes.left_out[WRONG_NUMBER_OF_FIELDS] else ""
        raise ConfigurationError([fault + hint for fault in error.faults]) from error
    if merge_alike:
        corpus = _named(corpus, common_spellings(spellings))
        notes.remarks += remarks_on_merged(spellings, str(label))
    else:
        notes.remarks += remarks_on(corpus.found, str(label))
    left_out = notes.left_out.sentence(len(corpus))
    _check_classes(corpus, str(label), left_out)
    return replace(corpus, remarks=_few([*notes.remarks, *remarks_on_texts(corpus, str(text)), left_out]))


def _by_look(rows: Iterator[Row], spellings: Counter[str]) -> Iterator[Row]:
    """Yield the rows with what their labels share with those that look alike; count the labels themselves."""
    for row in rows:
        spellings[row.label] += 1
        yield replace(row, label=look(row.label))


def _named(corpus: Corpus, names: Mapping[str, str]) -> Corpus:
    """Return a corpus whose classes take other names, in the order of these."""
    classes = class_order(names[name] for name in corpus.classes)
    places = np.array([classes.index(names[name]) for name in corpus.classes], dtype=np.int64)
    found = {names[name]: n for name, n in corpus.found.items()}
    return replace(corpus, classes=classes, labels=places[corpus.labels], found=found)


def _few(remarks: Sequence[str]) -> tuple[str, ...]:
    said = [remark for remark in remarks if remark]
    if len(said) <= _MAX_REMARKS:
        return tuple(said)
    # The last one counts the rows that were left out.
    return (
        *said[: _MAX_REMARKS - 2],
        f"… and {len(said) - _MAX_REMARKS + 1} more remarks of this kind.",
        said[-1],
    )


_Table = tuple[str, str | None, TableRows]  # name in origins, part of a given split, rows


def _tables(
    data: str,
    validation_data: str | None,
    test_data: str | None,
    columns: list[str],
    options: TableOptions,
    split_in_column: bool,
    notes: Notes,
) -> tuple[list[_Table], str]:
    """Return every table to be read, and what they are together called."""
    if data.startswith(HUGGING_FACE):
        splits = read_hugging_face(data.removeprefix(HUGGING_FACE), columns)
        several = len(splits) > 1 and not split_in_column
        tables: list[_Table] = [
            (f"{data}/{name}", _part(name, data) if several else None, table)
            for name, table in splits.items()
        ]
        return tables, data
    files: list[tuple[Path, str | None]] = [(Path(data), None)]
    if Path(data).is_dir():
        files = _files_in(Path(data), split_in_column)
    if validation_data is not None or test_data is not None:
        if split_in_column or any(part is not None for _, part in files):
            raise ConfigurationError(
                f"{data}: the split is given twice; give files of parts, or a column, or a folder with files of parts."
            )
        files = [(path, PARTS[0]) for path, _ in files]
        files += [
            (Path(path), part)
            for path, part in zip((validation_data, test_data), PARTS[1:], strict=True)
            if path is not None
        ]
    missing = [_no_file(path) for path, _ in files if not path.is_file()]
    if missing:
        raise ConfigurationError(missing)
    names = Counter(path.name for path, _ in files)
    tables = [
        (path.name if names[path.name] == 1 else str(path), part, read_table(path, columns, options, notes))
        for path, part in files
    ]
    return tables, ", ".join(str(path) for path, _ in files) if len(files) <= 3 else data


def _no_file(path: Path) -> str:
    if path.is_dir():
        return f"{path}: a folder, expected a file."
    if path.exists():
        return (
            f"{path}: no regular file; a table is read more than once, so write it to a file and give that."
        )
    if "://" in str(path) or str(path).startswith(("http:/", "https:/", "s3:/", "gs:/")):
        return f"{path}: an address, expected a file; download it first."
    return f"{path}: no such file; give the path of the data."


def _files_in(folder: Path, split_in_column: bool) -> list[tuple[Path, str | None]]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    tables = _with_suffix(files, SUFFIXES) or _with_suffix(files, (JSON,))
    named = [(file, _part_in_name(file)) for file in files]
    of_parts: list[tuple[Path, str | None]] = [(file, part) for file, part in named if part is not None]
    if of_parts and not split_in_column:
        if all(part != PARTS[0] for _, part in of_parts):
            raise ConfigurationError(
                f"{folder}: {', '.join(file.name for file, _ in of_parts)} name parts of a split, but no file is "
                f"called train; name one so, or give the files with --data, --validation-data and --test-data."
            )
        return of_parts
    if not tables:
        raise ConfigurationError(f"{folder}: the folder holds no {', '.join(SUFFIXES)} file.")
    return [(file, None) for file in tables]


def _with_suffix(files: list[Path], suffixes: tuple[str, ...]) -> list[Path]:
    return [file for file in files if file.name.lower().removesuffix(".gz").endswith(suffixes)]


def _part_in_name(file: Path) -> str | None:
    found = _PART_IN_FILE_NAME.search(file.name.lower())
    return _PART_NAMES[found[1]] if found else None


def _part(value: Any, where: str) -> str:
    part = _PART_NAMES.get(value.strip().lower()) if isinstance(value, str) else None
    if part is None:
        raise ConfigurationError(
            f"{where}: {value!r:.60} is no part of a split; one of {', '.join(_PART_NAMES)} was expected."
        )
    return part


def _rows(
    table: TableRows, name: str, part: str | None, with_group: bool, with_split: bool, left_out: LeftOut
) -> Iterator[Row]:
    for number, values in table:
        where = f"{name}:{number}"
        text, label = values[0], _single_value(values[1], where, "label")
        if text is None or (isinstance(text, str) and not visible(text)):
            left_out.add(NO_TEXT, where)
        elif not isinstance(text, str):
            left_out.add(NOT_TEXT, where)
        elif not label or not visible(label):
            left_out.add(NO_LABEL, where)
        else:
            group = _single_value(values[2], where, "group") if with_group else ""
            row_part = _part(values[-1], where) if with_split else part
            yield Row(text.strip(), label, group or own_group(text), where, row_part)


def _single_value(value: Any, where: str, what: str) -> str:
    """Return a label or group as a name; empty where there is none.

    Raises
    ------
    ConfigurationError
        For a list or an object.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # whole numbers become floats where a table has gaps
    if isinstance(value, (list, tuple, Mapping, bytes, JsonObject)):
        raise ConfigurationError(
            f"{where}: the {what} is a {type(value).__name__}, expected one value a row such as a string or a number."
        )
    return str(value).strip()


def _check_classes(corpus: Corpus, label: str, left_out: str) -> None:
    n = len(corpus.classes)
    if n < 2:
        raise ConfigurationError(
            f"{corpus.source}: column {label} holds one class alone ({corpus.classes[0]:.60}); at least two are "
            f"needed. {left_out}".rstrip()
        )
    if n > _MAX_CLASSES or (n > 20 and 2 * n > len(corpus)):
        raise ConfigurationError(
            f"{corpus.source}: column {label} holds {n} different values in {len(corpus)} rows; is it the column of "
            f"the labels? {left_out}".rstrip()
        )
