"""``python -m study.augment NAME``: what augmentation operators do to a study's training texts, and examples."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from study.audits.view import MEANINGS, audit_table, example_table, heading, shown
from study.command.cli import run_command
from study.command.corpus_arguments import add_corpus_arguments
from study.command.launch_arguments import build_parser as build_launch_parser
from study.command.launch_arguments import overrides_of
from study.config.encoders import encoder_settings
from study.config.files import load_study_file
from study.config.study import StudyConfig
from study.config.study_files import known_studies
from study.record.folder import write_atomically
from study.terminal.program import written
from study.terminal.streams import output_console
from trainables.augment.registry import OPERATORS, make_operator, option_faults, why_unavailable
from trainables.corpora.corpus import Corpus
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError, collect
from trainables.model.source import source_faults
from trainables.rules import field_faults
from trainables.seeds import derive_seed

STRENGTHS = (0.05, 0.1, 0.3, 0.5)


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog=written("augment"),
        description="Audit augmentation operators on a study's training texts: how much they change, what they keep, "
        "whether labels survive. Validation and test texts are never touched.",
    )
    parser.add_argument(
        "name", metavar="NAME", help=f"the study: {', '.join(known_studies())}, or a file of your own"
    )
    parser.add_argument("--data", metavar="PATH", help="where the corpus lies (default: the study's own)")
    parser.add_argument(
        "--operator",
        nargs="+",
        action="extend",
        metavar="NAME",
        help=f"operators to audit: {', '.join(sorted(OPERATORS))} (default: all that can run here)",
    )
    parser.add_argument(
        "--strength",
        nargs="+",
        action="extend",
        metavar="SHARE",
        help=f"shares of words to change, in (0, 1] (default: {' '.join(map(str, STRENGTHS))})",
    )
    parser.add_argument(
        "--show", type=int, default=0, metavar="N", help="show N examples of each, side by side"
    )
    parser.add_argument(
        "--rows", type=int, default=200, metavar="N", help="training texts to augment (default: %(default)s)"
    )
    parser.add_argument(
        "--copies", type=int, default=3, metavar="K", help="augmentations of each text (default: %(default)s)"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--output", metavar="FILE", type=Path, help="also write the audit as JSON")
    parser.add_argument(
        "--encoder", metavar="NAME_OR_PATH", help="as for study.launch (default: the study's)"
    )
    parser.add_argument("--seed", type=int, help="seed of the study, which decides its split")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other value of the study, e.g. --set max_length=64 or --set operator_options={...}",
    )
    add_corpus_arguments(parser)
    return parser


def augment(args: argparse.Namespace) -> int:
    """Audit the operators and print what was found."""
    # Options of launch that have no meaning here have its defaults.
    of_launch = build_launch_parser().parse_args([args.name])
    config = load_study_file(
        args.name, "laptop", overrides_of(argparse.Namespace(**{**vars(of_launch), **vars(args)}))
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    corpus, operators, strengths, unavailable = _checked(config, args)
    for name, reason in unavailable.items():
        console.print(Text(f"{name} cannot run here and is left out: {reason}"))
    found: dict[str, Any] = {
        "study": config.name,
        "corpus": {
            "source": corpus.source,
            "digest": corpus.digest,
            "is_sample": corpus.is_sample,
            "notice": corpus.notice,
        },
        "encoder": config.encoder,
        "seed": config.seed,
        "classes": list(corpus.classes),
        "unavailable": unavailable,
        "audits": [],
    }
    for audit in _audits(config, corpus, operators, strengths, args, console):
        found["audits"].append(audit)
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if args.output is not None:
        write_atomically(args.output, text + "\n")
    if args.format == "json":
        print(json.dumps(found, indent=2))  # in ASCII, which every terminal takes
    else:
        _print(found, args.show)
    return 0


def _checked(
    config: StudyConfig, args: argparse.Namespace
) -> tuple[Corpus, list[str], list[float], dict[str, str]]:
    """Return corpus, operators, strengths, and the operators that cannot run here, each with the reason.

    Raises
    ------
    ConfigurationError
        With all faults that were found.
    """
    wrong = config.wrong_fields()
    faults = [*field_faults(config).values()] or option_faults(config.operator_options)
    strengths = []
    for given in args.strength or STRENGTHS:
        try:
            strengths.append(float(given))
        except ValueError:
            strengths.append(float("nan"))
        if not 0 < strengths[-1] <= 1:
            faults.append(f"--strength {given}: a share of words in (0, 1] was expected.")
    for name, least in (("show", 0), ("rows", 1), ("copies", 1)):
        if getattr(args, name) < least:
            faults.append(f"--{name} {getattr(args, name)}: a whole number of at least {least} was expected.")
    if args.output is not None and (not args.output.parent.is_dir() or args.output.is_dir()):
        faults.append(f"--output {args.output}: name a file in an existing folder.")
    encoder = None if wrong else encoder_settings(config)
    if encoder is not None:
        faults += source_faults(encoder)
    corpus = None
    if not wrong & {"data", "corpus_options"} and (config.data is not None or not faults):
        corpus = collect(faults, lambda: read_corpus(config.corpus, config.data, **config.corpus_options))
    operators, unavailable = [], {}
    for name in dict.fromkeys(args.operator or sorted(OPERATORS)):
        if name not in OPERATORS:
            faults.append(f"--operator {name}: one of {', '.join(sorted(OPERATORS))} was expected.")
        elif faults:
            continue  # its options may be at fault
        elif not args.operator and OPERATORS[name].caches:
            unavailable[name] = f"every answer is paid for; ask for it with --operator {name}."
        elif (reason := why_unavailable(name, config.operator_options.get(name), encoder)) is None:
            operators.append(name)
        elif args.operator:
            faults.append(f"--operator {name}: it cannot run here: {reason}")
        else:
            unavailable[name] = reason
    if not faults:
        from trainables.model.encoder import encoder_faults

        faults += encoder_faults(encoder_settings(config))
    if faults or corpus is None:
        raise ConfigurationError(faults)
    return corpus, operators, strengths, unavailable


def _audits(
    config: StudyConfig,
    corpus: Corpus,
    operators: Sequence[str],
    strengths: Sequence[float],
    args: argparse.Namespace,
    console: Console,
) -> Iterator[dict[str, Any]]:
    """Yield every audit as JSON values, with the examples that were asked for."""
    from trainables.augment.audit.auditor import Auditor
    from trainables.corpora.leakage import split_corpus

    encoder = encoder_settings(config)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("splitting the corpus", total=len(operators) * len(strengths))
        corpus = corpus.in_canonical_order()
        train = split_corpus(
            corpus,
            seed=derive_seed(config.seed, "split"),
            settings=config.split_settings(),
        ).train
        progress.update(task, description="encoding the sources, training the judges")
        auditor = Auditor(
            [corpus.texts[row] for row in train],
            corpus.labels[train],
            [corpus.groups[row] for row in train],
            encoder,
            rows=args.rows,
            copies=args.copies,
            seed=config.seed,
        )
        for name in operators:
            for strength in strengths:
                progress.update(task, description=f"{name} {strength:g}")
                operator = make_operator(name, strength, encoder, config.operator_options.get(name))
                audit, examples = auditor.audit(name, strength, operator)
                yield audit.to_json() | {"examples": [asdict(example) for example in examples[: args.show]]}
                progress.advance(task)


def _print(found: dict[str, Any], show: int) -> None:
    console = output_console()
    if found["corpus"]["notice"]:
        console.print(
            Text(found["corpus"]["notice"], style="bold yellow" if found["corpus"]["is_sample"] else "")
        )
    for audit in found["audits"] if show else []:
        console.print(
            Text(f"\n{audit['operator']} at strength {audit['strength']:g}", style="bold underline")
        )
        console.print(example_table(audit["examples"], found["classes"]))
    first = found["audits"][0]
    console.print(audit_table(found["audits"]))
    console.print(
        Text(
            f"\n{first['rows']} training texts, spread over the classes, {first['copies']} augmentation(s) of each. "
            "In brackets: 95 % intervals, in which texts count, not copies. Label agreement of the unchanged "
            f"sources: {shown('source_agreement', first['source_agreement'])}."
        )
    )
    for name, meaning in MEANINGS.items():
        console.print(Text(f"{heading(name)}: {meaning}", style="dim"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return run_command(augment, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
