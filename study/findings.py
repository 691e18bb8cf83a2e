"""Keep a finished study as a page, JSON and a figure, with what was published beside it; no corpus text enters them.

Run ``python -m study.findings NAME``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from study.command.cli import run_command
from study.command.study_arguments import add_study_arguments
from study.config.study_files import FACT, known_studies, load, published_in
from study.record.folder import write_atomically
from study.terminal.program import written
from study.verdict.comparison import Comparison, build_comparison, load_study

if TYPE_CHECKING:
    from study.verdict.study_page import StudyPage


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    command = argparse.ArgumentParser(prog=written("findings"), description=__doc__)
    add_study_arguments(command)
    command.add_argument(
        "--output",
        type=lambda text: Path(text).expanduser(),
        metavar="DIR",
        default=Path("findings"),
        help="folder for the page, the JSON and the figure (default: %(default)s)",
    )
    command.add_argument("--metric", help="metric of the gain, e.g. val/mcc (default: the study's own)")
    return command


def findings(arguments: argparse.Namespace) -> int:
    """Write the page, the JSON and the figure."""
    facts, ledger = load_study(Path(arguments.storage), arguments.name)
    from study.verdict.study_page import page_figure, page_json, page_text

    page = page_of(build_comparison(ledger, facts, arguments.metric))
    file = arguments.output / f"{arguments.name}.md"
    drawing = file.with_suffix(".svg")
    values = json.dumps(page_json(page), indent=1, allow_nan=False)
    write_atomically(file.with_suffix(".json"), values + "\n")
    write_atomically(drawing, page_figure(page))
    write_atomically(file, page_text(page, drawing.name, without_places(facts.get("command", []))))
    print(file)
    return 0


def page_of(comparison: Comparison) -> StudyPage:
    """Return the page of a study, with what its study file says was published."""
    from study.verdict.study_page import StudyPage, published_for

    own = comparison.study.get(FACT)
    study = study_of(comparison.study.get("command", []))
    figures = published_in(own) if own else load(study).published if study else ()
    return StudyPage(comparison, published_for(figures, comparison.study))


def study_of(command: Sequence[str]) -> str | None:
    """Return the study file of ``search_spaces/`` that a recorded command names."""
    known = known_studies()
    return next((word for word in command if word in known), None)


def without_places(command: Sequence[str]) -> str:
    """Return a recorded command with PATH in place of the folders and files of one machine.

    Examples
    --------
    >>> without_places(["python", "-m", "study.launch", "adme", "--data", "/my/labels", "--storage=/x", "--fresh"])
    'python -m study.launch adme --data PATH'
    """
    words: list[str] = []
    rest = iter(command)
    for word in rest:
        option, equals, _ = word.partition("=")
        if option in ("--storage", "--tracking-uri"):
            if not equals:
                next(rest, None)
        elif option == "--data":
            if not equals:
                next(rest, None)
            words += ["--data", "PATH"]
        elif option != "--fresh":
            words.append(word)
    return shlex.join(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(findings, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
