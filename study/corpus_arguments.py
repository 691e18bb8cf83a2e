"""The options of commands that name a corpus: where it lies, and what its reader is told."""

from __future__ import annotations

import argparse
from typing import Any

from trainables.errors import ConfigurationError

_TABULAR = {
    "text": ("COLUMN", "column of the texts, by name or by number from 0"),
    "label": ("COLUMN", "column of the labels, by name or by number from 0"),
    "group": ("COLUMN", "column of the groups that must not be split (default: every text on its own)"),
    "split": ("COLUMN", "column that says train, validation or test"),
    "validation_data": ("FILE", "file of the validation rows; --data is train then"),
    "test_data": ("FILE", "file of the test rows; --data is train then"),
    "delimiter": ("CHARACTER", "comma, tab, semicolon, pipe or another character (default: found)"),
    "quoting": ("HOW", "double: fields may stand in double quotes; none: quotes are text (default: found)"),
    "encoding": ("NAME", "e.g. utf-8, cp1252, utf-16 (default: found)"),
    "header": ("yes|no", "whether the first row names the columns (default: no if all are given by number)"),
}


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a corpus reader can be told."""
    table = parser.add_argument_group(
        "tabular", "a table of your own: CSV, TSV, JSON Lines, Parquet or hf:NAME"
    )
    for name, (metavar, text) in _TABULAR.items():
        table.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=text)
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of the corpus, e.g. --option food_effect=other",
    )


def corpus_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the reader's options that the command line gives.

    Raises
    ------
    ConfigurationError
        An ``--option`` is not NAME=VALUE.
    """
    options: dict[str, Any] = {
        name: getattr(args, name) for name in _TABULAR if getattr(args, name) is not None
    }
    faults = []
    for assignment in args.option:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            faults.append(f"--option {assignment}: NAME=VALUE was expected, e.g. --option food_effect=other.")
        options[name] = {"true": True, "false": False}.get(value, value)
    if faults:
        raise ConfigurationError(faults)
    return options
