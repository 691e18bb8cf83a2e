"""A finished study as a page to keep: Markdown, JSON and a figure, and what was published beside it; no corpus text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.config.paper import FACT as PAPER_OPERATOR
from study.config.published import Published
from study.config.study import StudyConfig
from study.verdict.answer import answer
from study.verdict.comparison import Comparison, Result, difference
from study.verdict.comparison_json import confirmation_json
from study.verdict.confirmed import ConfirmedRatio
from study.verdict.interval_figure import FigureRow, interval_figure
from study.verdict.statistics import metric_mean, reading
from study.verdict.words import arm_name, duration, evaluated_on, metric_name, ratio_phrase, setting_text
from trainables.interval import Interval
from trainables.method.arms import ARM_TABLE, PAPER_ARM

_SHOWN_OF_CONFIG = (
    "encoder",
    "max_length",
    "profile",
    "n_max",
    "max_train_rows",
    "split_by",
    "folds",
    "fold",
    "validation_fraction",
    "max_validation_rows",
    "max_test_rows",
    "fixed",
    "reference_space",
    "paper",
)


@dataclass(frozen=True)
class StudyPage:
    """A study and the published figures that its own stand beside.

    Attributes
    ----------
    comparison
        The study.
    published
        Figures that were published for its protocol.
    """

    comparison: Comparison
    published: tuple[Published, ...] = ()

    def published_mean(self, arm: str, metric: str, ratio: float | str) -> Published | None:
        """Return a published figure."""
        for each in self.published:
            if (each.arm, each.metric, each.ratio) == (arm, metric, ratio):
                return each
        return None

    def published_gain(self, arm: str, metric: str, ratio: float | str) -> float | None:
        """Return the difference of an arm's published figure and vanilla's."""
        theirs = self.published_mean(arm, metric, ratio)
        vanilla = self.published_mean("vanilla", metric, ratio)
        return None if theirs is None or vanilla is None else round(theirs.mean - vanilla.mean, 6)


def published_for(figures: Sequence[Published], study: Mapping[str, Any]) -> tuple[Published, ...]:
    """Return those of the published figures that were measured under the protocol of a study.

    Those of the paper's recipe are of back-translation: they do not stand beside another operator.

    Parameters
    ----------
    figures
        All figures of its study file.
    study
        What ``study.json`` says.
    """

    def value(name: str) -> Any:
        return study["config"].get(name, getattr(StudyConfig, name, None))

    published = ARM_TABLE[PAPER_ARM].recipe["operator"]
    back_translates = study.get(PAPER_OPERATOR, published) == published
    return tuple(
        f
        for f in figures
        if all(value(name) == wanted for name, wanted in f.protocol.items())
        and (back_translates or f.arm != PAPER_ARM)
    )


def arms_at(comparison: Comparison, ratio: float | str) -> list[Result]:
    """Return every scored arm of a ratio once, in the order of the arms table; a searched one by its leading trial."""
    found = {b.record.arm for b in comparison.baselines if b.record.imbalance_ratio == ratio}
    arms = [result for arm in ARM_TABLE if arm in found and (result := comparison.baseline(ratio, arm))]
    leading = comparison.best.get(ratio)
    if leading is not None and leading not in arms:
        arms.insert(0, leading)
    return [arm for arm in arms if arm.replicates]


def page_json(page: StudyPage) -> dict[str, Any]:
    """Return the page's content as plain JSON values."""
    comparison = page.comparison
    study = comparison.study
    metrics = [m for m in (comparison.metric, _skewed(comparison.metric)) if m is not None]
    return {
        "study": study["study"],
        "headline": answer(comparison).headline,
        "metric": comparison.metric,
        "corpus": {key: study["corpus"].get(key) for key in ("name", "digest", "rows", "groups", "classes")},
        "split": study.get("parts", {}),
        "encoder": study["encoder"],
        "config": {name: study["config"].get(name) for name in _SHOWN_OF_CONFIG},
        "machine": study.get("machine"),
        **({"gpus": gpus} if (gpus := _gpus(comparison)) else {}),
        "versions": study["versions"],
        "git_commit": study.get("git_commit"),
        "confirmation": confirmation_json(comparison),
        "ratios": [
            {
                "imbalance_ratio": ratio,
                "arms": [
                    {
                        "arm": result.record.arm,
                        "replicates": result.replicates,
                        "seconds": round(result.record.seconds, 1),
                        "settings_from": result.budget.settings_from,
                        "metrics": {
                            metric: {
                                "score": result.metrics[metric].to_json(),
                                "gain_over_vanilla": _gain(comparison, result, metric).to_json(),
                                "published": _published_json(page, result.record.arm, metric, ratio),
                            }
                            for metric in (*metrics, *_class_metrics(comparison))
                            if metric in result.metrics
                        },
                    }
                    for result in arms_at(comparison, ratio)
                ],
            }
            for ratio in comparison.ratios
        ],
    }


def page_text(page: StudyPage, figure: str, command: str) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    page
        The study.
    figure
        Name of the figure's file.
    command
        The command that ran the study.
    """
    comparison = page.comparison
    study = comparison.study
    found = answer(comparison)
    lines = [f"# {study['study']}", "", f"**{found.headline}** {found.paragraph}", ""]
    lines += [f"![gain over vanilla]({figure})", "", "```sh", command, "```", ""]
    lines += [*_facts(comparison), ""]
    for ratio in comparison.ratios:
        confirmed = comparison.confirmation.at(ratio) if comparison.confirmation else None
        if confirmed is not None:
            lines += [*_confirmed_table(comparison, confirmed), *_confirmed_classes(comparison, confirmed)]
        for metric in filter(None, (comparison.metric, _skewed(comparison.metric))):
            lines += list(_table(page, ratio, metric))
        if confirmed is None:
            leading, vanilla = comparison.best.get(ratio), comparison.baseline(ratio, "vanilla")
            lines += list(
                _class_table(leading, vanilla, comparison.leading_name, comparison.metric, comparison)
            )
    place, name = study["corpus"]["source"], str(study["corpus"].get("name"))
    lines += ["## Remarks", "", *(f"- {remark.replace(place, name)}" for remark in study["remarks"])]
    return "\n".join(lines) + "\n"


def page_figure(page: StudyPage) -> str:
    """Return the gains of all arms over vanilla as the text of an SVG file; confirmed ones where there are any."""
    comparison, study = page.comparison, page.comparison.confirmation
    several = len(comparison.ratios) > 1
    metric, others = comparison.metric, ""
    gains = [
        (ratio, result.record.arm, result.gain)
        for ratio in comparison.ratios
        for result in arms_at(comparison, ratio)
        if not several or result is comparison.best.get(ratio)
    ]
    if study is not None and study.ratios:
        metric, others = study.metric, " and test texts" if study.covers_texts else ""
        gains = [
            (found.ratio, arm.record.arm, arm.gain)
            for found in study.ratios
            for arm in found.arms
            if not several or arm is found.winner
        ]
    rows = [
        FigureRow(
            arm_name(arm) + (f", {ratio_phrase(ratio)}" if several else ""),
            gain,
            page.published_gain(arm, metric, ratio),
        )
        for ratio, arm, gain in reversed(gains)
        if arm != "vanilla"
    ]
    where = "" if several else f", {ratio_phrase(comparison.ratios[0])}"
    axis = (
        f"gain over vanilla in {metric_name(metric)}{where}\n"
        f"{evaluated_on(metric).lower()}, 95 % interval over replicates{others}"
    )
    title = f"Gains in the study {comparison.study['study']}"
    return interval_figure(rows, title=title, axis=axis, metric=metric)


def _skewed(metric: str) -> str | None:
    return metric.replace("test/", "test_skewed/", 1) if metric.startswith("test/") else None


def _class_metrics(comparison: Comparison) -> list[str]:
    return [f"{comparison.scored_on}/f1/{name}" for name in comparison.study["corpus"]["classes"]]


def _gain(comparison: Comparison, result: Result, metric: str) -> Interval:
    vanilla = comparison.baseline(result.record.imbalance_ratio, "vanilla")
    return difference(result, vanilla, metric) if vanilla is not None else result.gain


def _published_json(page: StudyPage, arm: str, metric: str, ratio: float | str) -> dict[str, Any] | None:
    theirs = page.published_mean(arm, metric, ratio)
    return None if theirs is None else {"mean": theirs.mean, "sem": theirs.sem, "seeds": 5}


def _facts(comparison: Comparison) -> Iterator[str]:
    study = comparison.study
    corpus = study["corpus"]
    yield (
        f"- corpus: {corpus.get('name')}, {corpus['rows']:,} texts in {corpus['groups']:,} groups, "
        f"digest `{corpus['digest'][:12]}`"
    )
    parts = study.get("parts", {})
    if parts:
        sizes = ", ".join(f"{name} {sum(counts.values()):,}" for name, counts in parts.items())
        yield f"- parts: {sizes}"
    for name in _SHOWN_OF_CONFIG:
        if study["config"].get(name) not in (None, {}, ()):
            yield f"- {name.replace('_', ' ')}: {setting_text(study['config'][name])}"
    versions = ", ".join(f"{name} {version}" for name, version in study["versions"].items())
    yield f"- versions: {versions}; commit `{str(study.get('git_commit'))[:12]}`"
    seconds = sum(result.record.seconds for result in comparison.everything)
    machine = study.get("machine") or {}
    processor = (
        f"{machine.get('processor', 'an unnamed processor')} "
        f"({machine.get('instructions', 'unknown instructions')}, {machine.get('cores', '?')} cores)"
    )
    # The machine is the driver's: of a study on GPUs it trained nothing but linear classifiers, if that.
    gpus = ", ".join(_gpus(comparison))
    if not gpus and study.get("numerics", {}).get("device") == "cuda":
        gpus = "GPUs whose kind was not recorded"
    on = f"{gpus}, launched on {processor}" if gpus else processor
    yield f"- computed in {duration(seconds)} of work on {on}"


def _gpus(comparison: Comparison) -> list[str]:
    """Return the names of the GPUs that trained the study's networks."""
    records = (record for of in comparison.everything for record in of.record.replicates.values())
    return sorted({record.gpu for record in records if record.gpu})


def _table(page: StudyPage, ratio: float | str, metric: str) -> Iterator[str]:
    comparison = page.comparison
    arms = [result for result in arms_at(comparison, ratio) if metric in result.metrics]
    if not arms:
        return
    yield f"## {metric_name(metric)} {evaluated_on(metric).lower()}, {ratio_phrase(ratio)}"
    yield ""
    yield "| arm | mean [95 % interval] | gain over vanilla | reading | replicates | settings | published |"
    yield "|---|---|---|---|---|---|---|"
    for result in arms:
        arm = result.record.arm
        gain = _gain(comparison, result, metric)
        theirs = page.published_mean(arm, metric, ratio)
        shown = (
            "" if theirs is None else f"{theirs.mean:.4f}" + (f" ± {theirs.sem:.4f}" if theirs.sem else "")
        )
        their_gain = page.published_gain(arm, metric, ratio)
        if their_gain is not None and arm != "vanilla":
            shown += f" ({their_gain:+.4f})"
        is_reference = arm == "vanilla"
        yield (
            f"| {arm_name(arm)} | {result.metrics[metric].text(digits=4)} | "
            f"{'the reference' if is_reference else gain.text(signed=True, digits=4)} | "
            f"{'' if is_reference else reading(gain, metric)} | {result.replicates} | "
            f"{result.budget.in_words()} | {shown} |"
        )
    yield ""


def _confirmed_table(comparison: Comparison, found: ConfirmedRatio) -> Iterator[str]:
    assert comparison.confirmation is not None
    metric = comparison.confirmation.metric
    yield f"## Confirmed: {metric_name(metric)} {evaluated_on(metric).lower()}, {ratio_phrase(found.ratio)}"
    yield ""
    yield (
        "| arm | mean [95 % interval] | gain over vanilla | verdict | the winner minus it | replicates | settings | "
        "training of a replicate |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for arm in found.arms:
        result, values = comparison.fresh_result(arm.record), arm.record.values(metric)
        name = arm_name(arm.record.arm) + (", the winner" if arm is found.winner else "")
        gain = "the reference" if arm.role == "vanilla" else arm.gain.text(signed=True, digits=4)
        lead = "" if arm.lead is None else arm.lead.text(signed=True, digits=4)
        yield (
            f"| {name} | {metric_mean(values.values(), metric).text(digits=4)} | {gain} | "
            f"{arm.judgement.verdict if arm.judgement else ''} | {lead} | {len(values)} | {result.budget.in_words()} | "
            f"{duration(arm.record.seconds / max(1, len(values)))} |"
        )
    yield ""


def _confirmed_classes(comparison: Comparison, found: ConfirmedRatio) -> Iterator[str]:
    assert comparison.confirmation is not None
    winner, vanilla = (comparison.fresh_result(arm.record) for arm in (found.winner, found.arms[0]))
    return _class_table(winner, vanilla, "the winner", comparison.confirmation.metric, comparison)


def _class_table(
    leading: Result | None, vanilla: Result | None, name_of_leading: str, metric: str, comparison: Comparison
) -> Iterator[str]:
    if leading is None or vanilla is None:
        return
    yield (
        f"## F1 of each class {evaluated_on(metric).lower()}, {ratio_phrase(leading.record.imbalance_ratio)}"
    )
    yield ""
    yield f"| class | vanilla | {name_of_leading} | difference |"
    yield "|---|---|---|---|"
    part = metric.partition("/")[0]
    for name in comparison.study["corpus"]["classes"]:
        each = f"{part}/f1/{name}"
        if each in vanilla.metrics and each in leading.metrics:
            change = difference(leading, vanilla, each).text(signed=True)
            yield f"| {name} | {vanilla.metrics[each].mean:.3f} | {leading.metrics[each].mean:.3f} | {change} |"
    yield ""
