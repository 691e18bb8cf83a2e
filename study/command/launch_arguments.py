"""The launch command's options, and which values of a study they override."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from study.command.corpus_arguments import add_corpus_arguments, corpus_options, exact_counts
from study.config.aims import AIMS
from study.config.arms import ALL_CONTROLS, CONTROLS
from study.config.samplers import SAMPLERS
from study.config.study_files import first_lines
from study.record.folder import STORAGE_VARIABLE, default_storage
from study.terminal.program import written
from trainables.errors import ConfigurationError, collect
from trainables.settings import PROFILES


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog=written("launch"),
        description="Run a study: does pre-finetuning with data augmentation beat vanilla finetuning on this "
        "corpus?\nThe same command, given again, goes on where it stopped.",
        epilog=listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", metavar="NAME", help="one of the studies below, or the path of a file of your own"
    )
    parser.add_argument("--data", metavar="PATH", help="where the corpus lies (default: the study's own)")
    parser.add_argument(
        "--preset",
        help="smoke, laptop or cluster (default: the one with which the study began; for a new study cluster with GPUs "
        "or where some may be started, else laptop)",
    )
    parser.add_argument(
        "--encoder",
        metavar="NAME_OR_PATH",
        help="minilm, a local folder, or a Hub name with its commit: NAME@REVISION (default: the preset's)",
    )
    parser.add_argument("--trials", type=int, help="configurations that the search tries")
    parser.add_argument(
        "--sampler",
        metavar="NAME",
        help=f"what proposes them: {', '.join(SAMPLERS)} (default: tpe); a resumed search may change it",
    )
    parser.add_argument(
        "--objective",
        nargs="+",
        metavar="WHAT",
        help=f"what the search pursues: {', '.join(AIMS)} (gain at few seconds of training), and by which metric of "
        "validation, e.g. --objective score val/mcc, or val_offsets/macro_f1, with class offsets (default: gain, in "
        "the study's own metric)",
    )
    parser.add_argument(
        "--max-seconds-per-trial",
        type=float,
        metavar="S",
        help="a configuration of which a replicate trains longer than S seconds ends there and is never chosen",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="end in M minutes, confirmation and report included: this machine is measured, and rows, trials, "
        "replicates and imbalance ratios that are not given are chosen to fit (default: the preset's, unless a size is "
        "given)",
    )
    parser.add_argument("--hours", type=float, metavar="H", help="the same in hours")
    parser.add_argument(
        "--warm-start",
        type=os.path.expanduser,
        metavar="DIR",
        help="folder of an earlier study, e.g. results/adme, whose finished trials the sampler knows from the start; "
        "they are no results of this one",
    )
    parser.add_argument("--replicates", type=int, help="replicates of a trial that is never raced out")
    parser.add_argument(
        "--confirm",
        dest="confirmation_replicates",
        type=int,
        metavar="N",
        help="fresh replicates on which what was chosen is scored on the test split; 0 for no confirmation (default: "
        "the preset's)",
    )
    parser.add_argument(
        "--until-decided",
        type=int,
        metavar="MAX",
        help="add replicates to the confirmation, up to MAX, until the gain is shown, or shown to be negligible; the "
        "repeated looks are corrected for",
    )
    parser.add_argument(
        "--arms",
        nargs="+",
        action="extend",
        metavar="ARM",
        help=f"controls to run beside the ones that every study has: {', '.join(CONTROLS)}; 'all' of these, or "
        "'none' (default: the preset's)",
    )
    parser.add_argument(
        "--arm-trials",
        type=_count_or_same,
        metavar="N",
        help="tune each of these controls with N configurations per ratio, 'same' for as many as pre-finetuning "
        "gets; 0 runs them untuned: at vanilla's settings, or at the leading trial's where a control measures what "
        "one part of that trial contributes (default: the preset's)",
    )
    parser.add_argument(
        "--imbalance-ratio",
        nargs="+",
        action="extend",
        metavar="RATIO",
        help="n_minority/n_majority in (0, 1], or 'natural'; several are compared",
    )
    parser.add_argument(
        "--profile",
        help=f"how the class counts fall from majority to minority: {', '.join(PROFILES)} (default: the study's)",
    )
    parser.add_argument(
        "--storage",
        type=os.path.expanduser,
        default=default_storage(),
        metavar="DIR",
        help=f"folder for results and caches (default: ${STORAGE_VARIABLE} or %(default)s)",
    )
    parser.add_argument(
        "--as",
        dest="called",
        metavar="NAME",
        help="keep this variant of the study under a name of its own, beside others in the same folder",
    )
    parser.add_argument(
        "--tracking-uri", help="MLflow server or store (default: SQLite in the storage folder)"
    )
    parser.add_argument(
        "--workers-per-trial", type=int, help="data-parallel workers of one trial (default: 1)"
    )
    parser.add_argument(
        "--counts",
        nargs="+",
        metavar="MINORITY:MAJORITY",
        help="exact rows of minority and majority classes instead of ratios, e.g. 20:1000 50:1000",
    )
    parser.add_argument(
        "--validation-per-class", type=int, metavar="K", help="balanced validation of K rows a class"
    )
    parser.add_argument(
        "--resplit",
        action=argparse.BooleanOptionalAction,
        help="training and validation texts of every replicate's own; the test texts stay (default: the study's)",
    )
    parser.add_argument("--seed", type=int, help="seed of the study")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override any value of the preset, VALUE as JSON, e.g. --set max_train_rows=2000",
    )
    add_corpus_arguments(parser)
    parser.add_argument("--fresh", action="store_true", help="set an existing study aside and start over")
    parser.add_argument("--dry-run", action="store_true", help="check everything, show the plan and stop")
    return parser


def listing() -> str:
    """Return the studies that can be launched, each with the first line of its file."""
    about = first_lines()
    width = max(map(len, about))
    lines = (f"  {name:{width}}  {line}" for name, line in about.items())
    return "\n".join(
        (
            "studies:",
            *lines,
            f"  {'./my_study.py':{width}}  a file of your own, by its path",
            "",
            f"`{written('settings')} NAME` shows what a study searches; --help lists all options.",
        )
    )


def overrides_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the values of the study that the command line overrides.

    Raises
    ------
    ConfigurationError
        With every fault of :func:`read_overrides`.
    """
    values, faults = read_overrides(args)
    if faults:
        raise ConfigurationError(faults)
    return values


def read_overrides(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Return the values that the command line overrides, and a fault for each that cannot be read."""
    faults: list[str] = []
    direct = (
        "data",
        "encoder",
        "minutes",
        "trials",
        "max_seconds_per_trial",
        "replicates",
        "sampler",
        "warm_start",
        "arm_trials",
        "confirmation_replicates",
        "until_decided",
        "profile",
        "workers_per_trial",
        "seed",
        "validation_per_class",
        "resplit",
    )
    values = {name: getattr(args, name) for name in direct if getattr(args, name) is not None}
    if args.hours is not None:
        if args.minutes is not None:
            faults.append("--minutes and --hours were both given: one of them was expected.")
        values["minutes"] = 60.0 * args.hours
    for asked in args.objective or ():
        name = "objective" if "/" in asked else "aim"
        if name in values:
            faults.append(f"--objective {' '.join(args.objective)}: one aim and one metric were expected.")
        values[name] = asked
    if args.encoder is not None:
        name, at, revision = args.encoder.rpartition("@")
        pinned = bool(at) and not Path(args.encoder).exists()  # a folder's name may hold an @
        values["encoder"] = name if pinned else args.encoder
        values["encoder_revision"] = revision if pinned else None
    if args.arms is not None:
        values["arms"] = _arms(args.arms)
    if args.imbalance_ratio is not None:
        values["imbalance_ratios"] = tuple(_ratio(text) for text in args.imbalance_ratio)
    if args.counts is not None:
        values |= collect(faults, lambda: exact_counts(args.counts, args.imbalance_ratio)) or {}
    if options := collect(faults, lambda: corpus_options(args)):
        values["corpus_options"] = options
    for assignment in args.set:
        name, equals, text = assignment.partition("=")
        if equals and name:
            values[name] = _as_configured(_parsed(text))
        else:
            faults.append(f"--set {assignment}: NAME=VALUE was expected, e.g. --set max_train_rows=2000.")
    return values, faults


def _arms(names: list[str]) -> tuple[str, ...]:
    """Return the chosen arms, each once, with ``all`` and ``none`` expanded; commas separate them as spaces do."""
    names = [name for text in names for name in text.split(",") if name]
    if names == ["none"]:
        return ()
    chosen = [arm for name in names for arm in (ALL_CONTROLS if name == "all" else (name,))]
    return tuple(dict.fromkeys(chosen))


def _count_or_same(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _ratio(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _as_configured(value: Any) -> Any:
    """Turn JSON's lists into the tuples that a configuration holds."""
    if isinstance(value, list):
        return tuple(_as_configured(item) for item in value)
    if isinstance(value, dict):
        return {key: _as_configured(item) for key, item in value.items()}
    return value
