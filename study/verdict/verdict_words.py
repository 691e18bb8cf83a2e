"""The verdict in words: what was shown on the test split, what was not, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from study.record.gains import lower_is_better
from study.record.ledger import TrialRecord
from study.statistics.judgement import Judgement
from study.verdict.comparison import Comparison
from study.verdict.confirmed import ConfirmedArm, ConfirmedRatio, ConfirmedStudy
from study.verdict.front import cause_in_words
from study.verdict.statistics import reading
from study.verdict.words import arm_name, at_ratio, counted, evaluated_on, metric_name
from trainables.interval import Interval
from trainables.method.arms import FROZEN_ARM, PAPER_ARM

_MOST_NAMED = 3


def verdict_headline(comparison: Comparison, vanilla: str) -> str:
    """Return the verdict of a confirmed study in one sentence; empty where there is none.

    Parameters
    ----------
    comparison
        The study.
    vanilla
        What vanilla may be called, see :func:`study.verdict.answer.vanilla_name`.
    """
    study = comparison.confirmation
    if study is None or not study.ratios:
        return ""
    metric = metric_name(study.metric)
    where, whose = evaluated_on(study.metric), subject(comparison)
    if len(study.ratios) > 1:
        return f"{where}, {whose} {_standings(study, vanilla)} in {metric}."
    return verdict_sentence(study.ratios[0], comparison, vanilla)


def verdict_sentence(found: ConfirmedRatio, comparison: Comparison, vanilla: str = "vanilla") -> str:
    """Return the verdict at one imbalance ratio in a sentence."""
    study = comparison.confirmation
    assert study is not None
    metric = metric_name(study.metric)
    where, whose = evaluated_on(study.metric), subject(comparison)
    judged, at = found.verdict, at_ratio(found.ratio)
    if judged.verdict == "better":
        by = f"by {judged.interval.text(signed=True)}"
        return (
            f"{where}, {whose} beats {vanilla} in {metric} {at}, {by}, {_and_controls(found, study.metric)}."
        )
    if judged.verdict == "worse":
        return f"{where}, {whose} is worse than {vanilla} in {metric} {at}, by {judged.interval.text(signed=True)}."
    if judged.verdict == "equivalent":
        return (
            f"{where}, {whose} and {vanilla} are practically the same in {metric} {at}: the difference, "
            f"{judged.interval.text(signed=True)}, lies within ±{study.rules.region:g}."
        )
    return (
        f"{where}, no difference between {whose} and {vanilla} is shown in {metric} {at}: "
        f"{judged.interval.text(signed=True)} on {counted(judged.interval.n, 'replicate')}."
    )


def arm_sentence(arm: ConfirmedArm, found: ConfirmedRatio, comparison: Comparison) -> str:
    """Return what the confirmation says of one arm at an imbalance ratio: of the winner, the verdict."""
    study = comparison.confirmation
    assert study is not None
    if arm is found.winner:
        return verdict_sentence(found, comparison)
    where, metric = evaluated_on(study.metric), metric_name(study.metric)
    of_whom = f"{where}, {arm_name(arm.record.arm)} {at_ratio(found.ratio)}"
    if arm.role == "vanilla":
        return f"{of_whom} is the reference of every gain in {metric}."
    text = f"{of_whom}: gain over vanilla in {metric} {arm.gain.text(signed=True)}"
    text += f" on {counted(arm.gain.n, 'replicate')}"
    if arm.lead is not None and arm.lead.is_defined:
        text += f"; the winner minus it {arm.lead.text(signed=True)}"
    judged = f"Verdict: {arm.judgement.verdict}" if arm.judgement else "A control: no verdict is given on it"
    return f"{text}. {judged}."


def verdict_paragraph(comparison: Comparison) -> str:
    """Return what the verdict rests on: gains, the paper's recipe, controls, corrections."""
    study = comparison.confirmation
    assert study is not None
    sentences = [_of_ratio(found, study) for found in study.ratios]
    several = len(study.ratios) > 1
    behind = [_behind_its_encoder(found, at_ratio(found.ratio) if several else "") for found in study.ratios]
    sentences.append(hardly_learned(behind, study.metric))
    missing = [ratio for ratio in comparison.ratios if study.at(ratio) is None]
    if missing:
        sentences.append(
            f"Nothing is confirmed {', '.join(map(at_ratio, missing))}: vanilla, or what was chosen, failed there"
            f"{_causes(comparison, missing)}."
        )
    began = min(arm.record.started for found in study.ratios for arm in found.arms)
    later = sum(trial.record.started > began for trial in (*comparison.trials, *comparison.control_trials))
    if later:
        sentences.append(
            f"{counted(later, 'configuration')} {'was' if later == 1 else 'were'} tried after the confirmation began: "
            "they could not be chosen."
        )
    return " ".join(filter(None, [*sentences, _basis(study)]))


def _causes(comparison: Comparison, ratios: list[float | str]) -> str:
    """Return in brackets which of the arms that a verdict needs failed at these ratios, and why."""
    told = [
        f"{arm_name(record.arm)} {at_ratio(record.imbalance_ratio)}: {cause_in_words(record).rstrip('.')}"
        for record in (result.record for result in (*comparison.baselines, *comparison.fresh))
        if record.imbalance_ratio in ratios
        and record.arm in ("vanilla", "prefinetune", PAPER_ARM)
        and record.state == "failed"
    ]
    return f" ({'; '.join(told)})" if told else ""


def advice(found: ConfirmedRatio, study: ConfirmedStudy) -> tuple[str, str, str]:
    """Return what to do, what to expect of it, and what would say more: three lines for who acts on the verdict."""
    judged = found.verdict
    rivals = _unbeaten(found, study.metric)
    best = _best_control(found, study.metric)
    has_hardly_learned = bool(hardly_learned([_behind_its_encoder(found, "")], study.metric))
    if judged.verdict == "better" and not rivals:
        act = "Pre-finetune: it is better than vanilla and than every control."
    elif judged.verdict == "better":
        act = (
            f"Pre-finetuning is better than vanilla, but is not shown to be better than {_named(rivals)}: try "
            f"{'that' if len(rivals) == 1 else 'those'} first, the cheapest before the others."
        )
    else:
        act = {
            "worse": "Do not pre-finetune: it is worse than vanilla.",
            "equivalent": "You need not pre-finetune: what it changes is too small to matter.",
            "not shown": "Nothing speaks for pre-finetuning yet.",
        }[judged.verdict]
        if judged.verdict != "worse" and has_hardly_learned:
            act = (
                "Decide nothing by this: vanilla has hardly learned. Train longer, or at other rates, first."
            )
        if best is not None and reading(best.gain, study.metric) == "better":
            act += f" Of the controls, {arm_name(best.record.arm)} is ahead of vanilla: {best.gain.text(signed=True)}."
    low, high = judged.interval.ci_low, judged.interval.ci_high
    expect = f"Expect a difference of {judged.interval.text(signed=True)} to vanilla on texts like these"
    expect += "." if low is None or high is None else f" ({judged.confidence:.0%} interval)."
    return act, expect, _what_would_say_more(judged, study)


def _what_would_say_more(judged: Judgement, study: ConfirmedStudy) -> str:
    if judged.is_decided:
        return "More replicates would narrow the interval; other corpora and encoders were not tried."
    if judged.replicates_needed is None:
        return (
            "More replicates alone would not show it: the number of test texts bounds what can be told apart."
        )
    return (
        f"About {judged.replicates_needed} replicates would show a difference as large as this one, or one of "
        f"{study.rules.region:g} where it is smaller: --until-decided {judged.replicates_needed}."
    )


def subject(comparison: Comparison) -> str:
    """Return what the verdict is about."""
    return "pre-finetuning" if comparison.is_search else "the paper's recipe"


def _standings(study: ConfirmedStudy, vanilla: str) -> str:
    phrases = {
        "better": f"beats {vanilla} {{}}",
        "worse": f"is worse than {'it' if _any(study, 'better') else vanilla} {{}}",
        "equivalent": f"is practically the same as {'it' if _any(study, 'better', 'worse') else vanilla} {{}}",
        "not shown": "is not shown to differ {}"
        if _any(study, "better", "worse", "equivalent")
        else f"is not shown to differ from {vanilla} {{}}",
    }
    parts = []
    for verdict, phrase in phrases.items():
        ratios = [found for found in study.ratios if found.verdict.verdict == verdict]
        if len(ratios) == len(study.ratios):
            return phrase.format(
                "at any imbalance ratio" if verdict == "not shown" else "at every imbalance ratio"
            )
        if ratios:
            parts.append(phrase.format(", ".join(at_ratio(found.ratio) for found in ratios)))
    return ", and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _any(study: ConfirmedStudy, *verdicts: str) -> bool:
    return any(found.verdict.verdict in verdicts for found in study.ratios)


def _unbeaten(found: ConfirmedRatio, metric: str) -> list[ConfirmedArm]:
    """Return the controls, the paper's recipe not among them, over which the winner's lead is not shown."""
    return [arm for arm in found.controls if arm.lead is None or reading(arm.lead, metric) != "better"]


def _best_control(found: ConfirmedRatio, metric: str) -> ConfirmedArm | None:
    sign = -1 if lower_is_better(metric) else 1
    controls = [arm for arm in found.controls if arm.gain.is_defined]
    return max(controls, key=lambda arm: sign * arm.gain.mean, default=None)


def _and_controls(found: ConfirmedRatio, metric: str) -> str:
    unbeaten = _unbeaten(found, metric)
    if not unbeaten:
        return "and every control too"
    return f"but it is not shown to beat {_named(unbeaten)}"


def _named(arms: list[ConfirmedArm]) -> str:
    names = [arm_name(arm.record.arm) for arm in arms]
    if len(names) > _MOST_NAMED:
        return f"{', '.join(names[:_MOST_NAMED])} and {counted(len(names) - _MOST_NAMED, 'other control')}"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _of_ratio(found: ConfirmedRatio, study: ConfirmedStudy) -> str:
    judged = found.verdict
    text = at_ratio(found.ratio)
    text = f"{text[0].upper()}{text[1:]}: {judged.interval.text(signed=True)}, {judged.verdict}"
    text += f" ({counted(judged.interval.n, 'replicate')}"
    if judged.p_adjusted is not None:
        text += f", corrected p = {judged.p_adjusted:.3g}"
    if judged.probability is not None:
        chances = judged.probability
        text += (
            f", chance of better / practically the same / worse "
            f"{chances.better:.2f} / {chances.equivalent:.2f} / {chances.worse:.2f}"
        )
    text += ")."
    if not judged.is_decided:
        text += half_shown(judged, study.rules.alpha)
        if judged.detectable_gain is not None:
            text += f" So many replicates show gains of {judged.detectable_gain:.3f} or more."
        elif judged.interval.is_defined:
            text += " So few replicates can show nothing."
    paper = found.of_role(PAPER_ARM)
    if paper is not None and paper.judgement is not None:
        text += f" The paper's recipe: {paper.gain.text(signed=True)}, {paper.judgement.verdict}."
    best = _best_control(found, study.metric)
    if best is not None and best.lead is not None:
        text += (
            f" The best control, {arm_name(best.record.arm)}: {best.gain.text(signed=True)}; the winner minus it: "
            f"{best.lead.text(signed=True)}."
        )
    return text


def half_shown(judged: Judgement, alpha: float) -> str:
    """Return a sentence on why no difference is shown where one of the two that have to show it does.

    Parameters
    ----------
    judged
        What is not decided.
    alpha
        The level of the verdicts.
    """
    p = judged.p_adjusted
    if judged.interval.ci_low is None or p is None:
        return ""
    if judged.interval.leaves_out_zero:
        return " The interval leaves out zero, but the corrected permutation test does not agree: a verdict needs both."
    if p <= alpha:
        return (
            " The permutation test finds a difference, but the interval includes zero: a verdict needs both."
        )
    return ""


def _behind_its_encoder(found: ConfirmedRatio, where: str) -> Behind | None:
    frozen = next((arm for arm in found.controls if arm.record.arm == FROZEN_ARM), None)
    return None if frozen is None else Behind(found.arms[0].record, frozen.gain, where)


class Behind(NamedTuple):
    """Vanilla's trial, the frozen arm's gain over it, and where that is, in words; empty where it is clear."""

    vanilla: TrialRecord
    of_frozen: Interval
    where: str = ""


def hardly_learned(found: Iterable[Behind | None], metric: str) -> str:
    """Say where vanilla stays behind its own encoder, frozen: a gain over it is then one over hardly anything.

    Finetuning begins with the encoder that the frozen arm uses. Where logistic regression on that is better, vanilla
    was trained too little, or at rates that do not fit, to reach what it began with.

    Parameters
    ----------
    found
        What was found at each imbalance ratio; None where there is no such comparison.
    metric
        In which the gains are.
    """
    behind = [each for each in found if each is not None and reading(each.of_frozen, metric) == "better"]
    if not behind:
        return ""
    said: list[str] = []
    for vanilla, of_frozen, where in behind:
        steps = max(
            (r.diagnostics.get("stage2_steps", 0.0) for r in vanilla.replicates.values()), default=0.0
        )
        trained = f"in {steps:.0f} steps" if steps else ""
        behind_what = "" if said else "it stays behind logistic regression on its own encoder, frozen,"
        said.append(" ".join(filter(None, (where, trained, behind_what, f"by {of_frozen.text()}"))))
    return (
        f"Vanilla has hardly learned: {'; '.join(said)}. A gain over such a vanilla says little. More rows or epochs, "
        "other learning rates or more time (--minutes) would tell more."
    )


def _basis(study: ConfirmedStudy) -> str:
    judged = [arm.judgement for found in study.ratios for arm in found.arms if arm.judgement is not None]
    text = "The replicates are fresh: no choice was made on them, and nothing else has read the test split."
    if len(judged) > 1:
        text += f" The {len(judged)} verdicts are corrected for each other (Holm)."
    if study.rules.looks is not None:
        looks = counted(len(study.rules.looks.replicates), "planned look")
        text += f" They are corrected for {looks} at a growing number of replicates, too."
    text += " Intervals cover other draws, seeds and splits"
    covers = metric_name(study.metric)
    return text + (
        " and other test texts." if study.covers_texts else f", but of {covers} not other test texts."
    )
