"""``python -m study.settings [NAME]``: every setting, its default, what it may be, which arms read it, what it does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from study.command.cli import run_command
from study.config.described import OF_STUDIES, OF_TRIALS, Described, described_settings
from study.config.files import load_study_file
from study.config.ranges import axis_words
from study.config.study import StudyConfig
from study.config.study_files import is_path, known_studies
from study.terminal.program import written
from study.terminal.streams import output_console
from study.terminal.tables import FittedTable
from trainables.errors import ConfigurationError
from trainables.rules import did_you_mean

_TITLES = {
    OF_TRIALS: "Settings of a trial: what a space may search, and what fixed may fix",
    OF_STUDIES: "Values of a study: what a study file gives, and --set overrides",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog=written("settings"),
        description="List every setting: its default, what it may be, which arms read it and what it does.",
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help=f"a setting, or a study, whose values are shown: {', '.join(known_studies())}, or the path of a study "
        "file",
    )
    parser.add_argument(
        "--preset", default="laptop", help="of the study that is shown (default: %(default)s)"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser


def settings(args: argparse.Namespace) -> int:
    """Show all settings, one setting, or the values of a study."""
    known = described_settings()
    if args.name in known:
        rows = [_row(known[args.name])]
    elif args.name is None:
        rows = [_row(each) for each in known.values()]
    elif args.name in known_studies() or is_path(args.name):
        config = load_study_file(args.name, args.preset, {})
        values = {**_trial_values(config), **_study_values(config)}
        rows = [_row(each) | values[name] for name, each in known.items()]
    else:
        names = [*known, *known_studies()]
        raise ConfigurationError(
            f"{args.name!r} is neither a setting nor a study.{did_you_mean(args.name, names)} "
            f"`{written('settings')}` lists the settings, `{written('launch')}` the studies."
        )
    if args.format == "json":
        print(json.dumps(rows, indent=1))
    else:
        _print(rows)
    return 0


def _row(each: Described) -> dict[str, Any]:
    """Return what is known of a setting as plain JSON values."""
    return {
        "name": each.name,
        "of": each.of,
        "default": each.default,
        "may be": each.expected,
        "read by": list(each.read_by),
        "readers": each.readers,
        "meaning": each.meaning,
    }


def _trial_values(config: StudyConfig) -> dict[str, dict[str, Any]]:
    """Return, for each setting of trials, its value where the study fixes it, and what every search of it covers."""
    spaces: dict[str, Mapping[str, Any]] = {"prefinetune": config.space, "vanilla": config.reference_space}
    spaces |= {arm: config.arm_spaces.get(arm, {}) for arm in config.tuned_arms()}
    known = [each for each in described_settings().values() if each.of == OF_TRIALS]
    found: dict[str, dict[str, Any]] = {
        each.name: {
            "value": config.fixed.get(each.name, each.default),
            "searched": {
                arm: _given(space[each.name]) for arm, space in spaces.items() if each.name in space
            },
        }
        for each in known
    }
    found["imbalance_ratio"]["value"] = list(config.imbalance_ratios)
    return found


def _study_values(config: StudyConfig) -> dict[str, dict[str, Any]]:
    known = [each for each in described_settings().values() if each.of == OF_STUDIES]
    return {each.name: {"value": getattr(config, each.name)} for each in known}


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of each kind, and a setting alone as a paragraph."""
    console = output_console()
    of_study = "value" in rows[0]
    for kind, title in _TITLES.items():
        columns = ["setting", "value or grids" if of_study else "default", "may be", "what it is"]
        if kind == OF_TRIALS:
            columns.insert(3, "read by")
        table = FittedTable(*columns, words=columns, title=title)
        chosen = [row for row in rows if row["of"] == kind]
        for row in chosen:
            cells = [row["name"], _value(row) if of_study else _shown(row["default"]), row["may be"]]
            table.add_row(*cells, *([row["readers"]] if kind == OF_TRIALS else []), row["meaning"])
        if chosen:
            console.print(table)


def _value(row: Mapping[str, Any]) -> str:
    """Return a setting's value in a study: fixed, or searched, with the values or the range of each arm."""
    if not row.get("searched"):
        return _shown(row["value"])
    by_axis: dict[str, list[str]] = {}
    for arm, given in row["searched"].items():
        by_axis.setdefault(axis_words(given, _shown), []).append(arm)
    return "; ".join(f"{', '.join(arms)}: {axis}" for axis, arms in by_axis.items())


def _given(given: Any) -> Any:
    return dict(given) if isinstance(given, Mapping) else list(given)


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, Mapping):
        return json.dumps(value) if value else "none"
    return "none" if value is None else str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(settings, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
