"""The report: one self-contained HTML file for people who decide on what a study found."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from study.audits.stored import load_audit
from study.audits.view import MEANINGS, heading, marked
from study.audits.view import shown as shown_measure
from study.record.folder import write_atomically
from study.record.gains import lower_is_better
from study.record.ledger import FINISHED
from study.verdict import front, words
from study.verdict.answer import answer, budget_note, lead_note, vanilla_name
from study.verdict.class_tables import CLASS_METRICS, class_sections, scale_of
from study.verdict.comparison import (
    Comparison,
    Result,
    differing_settings,
    without_passwords,
)
from study.verdict.covered import covered_in_words
from study.verdict.figure import confirmed_figure, gain_figure
from study.verdict.score_figures import score_figures
from study.verdict.statistics import HEADLINE_METRICS, metric_mean, reading
from study.verdict.svg import DARK, LIGHT
from study.verdict.trial_figures import cost_drawing, parallel_drawing
from study.verdict.verdict_words import advice
from study.verdict.what_mattered import load_what_mattered
from trainables.interval import Interval, mean_interval
from trainables.method.arms import ARM_TABLE
from trainables.trial import is_with_offsets, with_offsets

# A table of more classes gets a height of its own, and a sentence says what it shows.
_MANY_CLASSES = 20


@dataclass(frozen=True)
class Cost:
    """What the trials of one phase and arm cost.

    Attributes
    ----------
    trials, replicates
        Their numbers.
    seconds
        Seconds of work over all of them.
    per_replicate
        Seconds of one replicate.
    """

    phase: str
    arm: str
    trials: int
    replicates: int
    seconds: float
    per_replicate: Interval


def write_report(comparison: Comparison) -> Path:
    """Write the report into the study's folder; a reader never sees a half-written one.

    Returns
    -------
    Path
        The written file.
    """
    path = comparison.report
    write_atomically(path, render_report(comparison))
    return path


def render_report(comparison: Comparison) -> str:
    """Return the report as HTML; the same comparison gives the same text."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        ratio=words.ratio_name,
        ratio_phrase=words.ratio_phrase,
        arm=words.arm_name,
        metric=words.metric_name,
        setting=words.setting_text,
        cause=front.cause_in_words,
        duration=words.duration,
        without_passwords=without_passwords,
    )
    environment.globals.update(
        light=LIGHT,
        dark=DARK,
        measure=shown_measure,
        marked=marked,
        counted=words.counted,
        reading=reading,
        strip=interval_strip,
        budget_note=budget_note,
        advice=advice,
        mean=metric_mean,
    )
    template = resources.files("study.verdict").joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(_content(comparison))


def costs(comparison: Comparison) -> list[Cost]:
    """Return the cost of every phase and arm, in the order in which the study goes through them."""
    results = comparison.everything
    found = []
    for phase, arm in dict.fromkeys((r.record.phase, r.record.arm) for r in results):
        records = [r.record for r in results if (r.record.phase, r.record.arm) == (phase, arm)]
        seconds = [rep.seconds for record in records for rep in record.replicates.values()]
        found.append(Cost(phase, arm, len(records), len(seconds), sum(seconds), mean_interval(seconds)))
    return found


def interval_strip(interval: Interval, scale: float) -> Markup:
    """Draw a difference and its interval on an axis from -scale to +scale, to decorate the numbers beside it."""
    if not interval.is_defined or scale <= 0:
        return Markup("")

    def x(value: float) -> str:
        return f"{60 + 56 * max(-1.0, min(1.0, value / scale)):.1f}"

    line = ""
    if interval.ci_low is not None and interval.ci_high is not None:
        line = f'<line class="range" x1="{x(interval.ci_low)}" x2="{x(interval.ci_high)}" y1="8" y2="8"/>'
    mark = "mean" if line else "mean hollow"
    return Markup(
        '<svg class="strip" viewBox="0 0 120 16" aria-hidden="true"><line class="zero" x1="60" x2="60" y1="1" '
        f'y2="15"/>{line}<circle class="{mark}" cx="{x(interval.mean)}" cy="8" r="3.5"/></svg>'
    )


def _content(comparison: Comparison) -> dict[str, Any]:
    study, confirmed = comparison.study, comparison.confirmation
    found = answer(comparison)
    used_arms = dict.fromkeys(r.record.arm for r in (*comparison.baselines, *comparison.trials))
    everything = comparison.everything
    headline = [f"{comparison.scored_on}/{name}" for name in HEADLINE_METRICS]
    if not is_with_offsets(comparison.metric):
        headline.insert(1, with_offsets(headline[0]))
    searched = differing_settings((*comparison.trials, *comparison.control_trials))
    return {
        "comparison": comparison,
        "study": study,
        "corpus": study["corpus"],
        "answer": found,
        "lower_is_better": lower_is_better(comparison.metric),
        "vanilla_name": vanilla_name(comparison),
        "where": words.evaluated_on(comparison.metric),
        "leading_name": comparison.leading_name,
        "part": words.part_name(comparison.metric),
        "covered": covered_in_words(study, words.part_name(comparison.metric)),
        "figure": Markup(gain_figure(comparison)),
        "confirmed": confirmed,
        "confirmed_figure": Markup(confirmed_figure(confirmed)) if confirmed else "",
        "confirmed_scale": scale_of(
            arm.gain for found in (confirmed.ratios if confirmed else ()) for arm in found.arms
        ),
        "balanced_metric": confirmed.metric.replace("test", "test_balanced", 1) if confirmed else "",
        "headline_metrics": [m for m in headline if any(m in r.metrics for r in everything)],
        "lead_note": lead_note(comparison),
        "has_offsets": any(is_with_offsets(m) for r in everything for m in r.metrics),
        "arm_meanings": {arm: ARM_TABLE[arm].meaning for arm in used_arms if arm in ARM_TABLE},
        "searched": searched,
        "with_training_time": front.tells_training_time(comparison),
        "training_time": front.training_time,
        "front": {trial_id for ratio in comparison.ratios for trial_id in front.front_of(comparison, ratio)},
        "constant": _constant_settings(comparison.trials, searched),
        "gain_scale": scale_of([t.gain for t in comparison.trials if t.gain.n > 1]),
        "lead_scale": scale_of([lead for f in found.findings for _, lead in f.controls]),
        "finding_scale": scale_of([f.leading.gain for f in found.findings if f.leading]),
        "many_classes": len(study["corpus"]["classes"]) > _MANY_CLASSES,
        "class_sections": class_sections(comparison),
        "class_metrics": CLASS_METRICS,
        "score_figures": score_figures(comparison),
        "cost_drawings": list(filter(None, (cost_drawing(comparison, r) for r in comparison.ratios))),
        "parallel_drawings": list(filter(None, (parallel_drawing(comparison, r) for r in comparison.ratios))),
        "what_mattered": load_what_mattered(comparison.report.parent),
        "audits": _audits(comparison),
        "audit_meanings": {heading(name): meaning for name, meaning in MEANINGS.items()},
        "augmentations": _augmentations(everything),
        "racing": _racing(comparison.trials),
        "costs": costs(comparison),
        "total_seconds": sum(r.record.seconds for r in everything),
        "failures": [r.record for r in everything if r.record.error],
        "launch_command": shlex.join(_launch_command(comparison)),
        "mlflow_command": shlex.join(
            ["mlflow", "ui", "--backend-store-uri", study["mlflow"]["tracking_uri"]]
        ),
        "as_of": _last_event(everything),
    }


def _launch_command(comparison: Comparison) -> list[str]:
    study = comparison.study
    recorded = study.get("command")
    if recorded:
        # Anyone who copied --fresh from a report would set the study aside.
        return [argument for argument in recorded if argument != "--fresh"]
    storage = str(comparison.report.parent.parent)
    return ["python", "-m", "study.launch", study["study"], "--preset", study["preset"], "--storage", storage]


def _constant_settings(trials: Iterable[Result], searched: list[str]) -> dict[str, Any]:
    return {
        name: value
        for trial in list(trials)[:1]
        for name, value in trial.record.config.items()
        if name not in (*searched, "imbalance_ratio", "arm")
    }


def _audits(comparison: Comparison) -> dict[float | str, dict[str, Any]]:
    """Return the stored audit of the leading trial's augmentation, by ratio."""
    study = comparison.report.parent
    return {
        ratio: stored
        for ratio, leading in comparison.best.items()
        if (stored := load_audit(study, leading.record.trial_id)) is not None
    }


def _augmentations(results: Iterable[Result]) -> dict[str, int]:
    """Return how many augmentations were computed, and how many stage-1 sets were found in the cache."""
    diagnostics = [
        replicate.diagnostics for result in results for replicate in result.record.replicates.values()
    ]
    return {
        name: round(sum(found.get(name, 0.0) for found in diagnostics))
        for name in ("augmentations_computed", "augmentation_cache_hits")
    }


def _racing(trials: Iterable[Result]) -> dict[int, dict[str, int]]:
    """Return the number of trials by replicates run, then state."""
    table: dict[int, dict[str, int]] = {}
    for trial in sorted(trials, key=lambda t: t.replicates):
        row = table.setdefault(trial.replicates, dict.fromkeys((*FINISHED, "running"), 0))
        row[trial.record.state] += 1
    if not any(row["infeasible"] for row in table.values()):
        for row in table.values():
            del row["infeasible"]
    return table


def _last_event(results: Iterable[Result]) -> str:
    last = max((r.record.finished or r.record.started for r in results), default=0.0)
    return (
        datetime.fromtimestamp(last, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
        if last
        else "nothing recorded yet"
    )
