"""Label new texts with the model that a study left: the label and the calibrated probability of every class.

Writes JSON Lines, ``{"row", "label", "probabilities": {class: p}}``, to standard output, or to a file; CSV if its name
ends so. ``row`` is the line of a text file, of a CSV or of JSON Lines, the row of a Parquet file, or the number of a
label's paragraph. The same command after a kill goes on where the file ended.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from study.command.cli import run_command
from study.command.label_file import LabelFile, Labeller, as_line
from study.command.number_types import number
from study.command.study_arguments import add_study_arguments
from study.record.folder import MODELS, StudyFolder
from study.terminal.program import written
from study.verdict.comparison import load_study
from trainables.corpora.new_texts import FORMATS, NewText, find_format, read_new_texts
from trainables.corpora.own_tables.tables import Notes
from trainables.errors import ConfigurationError, collect
from trainables.export.about import read_about


class Input(NamedTuple):
    """Texts to be labelled: the file, what it holds, its column of texts, and what the study says of such files."""

    path: Path
    kind: str
    column: str | None
    classes: tuple[str, ...]
    options: Mapping[str, Any]

    def texts(self, notes: Notes) -> Iterator[NewText]:
        """Yield them."""
        return read_new_texts(
            self.path, self.kind, notes, column=self.column, classes=self.classes, options=self.options
        )

    def identity(self) -> list[Any]:
        """Return what tells this input from another one."""
        files = [self.path]
        if self.path.is_dir():  # an output under way may lie there too, under a hidden name
            files = sorted(file for file in self.path.rglob("*") if not file.name.startswith("."))
        sizes = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return [sizes, self.kind, self.column, dict(self.options)]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    command = argparse.ArgumentParser(prog=written("predict"), description=__doc__)
    add_study_arguments(command)
    command.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        required=True,
        help="text file with one text a line, CSV, TSV, JSON, JSON Lines or Parquet, plain or gzip; for adme also "
        "openFDA's records or SPL XML, a file or a folder",
    )
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="write a file instead of standard output"
    )
    command.add_argument(
        "--format", choices=FORMATS, help="what the input holds (default: told by its name and its content)"
    )
    command.add_argument(
        "--text",
        metavar="COLUMN",
        help="column of the texts, by name or by number from 0 (default: the study's own, or text)",
    )
    command.add_argument("--delimiter", metavar="CHARACTER", help="of a CSV (default: detected)")
    command.add_argument("--encoding", metavar="NAME", help="e.g. utf-8, cp1252 (default: detected)")
    command.add_argument(
        "--abstain-below",
        type=_share,
        default=0.0,
        metavar="P",
        help="label null where no class has at least this probability",
    )
    command.add_argument(
        "--model",
        choices=MODELS,
        help="of which recipe (default: the winner, or vanilla where the study's last launch noted that the winner is "
        "worse)",
    )
    return command


def predict(arguments: argparse.Namespace) -> int:
    """Label the texts of a file."""
    faults: list[str] = []
    about = collect(faults, lambda: _model_of(arguments))
    if not arguments.input.exists():
        faults.append(f"--input {arguments.input}: no such file; give the path of the texts.")
    if about is None or faults:
        raise ConfigurationError(faults)
    folder, model, config = about
    given = _input_of(arguments, config, tuple(model["classes"]))
    console = Console(stderr=True, highlight=False)
    notes = Notes()
    total = sum(1 for _ in given.texts(notes))  # finds what is wrong before the model is loaded
    for sentence in (*notes.remarks, notes.left_out.sentence(total)):
        if sentence:
            console.print(f"{given.path}: {sentence}", markup=False, soft_wrap=True)
    if not total:
        raise ConfigurationError(f"{given.path}: no row of it has a text; nothing was labelled.")
    file = None
    if arguments.output is not None:
        file = LabelFile(arguments.output, [model["digest"], given.identity(), arguments.abstain_below])
    if arguments.model is None and folder.name != MODELS[0]:
        console.print(
            f"The labels are {folder.name}'s: the verdict is that pre-finetuning is worse. --model {MODELS[0]} takes "
            "its model all the same.",
            soft_wrap=True,
        )
    from trainables.export.labelling import SavedModel  # loads torch

    saved = SavedModel.load(folder)
    _write(Labeller(saved.classes, saved.probabilities, arguments.abstain_below), given, file, total, console)
    return 0


def _write(labeller: Labeller, given: Input, file: LabelFile | None, total: int, console: Console) -> None:
    done = 0 if file is None else file.resume()
    if done:
        console.print(f"{done:,} of {total:,} texts were labelled before; going on with the others.")
    agreed: Counter[bool] = Counter()
    abstained = 0
    started = time.perf_counter()
    columns = (TextColumn("labelling"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, completed=done)
        texts = given.texts(Notes())
        for _ in range(done):
            next(texts)
        for results in labeller.label(texts):
            progress.advance(task, len(results))
            if file is not None:
                file.append(results)
                continue
            sys.stdout.write("".join(map(as_line, results)))
            _count(results, agreed)
            abstained += sum(result["label"] is None for result in results)
    rate = (total - done) / (time.perf_counter() - started)
    if file is not None:
        _count(file.results(), agreed)
        abstained = sum(result["label"] is None for result in file.results())
        file.finish(labeller.classes)
    said = [f"{total:,} texts labelled ({rate:,.0f} a second)"]
    said += [f"{abstained:,} of them without a label"] if abstained else []
    said += [f"written to {file.output}"] if file is not None else []
    console.print("; ".join(said) + ".", markup=False, soft_wrap=True)
    if agreed:
        share = agreed[True] / agreed.total()
        console.print(
            f"{agreed.total():,} of them stood under a heading that names a class: {agreed[True]:,} ({share:.0%}) got "
            "that class.",
            soft_wrap=True,
        )


def _count(results: Any, agreed: Counter[bool]) -> None:
    """Count whether texts got the class that their heading names."""
    agreed.update(result["label"] == result["heading"] for result in results if result.get("heading"))


def _model_of(arguments: argparse.Namespace) -> tuple[Path, Mapping[str, Any], Mapping[str, Any]]:
    """Return the folder of the model, what it says of itself, and the study's configuration."""
    facts, _ = load_study(arguments.storage, arguments.name)
    study = StudyFolder(arguments.storage, arguments.name)
    folder = study.model(arguments.model or study.read_champion())
    about = read_about(folder)
    if about is None:
        raise ConfigurationError(
            f"study {arguments.name!r} has no model in {folder}: launch the study with a confirmation first, which "
            f"ends in one: {written('launch')} {arguments.name} --storage {arguments.storage}"
        )
    return folder, about, facts["config"]


def _input_of(arguments: argparse.Namespace, config: Mapping[str, Any], classes: tuple[str, ...]) -> Input:
    options = dict(config.get("corpus_options") or {})
    kind = arguments.format or find_format(arguments.input, config.get("corpus", ""), arguments.text)
    column = arguments.text or options.get("text")
    own = {name: getattr(arguments, name) for name in ("delimiter", "encoding") if getattr(arguments, name)}
    kept = {name: value for name, value in options.items() if name == "food_effect"}
    return Input(arguments.input, kind, None if column is None else str(column), classes, kept | own)


def _share(text: str) -> float:
    return number(text, lambda value: 0 <= value <= 1, "a probability from 0 to 1")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(predict, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
