"""``python -m study.data NAME``: build a corpus alone and print what it holds."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from study.command.cli import run_command
from study.command.corpus_arguments import add_corpus_arguments, corpus_options
from study.config.files import load_study_file
from study.config.study_files import is_path, known_studies
from study.terminal.program import written
from study.terminal.streams import output_console
from study.terminal.tables import FittedTable
from trainables.corpora.corpus import Corpus
from trainables.corpora.duplicates import near_duplicate_clusters
from trainables.corpora.leakage import duplicate_counts, given_parts
from trainables.corpora.registry import CORPORA, read_corpus
from trainables.corpora.split import PARTS
from trainables.corpora.wording import shown
from trainables.errors import ConfigurationError


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog=written("data"),
        description="Build a corpus alone and print what it holds: rows, groups, classes, lengths, what was left out.",
    )
    names = sorted({*CORPORA, *known_studies()})
    parser.add_argument(
        "name", metavar="NAME", help=f"the corpus or the study: {', '.join(names)}, or a file of your own"
    )
    parser.add_argument("--data", metavar="PATH", help="where the data lies (default: the corpus's own)")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write the rows as JSON Lines")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    add_corpus_arguments(parser)
    return parser


def describe(corpus: Corpus) -> dict[str, Any]:
    """Return what a corpus holds, as a mapping that can be written as JSON.

    ``rows``, ``groups`` and ``classes`` (rows per class) are what a study gets. ``found`` counts rows per class before
    any was left out, ``left_out`` the rows left out by reason, and ``duplicates`` what is repeated. Where the source
    gives a split, ``split`` counts rows per part and class after leaking rows were taken out of train.
    """
    clusters = near_duplicate_clusters(corpus.texts)
    duplicates = duplicate_counts(corpus, clusters)
    about = {
        "rows": len(corpus),
        "groups": len(set(corpus.groups)),
        "classes": corpus.class_counts(),
        "found": dict(corpus.found),
        "left_out": {reason: n for reason, n in corpus.left_out.items() if reason not in duplicates},
        "duplicates": duplicates,
        "digest": corpus.digest,
        "remarks": list(corpus.remarks),
    }
    if corpus.split is not None:
        part_of_row = given_parts(corpus, clusters).part_of_row
        about["split"] = {
            part: _class_counts(corpus, part_of_row == number)
            for number, part in enumerate(PARTS)
            if part in corpus.split
        }
    return about


def _class_counts(corpus: Corpus, chosen: npt.NDArray[np.bool_]) -> dict[str, int]:
    counts = np.bincount(corpus.labels[chosen], minlength=len(corpus.classes)).tolist()
    return dict(zip(corpus.classes, counts, strict=True))


def write_rows(corpus: Corpus, path: Path) -> None:
    """Write one JSON object per row (text, label, group, origin); the file appears whole or not at all.

    Raises
    ------
    ConfigurationError
        When the file cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                for text, label, group, origin in zip(
                    corpus.texts, corpus.labels, corpus.groups, corpus.origins, strict=True
                ):
                    row = {"text": text, "label": corpus.classes[label], "group": group, "origin": origin}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(
            f"--output {path}: cannot be written ({error.strerror}); name a file in an existing folder."
        ) from error


def print_description(corpus: Corpus, console: Console) -> None:
    """Print the tables that people read."""
    about = describe(corpus)
    console.print(
        f"[bold]{escape(corpus.source)}[/bold]: {about['rows']} rows, {about['groups']} groups, "
        f"digest {about['digest']}",
        soft_wrap=True,
    )
    if corpus.notice:
        console.print(Text(corpus.notice, style="bold yellow" if corpus.is_sample else ""), soft_wrap=True)
    for remark in corpus.remarks:
        console.print(Text(f"Note: {remark}"), soft_wrap=True)
    words = np.array([len(text.split()) for text in corpus.texts])
    groups = np.asarray(corpus.groups, dtype=object)
    figures = ("rows", "share", "groups", "mean", "median", "95 %", "longest")
    table = FittedTable("class", *figures, title="Rows and their length in words")
    for index, name in [*enumerate(corpus.classes), (None, "all")]:
        rows = np.flatnonzero(corpus.labels == index) if index is not None else np.arange(len(corpus))
        if len(rows):
            lengths = words[rows]
            table.add_row(
                shown(name),
                str(len(rows)),
                f"{len(rows) / len(corpus):.1%}",
                str(len(set(groups[rows]))),
                f"{lengths.mean():.0f}",
                f"{np.median(lengths):.0f}",
                f"{np.percentile(lengths, 95):.0f}",
                str(lengths.max()),
            )
    console.print(table)
    for title, key in (("Not taken", "left_out"), ("Repeated", "duplicates")):
        if about[key]:
            reasons = FittedTable("what", "rows" if key == "left_out" else "number", title=title)
            for reason, n in sorted(about[key].items(), key=lambda item: -item[1]):
                reasons.add_row(reason, str(n))
            console.print(reasons)
    if "split" in about:
        parts = FittedTable("class", *about["split"], title="The source's split, without what leaked")
        for name in corpus.classes:
            parts.add_row(shown(name), *(str(counts[name]) for counts in about["split"].values()))
        parts.add_row("all", *(str(sum(counts.values())) for counts in about["split"].values()))
        console.print(parts)


def _corpus_of(args: argparse.Namespace) -> Corpus:
    """Read the corpus of the study with that name, or, where there is no such study, the corpus with that name."""
    options = corpus_options(args)
    if args.name not in known_studies() and not is_path(args.name):
        return read_corpus(args.name, args.data, **options)
    config = load_study_file(args.name, "laptop", {"corpus_options": options})
    return read_corpus(config.corpus, args.data or config.data, **config.corpus_options)


def data(args: argparse.Namespace) -> int:
    """Build, describe and perhaps write the corpus."""
    corpus = _corpus_of(args)
    if args.output is not None:
        write_rows(corpus, args.output)
    if args.format == "json":
        print(json.dumps(describe(corpus)))
    else:
        print_description(corpus, output_console())
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return run_command(data, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
