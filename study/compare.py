"""Show a study's trials against their vanilla baseline, with intervals, and write its report.

Run ``python -m study.compare NAME``; the study may still be running.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from study.command.cli import run_command
from study.command.number_types import count
from study.command.study_arguments import add_study_arguments
from study.terminal.program import written
from study.terminal.streams import output_console
from study.terminal.tables import FittedTable
from study.verdict.answer import answer, budget_note, lead_note
from study.verdict.comparison import (
    Comparison,
    Result,
    build_comparison,
    differing_settings,
    load_study,
)
from study.verdict.comparison_json import comparison_json
from study.verdict.confirmed import ConfirmedArm, ConfirmedRatio
from study.verdict.front import cause_in_words, front_of, state_in_words, tells_training_time, training_time
from study.verdict.gain_chart import gain_chart
from study.verdict.statistics import metric_mean
from study.verdict.words import arm_name, duration, evaluated_on, metric_name, ratio_phrase, setting_text
from trainables.method.arms import POSTHOC_ARM

# Stands for a folder beside the report.
_IN_STUDY = Path()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    command = argparse.ArgumentParser(prog=written("compare"), description=__doc__)
    add_study_arguments(command)
    command.add_argument("--format", choices=("table", "json"), default="table")
    command.add_argument("--metric", help="metric of the gain, e.g. val/mcc (default: the study's own)")
    command.add_argument(
        "--top",
        type=count,
        metavar="N",
        help="show the N best trials of each ratio (and arm, as JSON); the report holds all",
    )
    command.add_argument(
        "--export",
        nargs="?",
        type=lambda text: Path(text).expanduser(),
        const=_IN_STUDY,
        metavar="DIR",
        help="also write the report as Markdown and its figures as SVG files (default: export in the study's folder)",
    )
    return command


def compare(arguments: argparse.Namespace) -> int:
    """Print the comparison on standard output and write the report."""
    facts, ledger = load_study(arguments.storage, arguments.name)
    from study.verdict.report import write_report  # draws with matplotlib, which takes a second to load

    comparison = build_comparison(ledger, facts, arguments.metric)
    report = write_report(comparison)
    exported = None
    if arguments.export is not None:
        from study.findings import page_of, without_places
        from study.verdict.export import export

        folder = report.with_name("export") if arguments.export == _IN_STUDY else arguments.export
        exported = export(page_of(comparison), folder, without_places(facts.get("command", [])))
    if arguments.format == "json":
        searches: dict[tuple[str, float | str], list[str]] = {}
        for trial in (*comparison.trials, *comparison.control_trials):
            key = trial.record.arm, trial.record.imbalance_ratio
            searches.setdefault(key, []).append(trial.record.trial_id)
        kept = {trial_id for best_first in searches.values() for trial_id in best_first[: arguments.top]}
        values = comparison_json(comparison)
        values["trials"] = [trial for trial in values["trials"] if trial["trial_id"] in kept]
        print(json.dumps(values, indent=2, allow_nan=False))
        print(f"report: {report}", file=sys.stderr)
    else:
        print_table(comparison, arguments.top)
        print(f"report: {report}")
    if exported is not None:
        print(f"exported: {exported}", file=sys.stderr if arguments.format == "json" else sys.stdout)
    return 0


def print_table(comparison: Comparison, top: int | None = None) -> None:
    """Print the answer, the baselines and the ``top`` best trials of each ratio on standard output."""
    console = output_console()
    if comparison.study["corpus"]["is_sample"]:
        console.print(Text(comparison.study["corpus"]["notice"], style="bold yellow"))
    found = answer(comparison)
    console.print(Text(found.headline, style="bold"))
    console.print(Text(found.paragraph))
    for remark in comparison.study["remarks"]:
        console.print(Text(f"Note: {remark}"))
    for ratio in comparison.ratios:
        console.print(Text(f"\n{ratio_phrase(ratio).capitalize()}", style="bold underline"))
        baselines = [b for b in comparison.baselines if b.record.imbalance_ratio == ratio]
        trials = comparison.trials_at(ratio)
        if baselines:
            console.print(_baseline_table(comparison, baselines))
            if flattered := lead_note(comparison, ratio):
                console.print(Text(flattered, style="dim"))
            if (note := budget_note(comparison, ratio)) is not None:
                console.print(Text(note, style="dim"))
        if trials:
            console.print(_trial_table(comparison, trials[:top]))
        if len(trials) > len(trials[:top]):
            console.print(Text(f"{len(trials) - len(trials[:top])} more in the report"))
        if not baselines and not trials:
            console.print("nothing scored yet")
        confirmed = comparison.confirmation.at(ratio) if comparison.confirmation else None
        if confirmed is not None:
            console.print(_confirmed_table(comparison, confirmed))
    if comparison.confirmation is not None and comparison.confirmation.ratios:
        console.print()
        for line in gain_chart(comparison.confirmation):
            console.print(Text(line))
        console.print(Text(f"Verdict: {found.headline}", style="bold"))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(compare, build_parser(), argv)


def _baseline_table(comparison: Comparison, baselines: Sequence[Result]) -> FittedTable:
    metric = metric_name(comparison.metric)
    table = _table(
        "baseline",
        metric,
        "gain over vanilla",
        f"lead of the {comparison.leading_name}",
        "settings",
        "replicates",
        "state",
    )
    for result in baselines:
        is_reference = result.record.arm == "vanilla"
        table.add_row(
            arm_name(result.record.arm),
            _metric_text(result, comparison.metric),
            "the reference" if is_reference else result.gain.text(signed=True),
            comparison.lead_over(result).text(signed=True),
            result.budget.in_words(),
            str(result.replicates),
            state_in_words(result.record),
        )
    return table


def _confirmed_table(comparison: Comparison, confirmed: ConfirmedRatio) -> FittedTable:
    assert comparison.confirmation is not None
    metric = comparison.confirmation.metric
    table = _table(
        f"confirmed {evaluated_on(metric).lower()}",
        metric_name(metric),
        "gain over vanilla",
        "verdict",
        "the winner minus it",
        "replicates",
        "cost",
    )
    for arm in confirmed.arms:
        values = arm.record.values(metric)
        table.add_row(
            arm_name(arm.record.arm) + (", the winner" if arm is confirmed.winner else ""),
            metric_mean(values.values(), metric).text(),
            "the reference" if arm.role == "vanilla" else arm.gain.text(signed=True),
            _verdict_text(arm),
            "" if arm.lead is None else arm.lead.text(signed=True),
            str(len(values)),
            "none beside vanilla"
            if arm.record.arm == POSTHOC_ARM
            else duration(arm.record.seconds / max(1, len(values))) + " a replicate",
            style="bold" if arm is confirmed.winner else "",
        )
    return table


def _verdict_text(arm: ConfirmedArm) -> str:
    """Return the verdict on an arm, and that it failed: what stands beside it then rests on the replicates before."""
    ended = state_in_words(arm.record) if cause_in_words(arm.record) else ""
    return "; ".join(filter(None, (arm.judgement.verdict if arm.judgement else "", ended)))


def _trial_table(comparison: Comparison, trials: Sequence[Result]) -> FittedTable:
    searched = differing_settings(comparison.trials)
    with_time = tells_training_time(comparison)
    table = _table(
        "trial",
        metric_name(comparison.metric),
        "gain over vanilla",
        "settings that differ",
        *(["training of a replicate"] if with_time else []),
        "replicates",
        "state",
    )
    front = front_of(comparison, trials[0].record.imbalance_ratio) if trials else set()
    for trial in trials:
        record = trial.record
        leads = comparison.best.get(record.imbalance_ratio) is trial
        marks = [*(["leading"] if leads else []), *(["Pareto front"] if record.trial_id in front else [])]
        table.add_row(
            record.trial_id,
            _metric_text(trial, comparison.metric),
            trial.gain.text(signed=True),
            " ".join(f"{name}={setting_text(record.read.get(name))}" for name in searched),
            *([training_time(record)] if with_time else []),
            str(trial.replicates),
            ", ".join([state_in_words(record), *marks]),
            style="bold" if leads else "",
        )
    return table


def _table(*columns: str) -> FittedTable:
    return FittedTable(
        *columns, words=("settings", "settings that differ", "state", "verdict", "cost"), box=None
    )


def _metric_text(result: Result, metric: str) -> str:
    return result.metrics[metric].text() if metric in result.metrics else "–"


if __name__ == "__main__":
    sys.exit(main())
