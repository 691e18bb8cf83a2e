"""``python -m study.ladder NAME``: what is left of the paper's gain under a sound protocol, one step at a time.

The paper's recipe and its rivals run twice, with the texts split at random and split by group; the options are those of
``study.launch``, and the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from study.command.launch_arguments import build_parser as build_launch_parser
from study.config.study_files import study_name
from study.launch import Launched, launch_study, run_on_cluster
from study.record.folder import StudyFolder, write_atomically
from study.terminal.program import written
from study.terminal.streams import output_console
from study.terminal.tables import FittedTable
from study.verdict.ladder import Ladder, build_ladders
from study.verdict.statistics import reading
from study.verdict.words import evaluated_on, metric_name, ratio_phrase
from trainables.errors import ConfigurationError


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = build_launch_parser()
    parser.prog = written("ladder")
    parser.description = (
        "Compare the paper's recipe with vanilla under the paper's protocol, then with the texts split by group,\nwith "
        "as many steps for vanilla, with vanilla tuned, and with the best control that costs nothing."
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser


def ladder(args: argparse.Namespace) -> int:
    """Run both studies and show the ladder."""
    from study.config.published import under_the_papers_protocol
    from trainables.corpora.split_settings import GROUP, ROW

    if args.trials:
        raise ConfigurationError(
            f"--trials {args.trials}: the ladder searches nothing but vanilla's settings (--arm-trials): leave it out."
        )
    if args.minutes or args.hours:
        raise ConfigurationError(
            "--minutes, --hours: the ladder's studies have one size, so leave these out."
        )
    console = Console(stderr=True)
    found: dict[str, Launched] = {}
    connection = None
    for split_by in (ROW, GROUP):
        console.print(
            Text(f"The paper's recipe and its rivals, with the texts split by {split_by}"), style="bold"
        )
        protocol = partial(under_the_papers_protocol, split_by=split_by)
        found[split_by] = launch_study(args, console, protocol, connection)
        connection = found[split_by].connection
    by_row, by_group = found[ROW].end, found[GROUP].end
    if by_row is None or by_group is None:  # a dry run
        return 0
    from study.verdict.ladder_figure import ladder_figure

    name = args.called or study_name(args.name)
    ladders = build_ladders(name, by_row.comparison, by_group.comparison)
    folder = StudyFolder(Path(args.storage).resolve(), f"{name}-ladder").root
    folder.mkdir(exist_ok=True)
    text = json.dumps([each.to_json() for each in ladders], indent=2, allow_nan=False)
    write_atomically(folder / "ladder.json", text + "\n")
    for each in ladders:
        write_atomically(folder / f"ladder-{each.ratio}.svg", ladder_figure(each))
    if args.format == "json":
        print(text)
    else:
        show(ladders)
    console.print(f"Figures: {folder}", highlight=False, soft_wrap=True)
    return 0


def show(ladders: Sequence[Ladder]) -> None:
    """Print the ladders on standard output."""
    console = output_console()
    for each in ladders:
        title = f"{metric_name(each.metric)} {evaluated_on(each.metric).lower()}, {ratio_phrase(each.ratio)}"
        table = FittedTable(
            "rung",
            "the paper's recipe against",
            "paper",
            "rival",
            "gain",
            "reading",
            words=("the paper's recipe against", "reading"),
            title=title,
        )
        for place, rung in enumerate(each.rungs, start=1):
            paper, rival = rung.scores
            table.add_row(
                f"{place}. {rung.title}",
                rung.rival,
                paper.text(),
                rival.text(),
                rung.gain.text(signed=True),
                reading(rung.gain, each.metric),
            )
        console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_on_cluster(ladder, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
