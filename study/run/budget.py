"""A study in a given time: its sizes are chosen once, when it begins, from what this machine was measured to do.

``study.json`` records them, and every later launch follows them wherever it runs, because gains pair runs of the same
rows. What the machine does then is the business of :mod:`study.plan.deadline`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from study.config.study import StudyConfig
from study.plan.sizes import FEWEST_PAIRS, Chosen, Range, Sizes, choose, differences
from study.plan.tracks import tracks_of
from study.run.cluster import TrialResources
from study.run.detectable import comparisons_of
from study.run.estimate import Estimate, estimate_of, typical_value, work_with
from study.run.speed import Speed
from study.statistics.judgement import Rules
from study.statistics.power import fewest_replicates
from study.verdict.study_time import BUDGET, FACT, PLANNED, TRIALS
from study.verdict.words import counted, duration
from trainables.errors import ConfigurationError
from trainables.prepared import PreparedCorpus, RunSettings

# Not planned with: other programs take their part, and trials differ from the typical one.
RESERVE = 0.08
# In multiples of what loading the libraries took, which a machine under load takes longer for as well. At the
# beginning: MLflow and Optuna are loaded, and then the libraries once more, by all trials' processes at once. At the
# end: the audits and the report, and saving and registering the models.
_BEGIN, _REPORT, _MODELS = 3.0, 0.7, 0.8
_LEAST_ROWS, _LEAST_VALIDATION, _LEAST_TEST = 48, 100, 150
# Measured with the packaged encoder on some hundred paragraphs of drug labels: at 24 steps vanilla predicts hardly more
# than the majority (macro F1 .16 to .46 at any rate), at 60 it has learned most classes (.53 to .73).
_STEPS_TO_LEARN = 60
_LEAST_TRIALS, _LEAST_REPLICATES = 2, 2
# What time may buy beyond a preset, as multiples of what it asks for.
_MORE_ROWS, _MORE_TRIALS, _MORE_REPLICATES, _MORE_CONFIRMED = 8, 8, 2, 3
# The smallest budget that is named holds even if the machine is measured to be this much slower the next time.
_SLOWER = 1.2
# What ``study.json`` keeps beside the sizes: the seconds that they were chosen for.
_SIZED_FOR = "sized_for_s"


@dataclass(frozen=True)
class StartAndEnd:
    """What a launch takes beside its trials, in seconds.

    Attributes
    ----------
    before
        From its start until its plan was made.
    libraries
        Loading the libraries, which each trial's process does once more.
    """

    before: float
    libraries: float

    def around(self, speed: Speed, estimate: Estimate) -> float:
        """Return what the launch takes before its first trial and after its last."""
        return self.before + _BEGIN * self.libraries + speed.loading + self.after(estimate)

    def after(self, estimate: Estimate) -> float:
        """Return what the models and the report take after the last trial."""
        saved = _MODELS * self.libraries if estimate.model_seconds else 0.0
        return _REPORT * self.libraries + estimate.model_seconds + saved


@dataclass(frozen=True)
class Budgeted:
    """A study of the sizes that a budget allows.

    Attributes
    ----------
    config
        The study.
    values
        Those of its values that were chosen, to be kept in ``study.json``.
    sentence
        What was chosen, and what was cut.
    """

    config: StudyConfig
    values: Mapping[str, Any]
    sentence: str


def with_recorded_sizes(
    config: StudyConfig, known: Mapping[str, Any] | None, given: Collection[str]
) -> StudyConfig:
    """Return a study with the sizes that were chosen when it began, but for values that the command line gives."""
    if known is not None and FACT not in known and "minutes" not in given:
        return replace(config, minutes=None)  # it began before its preset had a budget
    recorded = {} if known is None else known.get(FACT, {}).get("values", {})
    values = {name: value for name, value in recorded.items() if name not in given}
    if "imbalance_ratios" in values:
        values["imbalance_ratios"] = tuple(values["imbalance_ratios"])
    return replace(config, **values)


def deadline_sentence(config: StudyConfig, known: Mapping[str, Any] | None, given: Collection[str]) -> str:
    """Say that minutes given to a study that has begun move its end alone; empty where they are those it began with.

    Parameters
    ----------
    config, known
        The study, and what ``study.json`` says of it; None for a new one.
    given
        Names of values that the command line gives.
    """
    if known is None or config.budget_s is None or "minutes" not in given:
        return ""
    facts = known.get(FACT, {})
    sized_for = facts.get(_SIZED_FOR)
    # Earlier versions did not note it: what they note is the budget of the last launch.
    began_with = facts.get(BUDGET) if sized_for is None and "values" in facts else sized_for
    if began_with == config.budget_s:
        return ""
    chosen = "its preset or the command line gave them" if not facts.get("values") else "chosen"
    if sized_for is not None:
        chosen = f"chosen for {duration(sized_for)}"
    return (
        f"Budget: {duration(config.budget_s)} is a deadline only here: the study keeps the sizes with which it "
        f"began ({chosen}). --fresh sizes it anew."
    )


def sized(
    config: StudyConfig,
    given: Collection[str],
    prepared: PreparedCorpus,
    run: RunSettings,
    resources: TrialResources,
    speed: Speed,
    beside: StartAndEnd,
    is_sample: bool,
) -> Budgeted:
    """Return a study that ends within its budget.

    Parameters
    ----------
    config, prepared, run, resources
        The study as its preset has it, its texts, what its trials share, and what each of them gets.
    given
        Names of values that the command line gives; they stay.
    speed, beside
        What the machine was measured to do, and what the launch takes beside its trials.
    is_sample
        Whether the texts are the generated sample.

    Raises
    ------
    ConfigurationError
        Nothing useful fits; the smallest budget that would is named.
    """
    assert config.minutes is not None

    def of_sizes(sizes: Sizes) -> StudyConfig:
        return _with_sizes(config, sizes, given, between, is_sample)

    @cache
    def work(ratios: tuple[float | str, ...], rows: int) -> Any:
        return work_with(replace(config, imbalance_ratios=ratios), prepared, run, rows)

    @cache
    def seconds(sizes: Sizes) -> float:
        study = of_sizes(sizes)
        if study.until_decided:
            study = replace(study, confirmation_replicates=study.until_decided)
        rows = study.row_bound(is_sample) or len(prepared.train_labels)
        bounds = {
            "validation_rows": min(sizes.validation_rows, len(prepared.validation_labels)),
            "test_rows": min(sizes.test_rows, len(prepared.test_labels)),
        }
        work_of = replace(work(study.imbalance_ratios, rows), **bounds)
        estimate = estimate_of(study, work_of, speed, resources.concurrency)
        return estimate.seconds + beside.around(speed, estimate)

    between = size_range(config, given, prepared, is_sample)
    usable = 60.0 * config.minutes * (1.0 - RESERVE)
    chosen = choose(between, seconds, usable)
    if not chosen.fits:
        raise ConfigurationError(_too_short(config, chosen, beside))
    study = of_sizes(chosen.sizes)
    values = {
        field.name: getattr(study, field.name)
        for field in dataclasses.fields(study)
        if getattr(study, field.name) != getattr(config, field.name)
    }
    return Budgeted(study, values, _what_was_chosen(config, study, chosen, between, beside))


def size_range(
    config: StudyConfig, given: Collection[str], prepared: PreparedCorpus, is_sample: bool
) -> Range:
    """Return the sizes among which a budget chooses; what the command line gives is the same in all of them."""
    n_ratios, n_classes = len(config.imbalance_ratios), len(prepared.classes)
    available = len(prepared.train_labels)
    bound = config.row_bound(is_sample) or available
    # A draw from the sample may have as many rows as one from real texts.
    most_rows = min(available, (config.max_train_rows or available) if is_sample else _MORE_ROWS * bound)
    tested = min(config.max_test_rows or len(prepared.test_labels), len(prepared.test_labels))
    validated = len(prepared.validation_labels)
    usual = Sizes(
        ratios=n_ratios,
        train_rows=min(bound, available),
        validation_rows=validated,
        test_rows=tested,
        trials=math.ceil(config.trials / n_ratios),
        replicates=config.replicates,
        finalists=config.finalists,
        screening_replicates=config.screening_replicates,
        confirmation_replicates=config.confirmation_replicates,
    )
    ratios = config.imbalance_ratios
    pairs = [fewest_pairs(replace(config, imbalance_ratios=ratios[:n])) for n in range(1, n_ratios + 1)]
    least = Sizes(
        ratios=n_ratios if "imbalance_ratios" in given else 1,
        train_rows=min(usual.train_rows, max(_LEAST_ROWS, 8 * n_classes)),
        validation_rows=min(validated, max(_LEAST_VALIDATION, 10 * n_classes)),
        test_rows=min(tested, max(_LEAST_TEST, 20 * n_classes)),
        trials=min(usual.trials, _LEAST_TRIALS),
        replicates=min(usual.replicates, max(_LEAST_REPLICATES, config.grace_replicates)),
        finalists=1,
        screening_replicates=0,  # the leading trial of a search is confirmed
        confirmation_replicates=pairs[0] if config.confirmation_replicates else 0,
    )
    usual = replace(
        usual, confirmation_replicates=max(usual.confirmation_replicates, least.confirmation_replicates)
    )
    spaces = [
        track.configurations
        for track in tracks_of(replace(config, trials=10**6))
        if track.arm == "prefinetune"
    ]
    most = replace(
        usual,
        train_rows=max(usual.train_rows, most_rows),
        trials=max(usual.trials, min(_MORE_TRIALS * usual.trials, *spaces, 10**6)),
        replicates=_MORE_REPLICATES * usual.replicates,
        finalists=2 * usual.finalists,
        screening_replicates=_MORE_REPLICATES * usual.screening_replicates,
        confirmation_replicates=_MORE_CONFIRMED * usual.confirmation_replicates,
    )
    if config.until_decided:
        capped = min(most.confirmation_replicates, config.until_decided)
        most = replace(most, confirmation_replicates=max(usual.confirmation_replicates, capped))
    pinned = {name: getattr(usual, name) for name in _pinned(config, given, is_sample)}
    if "confirmation_replicates" in pinned:
        pinned["confirmation_replicates"] = config.confirmation_replicates
    least, usual, most = (replace(sizes, **pinned) for sizes in (least, usual, most))
    return Range(least, usual, most, pairs, rows_to_learn(config))


def rows_to_learn(config: StudyConfig) -> int:
    """Return the rows of a draw on which vanilla, at the typical length of its search, trains long enough to learn."""
    space = config.reference_space
    if space.get("stage2_steps") or config.fixed.get("stage2_steps"):
        return _LEAST_ROWS  # more rows give no more steps
    epochs = typical_value(config, "stage2_epochs", space)
    return math.ceil(_STEPS_TO_LEARN * typical_value(config, "batch_size", space) / epochs)


def fewest_pairs(config: StudyConfig) -> int:
    """Return with how few replicates a confirmation can show anything, whatever the verdicts of its others are."""
    return max(FEWEST_PAIRS, fewest_replicates(Rules().alpha / comparisons_of(config)))


def _pinned(config: StudyConfig, given: Collection[str], is_sample: bool) -> list[str]:
    """Return the sizes that the command line gives, or that stand fast in this study."""
    of_size = {
        "train_rows": ("max_train_rows", "n_max", *(("max_sample_rows",) if is_sample else ())),
        "validation_rows": ("max_validation_rows", "validation_per_class"),
        "test_rows": ("max_test_rows",),
        **{
            name: (name,)
            for name in (
                "trials",
                "replicates",
                "finalists",
                "screening_replicates",
                "confirmation_replicates",
            )
        },
    }
    found = [size for size, names in of_size.items() if {*names} & {*given}]
    if config.validation_per_class is not None:
        found.append("validation_rows")
    if config.n_max is not None:
        found.append("train_rows")
    return found


def _with_sizes(
    config: StudyConfig, sizes: Sizes, given: Collection[str], between: Range, is_sample: bool
) -> StudyConfig:
    """Return a study of these sizes; a bound that binds nothing stays as it is."""
    values: dict[str, Any] = {
        "imbalance_ratios": config.imbalance_ratios[: sizes.ratios],
        "trials": sizes.trials * sizes.ratios,
        "replicates": sizes.replicates,
        "finalists": sizes.finalists,
        "screening_replicates": sizes.screening_replicates,
        "confirmation_replicates": sizes.confirmation_replicates,
    }
    if sizes.train_rows != between.usual.train_rows:
        values["max_sample_rows" if is_sample else "max_train_rows"] = sizes.train_rows
    if sizes.validation_rows != between.usual.validation_rows:
        values["max_validation_rows"] = sizes.validation_rows
    if sizes.test_rows != between.usual.test_rows:
        values["max_test_rows"] = sizes.test_rows
    if sizes.trials == between.usual.trials and sizes.ratios == between.usual.ratios:
        values["trials"] = config.trials  # which need not be the same at every ratio
    return replace(config, **{name: value for name, value in values.items() if name not in given})


def _what_was_chosen(
    config: StudyConfig, study: StudyConfig, chosen: Chosen, between: Range, beside: StartAndEnd
) -> str:
    sizes = chosen.sizes
    cut, added = differences(sizes, between.usual)
    against = f"Cut against the preset {config.preset}: {'; '.join(cut)}." if cut else ""
    more = f"{'More than' if not cut else 'More'} the preset asks for: {'; '.join(added)}." if added else ""
    plain = "" if cut or added else f"All that the preset {config.preset} asks for fits."
    confirmed = (
        f", and {counted(sizes.confirmation_replicates, 'replicate')} of confirmation on {sizes.test_rows:,} test rows"
        if study.confirmation_replicates
        else ""
    )
    said = (
        f"Budget: {duration(60.0 * (config.minutes or 0.0))}, {duration(beside.before)} of which went by until now. "
        f"Chosen to end in {duration(chosen.seconds)}: {counted(len(study.imbalance_ratios), 'imbalance ratio')} "
        f"({', '.join(map(str, study.imbalance_ratios))}), draws of up to {sizes.train_rows:,} training rows, "
        f"{counted(sizes.trials, 'trial')} a ratio of up to {counted(sizes.replicates, 'replicate')}{confirmed}."
    )
    return " ".join(filter(None, (said, against, more, plain)))


def _too_short(config: StudyConfig, chosen: Chosen, beside: StartAndEnd) -> str:
    sizes = chosen.sizes
    trials = chosen.seconds - beside.before
    smallest = math.ceil((beside.before + _SLOWER * trials) / (1.0 - RESERVE) / 60.0)
    smallest_study = ", ".join(
        (
            counted(sizes.ratios, "imbalance ratio"),
            f"draws of {sizes.train_rows:,} training rows",
            f"{counted(sizes.trials, 'trial')} a ratio",
            f"{counted(sizes.confirmation_replicates, 'replicate')} of confirmation",
        )
    )
    return (
        f"A budget of {duration(60.0 * (config.minutes or 0.0))} holds nothing useful on this machine: the smallest "
        f"study that can show anything ({smallest_study}) takes about {duration(chosen.seconds)}. Give --minutes "
        f"{smallest} or more."
    )


def time_facts(
    config: StudyConfig,
    known: Mapping[str, Any] | None,
    chosen: Budgeted | None,
    planned: float,
    speed: Speed,
    beside: StartAndEnd,
) -> dict[str, Any]:
    """Return what ``study.json`` keeps of a study's time: what was measured, planned and chosen when it began.

    Parameters
    ----------
    config, known
        The study, and what ``study.json`` says of it; None for a new one.
    chosen, planned
        What its budget holds, if it was chosen now, and what the whole study is expected to take.
    speed, beside
        What was measured.
    """
    began = dict(known.get(FACT, {})) if known is not None else {PLANNED: planned}
    if known is None:
        began["measured"] = dataclasses.asdict(speed) | dataclasses.asdict(beside)
    if chosen is not None:
        began |= {"values": dict(chosen.values), "sentences": [chosen.sentence], _SIZED_FOR: config.budget_s}
    return {**began, BUDGET: config.budget_s, TRIALS: math.ceil(config.trials / len(config.imbalance_ratios))}
