"""The options of commands that name a corpus: where it lies, and what its reader is told."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from trainables.corpora.drug_labels.openfda_queries import OPENFDA
from trainables.errors import ConfigurationError

_TABULAR = {
    "text": ("COLUMN", "column of the texts, by name or by number from 0"),
    "label": ("COLUMN", "column of the labels, by name or by number from 0"),
    "group": ("COLUMN", "column of the groups that must not be split (default: every text is its own group)"),
    "split": ("COLUMN", "column that says train, validation or test"),
    "validation_data": ("FILE", "file of the validation rows; --data then holds the training rows"),
    "test_data": ("FILE", "file of the test rows; --data then holds the training rows"),
    "delimiter": ("CHARACTER", "comma, tab, semicolon, pipe or another character (default: detected)"),
    "quoting": (
        "HOW",
        "double: fields may be in double quotes; backslash: and quotes in them have a backslash before them; none: "
        "quotes are text (default: detected)",
    ),
    "encoding": ("NAME", "e.g. utf-8, cp1252, utf-16 (default: detected, and told where it was guessed)"),
    "header": ("yes|no", "whether the first row names the columns (default: no if all are given by number)"),
}
_DRUG_LABELS = {
    "labels": (
        "WHICH",
        "openFDA's labels, where no --data is given: part, the first 1,000 by identity (at most 150 MB), or all, some "
        "1.5 GB (default: part; the preset cluster takes all)",
    ),
}
_CLASSES = {
    "rare_classes": (
        "WHAT",
        "what becomes of classes with too few rows or groups: leave-out, merge:NAME (one class of that name, which "
        "may be a class that exists) or refuse (default: refuse those that cannot be split)",
    ),
    "min_rows": (
        "K",
        "a class with fewer rows is rare (default: 6, two in each of train, validation and test)",
    ),
}


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a corpus reader can be told."""
    table = parser.add_argument_group("tabular", "a table of your own: CSV, TSV, JSON, Parquet or hf:NAME")
    for name, (metavar, text) in _TABULAR.items():
        table.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=text)
    table.add_argument(
        "--merge-alike",
        action="store_true",
        default=None,
        help="make one class of labels that look alike, e.g. that differ in case or in invisible characters",
    )
    drug_labels = parser.add_argument_group("adme", "paragraphs of drug labels")
    for name, (metavar, text) in _DRUG_LABELS.items():
        drug_labels.add_argument(f"--{name}", metavar=metavar, help=text)
    classes = parser.add_argument_group("classes", "for every corpus")
    for name, (metavar, text) in _CLASSES.items():
        classes.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=text)
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
        An ``--option`` is not NAME=VALUE, or labels are to be downloaded that ``--data`` gives.
    """
    options: dict[str, Any] = {
        name: getattr(args, name)
        for name in (*_TABULAR, "merge_alike", *_DRUG_LABELS, *_CLASSES)
        if getattr(args, name) is not None
    }
    faults = []
    for assignment in args.option:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            faults.append(f"--option {assignment}: NAME=VALUE was expected, e.g. --option food_effect=other.")
        options[name] = {"true": True, "false": False}.get(value, value)
    data = getattr(args, "data", None)
    if args.labels is not None and data not in (None, OPENFDA):
        faults.append(
            f"--labels {args.labels} says which labels are downloaded, but --data {data} takes their place: leave one "
            "of them out."
        )
    if faults:
        raise ConfigurationError(faults)
    return options


def exact_counts(counts: Sequence[str], ratios: Sequence[str] | None) -> dict[str, Any]:
    """Return the study's ratios and n_max for counts such as ``20:1000``.

    Raises
    ------
    ConfigurationError
        For counts that are not MINORITY:MAJORITY, that differ in the majority, or that come with ratios.

    Examples
    --------
    >>> exact_counts(["20:1000", "50:1000"], None)
    {'imbalance_ratios': (0.02, 0.05), 'n_max': 1000}
    """
    faults, pairs = [], []
    for text in counts:
        found = re.fullmatch(r"([1-9][0-9]*):([1-9][0-9]*)", text)
        if found is None or int(found[1]) > int(found[2]):
            faults.append(
                f"--counts {text}: MINORITY:MAJORITY was expected, two whole numbers of which the first is not the "
                f"larger one, e.g. --counts 20:1000."
            )
        else:
            pairs.append((int(found[1]), int(found[2])))
    if len({majority for _, majority in pairs}) > 1:
        faults.append(
            f"--counts {' '.join(counts)}: all counts of a study need the same majority, so that only the imbalance "
            f"differs; run a study for each majority."
        )
    if ratios is not None:
        faults.append("--counts and --imbalance-ratio exclude each other; give one of them.")
    if faults:
        raise ConfigurationError(faults)
    return {
        "imbalance_ratios": tuple(minority / majority for minority, majority in pairs),
        "n_max": pairs[0][1],
    }
