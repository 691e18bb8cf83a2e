"""What a comparison says, in words that claim no more than the replicates hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from study.config.arms import CONTROLS
from study.verdict.comparison import Comparison, Result
from study.verdict.covered import covered_in_words
from study.verdict.operating_point import operating_point_sentence
from study.verdict.statistics import reading
from study.verdict.unchanged import unchanged_sentence
from study.verdict.verdict_words import Behind, hardly_learned, verdict_headline, verdict_paragraph
from study.verdict.words import arm_name, at_ratio, counted, evaluated_on, metric_name, part_name
from trainables.interval import Interval
from trainables.method.arms import FROZEN_ARM

NOTHING_CHOSEN = "No configuration was chosen on these texts."
CAVEAT = (
    "The configuration was chosen on the same validation data that these figures come from, so they flatter "
    "it, and the intervals do not account for that choice. This is not a verdict: the confirmation on the "
    "test split has not been run."
)


@dataclass(frozen=True)
class Finding:
    """What is known at one imbalance ratio.

    Attributes
    ----------
    ratio
        The imbalance ratio.
    trials
        Number of configurations that were scored.
    leading
        The leading trial, or None before there is one.
    reading
        What the gain's interval shows, see :func:`study.verdict.statistics.reading`.
    controls
        Each control with the leading trial's paired difference to it.
    """

    ratio: float | str
    trials: int
    leading: Result | None
    reading: str
    controls: tuple[tuple[Result, Interval], ...]


@dataclass(frozen=True)
class Answer:
    """The headline, the paragraph under it, and the finding of every imbalance ratio."""

    headline: str
    paragraph: str
    findings: tuple[Finding, ...]


def answer(comparison: Comparison) -> Answer:
    """Answer the study's question: by its confirmation, or before there is one as far as validation data can."""
    found = _answer(comparison)
    cut = comparison.time.cut_in_words()
    return replace(found, paragraph=f"{cut} {found.paragraph}") if cut else found


def _answer(comparison: Comparison) -> Answer:
    findings = tuple(_finding(comparison, ratio) for ratio in comparison.ratios)
    if verdict := verdict_headline(comparison, vanilla_name(comparison)):
        return Answer(verdict, verdict_paragraph(comparison), findings)
    judged = [f for f in findings if f.reading in ("better", "worse", "no difference shown")]
    headline = _headline(comparison, findings, judged)
    if not any(f.leading for f in findings):
        failures = _failures(comparison)
        start = [] if failures else ["There is nothing to judge yet."]
        return Answer(headline, " ".join([*start, *failures, _progress(comparison)]), findings)
    if len(findings) == 1:
        sentences = [_full_sentence(findings[0], comparison.metric)]
    else:
        sentences = [_gains_sentence(findings), _controls_sentence(judged, comparison.metric)]
    places = [at_ratio(finding.ratio) if len(findings) > 1 else "" for finding in findings]
    behind = [
        _behind_its_encoder(comparison, f.ratio, where) for f, where in zip(findings, places, strict=True)
    ]
    sentences.append(hardly_learned(behind, comparison.metric))
    sentences.append(operating_point_sentence(comparison))
    copies = unchanged_sentence(r.record for r in comparison.everything)
    return Answer(
        headline,
        " ".join(filter(None, [*sentences, copies, *_failures(comparison), _caveat(comparison)])),
        findings,
    )


def vanilla_name(comparison: Comparison) -> str:
    """Return what vanilla may be called: ``tuned`` only if its settings were chosen among several."""
    candidates = {json.dumps(result.record.config, sort_keys=True) for result in comparison.tuning}
    return "tuned vanilla" if len(candidates) > 1 else "vanilla (a fixed recipe, not tuned)"


def budget_note(comparison: Comparison, ratio: float | str) -> str | None:
    """Say which comparisons at a ratio are between a tuned arm and one that was not tuned, or None."""
    leading = comparison.best.get(ratio)
    if leading is None or not leading.budget.is_tuned:
        return None
    controls = [control for control, _ in _finding(comparison, ratio).controls]
    untuned = [c for c in controls if c.record.arm in CONTROLS and c.budget.settings_from == "vanilla"]
    if not untuned:
        return None
    vanilla = comparison.baseline(ratio, "vanilla")
    tuned = vanilla is not None and vanilla.budget.is_tuned
    settings = "settings tuned for vanilla" if tuned else "vanilla's settings, a fixed recipe"
    return (
        f"Pre-finetuning's settings were {leading.budget.in_words()} here, but these arms ran at "
        f"{settings}: {', '.join(arm_name(c.record.arm) for c in untuned)}. Tuned themselves "
        "(--arm-trials), they might do better."
    )


def _finding(comparison: Comparison, ratio: float | str) -> Finding:
    leading = comparison.best.get(ratio)
    arms = dict.fromkeys(
        b.record.arm
        for b in comparison.baselines
        if b.record.imbalance_ratio == ratio and b.record.arm != "vanilla"
    )
    controls = [
        control for arm in arms if (control := comparison.baseline(ratio, arm)) and control is not leading
    ]
    return Finding(
        ratio,
        sum(t.replicates > 0 for t in comparison.trials_at(ratio)),
        leading,
        reading(leading.gain, comparison.metric) if leading else "nothing to compare",
        tuple((control, comparison.lead_over(control)) for control in controls),
    )


def _headline(comparison: Comparison, findings: tuple[Finding, ...], judged: list[Finding]) -> str:
    if comparison.trials and all(trial.record.state == "failed" for trial in comparison.trials):
        return "There is no answer: every pre-finetuning trial failed."
    if not any(f.trials or f.leading for f in findings):
        return "No pre-finetuning trial has been scored yet."
    if not any(f.leading for f in findings):
        return "No trial can be compared with vanilla yet."
    if not judged:
        most = max(f.leading.gain.n for f in findings if f.leading)
        so_few = "One replicate only" if most == 1 else f"At most {most} replicates"
        return f"{so_few}: there are differences, but no way to tell them from chance."
    metric, vanilla = metric_name(comparison.metric), vanilla_name(comparison)
    where = evaluated_on(comparison.metric)
    leading = "the leading pre-finetuning trial" if comparison.is_search else "the paper's recipe"
    better = [f for f in judged if f.reading == "better"]
    worse = [f for f in judged if f.reading == "worse"]
    if better:
        harm = f" (and is worse {_where(worse, judged)})" if worse else ""
        return (
            # To beat is said of the confirmation alone, whose verdicts are corrected for each other.
            f"{where}, {leading} is ahead of {vanilla} in {metric} "
            f"{_where(better, judged)}{harm}, {_also_controls(better, comparison.metric)}."
        )
    if worse:
        return (
            f"{where}, {'even ' if comparison.is_search else ''}{leading} is worse than {vanilla} in {metric} "
            f"{_where(worse, judged)}."
        )
    what = "pre-finetuning" if comparison.is_search else leading
    return f"{where}, no difference between {what} and {vanilla} is shown in {metric}."


def _where(some: list[Finding], judged: list[Finding]) -> str:
    return (
        at_ratio(judged[0].ratio) if len(judged) == 1 else f"at {len(some)} of {len(judged)} imbalance ratios"
    )


def _also_controls(better: list[Finding], metric: str) -> str:
    """Continue "is ahead of vanilla at these ratios": a gain that a control also gives is no reason to pre-finetune."""
    if not all(f.controls for f in better):
        return "but not every control has been scored yet"
    also = sum(all(reading(lead, metric) == "better" for _, lead in f.controls) for f in better)
    if also == 0:
        return "but not every control at any of them" if len(better) > 1 else "but not every control"
    return f"and every control at {also} of them" if len(better) > 1 else "and every control there"


def _full_sentence(finding: Finding, metric: str) -> str:
    if finding.leading is None:
        return ""
    gain = finding.leading.gain
    text = (
        f"The {_leading_one(finding)} {at_ratio(finding.ratio)} "
        f"differs from vanilla by {gain.text(signed=True)} on the same "
        f"{counted(gain.n, 'replicate')}" + ("" if gain.ci_low is None else " (mean and 95 % interval)")
    )
    for control, lead in finding.controls:
        text += f", from {arm_name(control.record.arm)} by {lead.text(signed=True)}"
        text += "" if lead.ci_low is None else f" ({reading(lead, metric)})"
    return text + "."


def _gains_sentence(findings: tuple[Finding, ...]) -> str:
    gains = [
        f"{f.leading.gain.text(signed=True)} {at_ratio(f.ratio)}"
        f" (the {_leading_one(f)}, {counted(f.leading.gain.n, 'replicate')})"
        for f in findings
        if f.leading
    ]
    return f"Gain over vanilla with its 95 % interval: {', '.join(gains)}."


def _behind_its_encoder(comparison: Comparison, ratio: float | str, where: str) -> Behind | None:
    vanilla, frozen = (comparison.baseline(ratio, arm) for arm in ("vanilla", FROZEN_ARM))
    return None if vanilla is None or frozen is None else Behind(vanilla.record, frozen.gain, where)


def _leading_one(finding: Finding) -> str:
    return (
        f"leading one of {counted(finding.trials, 'configuration')}" if finding.trials else "paper's recipe"
    )


def _caveat(comparison: Comparison) -> str:
    if not comparison.is_search:
        covered = covered_in_words(comparison.study, part_name(comparison.metric))
        return f"{NOTHING_CHOSEN} {covered}"
    under_way = sum(result.replicates for result in comparison.fresh)
    return CAVEAT + (f" It is under way: {counted(under_way, 'fresh replicate')} done." if under_way else "")


def _controls_sentence(judged: list[Finding], metric: str) -> str:
    """Say at how many ratios the leading trial is also ahead of each control."""
    standing: dict[str, list[str]] = {}
    for finding in judged:
        for control, lead in finding.controls:
            if lead.ci_low is not None:
                standing.setdefault(control.record.arm, []).append(reading(lead, metric))
    parts = [
        f"over {arm_name(arm)} at {readings.count('better')} of {counted(len(readings), 'ratio')}"
        for arm, readings in standing.items()
    ]
    return f"Its lead is shown (the interval excludes zero) {', '.join(parts)}." if parts else ""


def _failures(comparison: Comparison) -> list[str]:
    """Say at which ratios nothing can be judged because every trial, or the reference vanilla, failed; and why."""
    said = []
    for ratio in comparison.ratios:
        vanilla = comparison.baseline(ratio, "vanilla")
        if vanilla is not None and vanilla.record.state == "failed":
            said.append(f"The reference vanilla {at_ratio(ratio)} failed: {_ended(vanilla.record.error)}.")
        trials = [trial.record for trial in comparison.trials_at(ratio)]
        if trials and all(trial.state == "failed" for trial in trials):
            last = max(trials, key=lambda trial: trial.finished or 0.0)
            all_of_them = "The only trial" if len(trials) == 1 else f"All {len(trials)} trials"
            with_what = "" if len(trials) == 1 else ", the last one with"
            said.append(f"{all_of_them} {at_ratio(ratio)} failed{with_what}: {_ended(last.error)}.")
    return said


def _ended(error: str | None) -> str:
    return (error or "no message").rstrip(".")


def _progress(comparison: Comparison) -> str:
    done = (
        [f"{counted(len(comparison.tuning), 'candidate')} for vanilla's settings"]
        if comparison.tuning
        else []
    )
    done += [counted(len(comparison.baselines), "baseline")] if comparison.baselines else []
    done += [counted(len(comparison.trials), "trial")] if comparison.trials else []
    return f"The ledger holds {', '.join(done)}." if done else "The ledger is empty."


def lead_note(comparison: Comparison, ratio: float | str | None = None) -> str:
    """Return what the leads over vanilla and the controls are worth, empty where no trial leads.

    All of them ran on the replicates of the search, those that are matched to the leading trial included.

    Parameters
    ----------
    comparison
        The study.
    ratio
        At this imbalance ratio; None: at any.
    """
    leads = comparison.best if ratio is None else ratio in comparison.best
    if not (comparison.is_search and leads):
        return ""
    confirmed = comparison.confirmation.ratios if comparison.confirmation else ()
    fresh = (
        "the confirmation compares them on fresh ones."
        if any(ratio in (None, found.ratio) for found in confirmed)
        else "only a confirmation (--confirm) compares them on fresh ones."
    )
    return (
        "The leads are taken on the replicates on which the leading trial was chosen, so they flatter it over every "
        f"arm here: {fresh}"
    )
