"""From the ledger to the comparison: every arm and trial against vanilla on the same replicates."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.record.gains import compared_with, leading_prefinetuning, leading_trial, lower_is_better
from study.record.ledger import FRESH_PHASES, SEARCH_PHASES, Ledger, TrialRecord
from study.terminal.program import written
from study.verdict.budget import Budget, budget_of
from study.verdict.confirmed import FACT, ConfirmedStudy, Judge, test_metric
from study.verdict.statistics import metric_mean, paired_gain
from study.verdict.study_time import NO_TIME, StudyTime, study_time
from trainables.corpora.notices import notice_of
from trainables.errors import ConfigurationError
from trainables.interval import Interval

STUDY_FACTS = ("study", "preset", "corpus", "encoder", "ratios", "config", "mlflow", "versions")
CORPUS_FACTS = ("source", "digest", "rows", "groups", "classes", "is_sample")
_PASSWORD_IN_URI = re.compile(r"(?<=://)([^/\s:@]*):[^/\s]*@")


@dataclass(frozen=True)
class Result:
    """One trial of the ledger with its metrics and its gain over the reference vanilla of its ratio.

    Attributes
    ----------
    record
        The trial in the ledger.
    metrics
        Mean and interval over the trial's replicates, by metric name.
    gain
        Paired difference to vanilla in the metric of the comparison; n = 0 if nothing can be paired.
    budget
        The budget that its arm had at its ratio.
    """

    record: TrialRecord
    metrics: Mapping[str, Interval]
    gain: Interval
    budget: Budget

    @property
    def replicates(self) -> int:
        """Number of scored replicates."""
        return len(self.record.replicates)


@dataclass(frozen=True)
class Comparison:
    """What a study has found so far on validation data.

    Attributes
    ----------
    study
        The study's facts as ``study.json`` holds them, without passwords.
    metric
        Metric of every gain.
    ratios
        Imbalance ratios from the most severe to the mildest, then ``"natural"``.
    baselines
        Reference arms and controls, by ratio; a tuned control is represented by its leading trial.
    trials
        Trials of pre-finetuning's search, by ratio, best gain first.
    control_trials
        Trials of the tuned controls, by arm and ratio, best gain first.
    tuning
        The candidates from which vanilla's settings were chosen.
    best
        The trial that leads each ratio's search, or the paper's recipe where nothing is searched, see
        :func:`study.record.gains.leading_prefinetuning`.
    report
        Path of this study's report.
    fresh
        Trials of the screening and the confirmation; their gains are over the vanilla of the same phase.
    confirmation
        The verdicts; None before there is one.
    time
        How long it took.
    """

    study: Mapping[str, Any]
    metric: str
    ratios: tuple[float | str, ...]
    baselines: tuple[Result, ...]
    trials: tuple[Result, ...]
    control_trials: tuple[Result, ...]
    tuning: tuple[Result, ...]
    best: Mapping[float | str, Result]
    report: Path
    fresh: tuple[Result, ...] = ()
    confirmation: ConfirmedStudy | None = None
    time: StudyTime = NO_TIME

    def trials_at(self, ratio: float | str) -> list[Result]:
        """Return the trials of one imbalance ratio, best gain first."""
        return [trial for trial in self.trials if trial.record.imbalance_ratio == ratio]

    @property
    def everything(self) -> tuple[Result, ...]:
        """Every trial of the ledger, each once."""
        alone = (b for b in self.baselines if b.record.phase != "control_search")
        return (*self.tuning, *alone, *self.trials, *self.control_trials, *self.fresh)

    def fresh_result(self, record: TrialRecord) -> Result:
        """Return the result of a trial of the screening or the confirmation."""
        [found] = [result for result in self.fresh if result.record is record]
        return found

    def baseline(self, ratio: float | str, arm: str) -> Result | None:
        """Return a baseline of one ratio.

        If a control was run several times, this is the tuned one, else the one matched to the leading trial, else
        the latest.
        """
        found = [b for b in self.baselines if b.record.imbalance_ratio == ratio and b.record.arm == arm]
        found = [b for b in found if b.record.phase == "control_search"] or found
        leading = self.best.get(ratio)
        for result in found:
            if leading is not None and result.record.matched_to == leading.record.trial_id:
                return result
        return found[-1] if found and arm != "vanilla" else next(iter(found), None)

    @property
    def is_search(self) -> bool:
        """False where nothing is searched, so that the paper's recipe takes the place of the leading trial."""
        return bool(self.trials) or not self.best

    @property
    def scored_on(self) -> str:
        """The set on which the metric of every gain was computed: ``val``, ``test``, …"""
        return self.metric.partition("/")[0]

    @property
    def leading_name(self) -> str:
        """What is compared with vanilla and the controls, as people read it."""
        return "leading trial" if self.is_search else "paper's recipe"

    def lead_over(self, baseline: Result) -> Interval:
        """Return the paired difference of the ratio's leading trial to a baseline."""
        leading = self.best.get(baseline.record.imbalance_ratio)
        return difference(leading, baseline, self.metric) if leading else paired_gain({}, {})


def load_study(storage: Path, name: str) -> tuple[dict[str, Any], Ledger]:
    """Read the facts and the ledger of one study.

    Raises
    ------
    ConfigurationError
        There is no such study in the storage, or its ``study.json`` cannot be read.
    """
    folder = storage / name
    if name in ("", ".", "..") or Path(name).name != name:
        raise ConfigurationError(
            f"study {name!r}: expected the name of a study, not a path; name the folder with --storage"
        )
    path = folder / "study.json"
    if not path.is_file():
        there = sorted(found.parent.name for found in storage.glob("*/study.json"))
        raise ConfigurationError(
            f"study {name!r}: there is no {path.resolve()}; studies in {storage.resolve()}: "
            f"{', '.join(there) or 'none'}. Name another folder with --storage, or run the study first: "
            f"{written('launch')} {name} --storage {storage}"
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(
            f"{path}: expected a JSON object, but {error}; launch the study again"
        ) from None
    if not isinstance(facts, dict):
        raise ConfigurationError(f"{path}: expected a JSON object; launch the study again")
    missing = [key for key in STUDY_FACTS if key not in facts]
    missing += [f"corpus.{key}" for key in CORPUS_FACTS if key not in facts.get("corpus", {})]
    missing += [
        f"mlflow.{key}" for key in ("tracking_uri", "experiment") if key not in facts.get("mlflow", {})
    ]
    if missing:
        raise ConfigurationError(f"{path}: lacks {', '.join(missing)}; launch the study again to rewrite it")
    # An earlier version wrote neither notice nor remarks nor counts of the parts, and did not look at the tokens.
    facts.setdefault("parts", {})
    facts.setdefault("part_ranges", {})
    facts.setdefault("remarks", [])
    facts.setdefault("tokens", {})
    corpus = facts["config"].get("corpus", "")
    facts["corpus"].setdefault("notice", notice_of(corpus, facts["corpus"]["is_sample"]))
    return facts, Ledger(folder / "ledger.jsonl")


def objective_of(study: Mapping[str, Any]) -> str:
    """Return the validation metric by which a study chooses."""
    return str(study["config"].get("objective", "val/macro_f1"))


def deciding_metric(study: Mapping[str, Any]) -> str:
    """Return the metric by which a study is judged: its objective, on its test split if it is scored on that."""
    objective = objective_of(study)
    if "test" in study["config"].get("test_sets", ()):
        return test_metric(objective)
    return objective


def build_comparison(ledger: Ledger, study: Mapping[str, Any], metric: str | None = None) -> Comparison:
    """Pair every arm and trial with the reference vanilla of its imbalance ratio.

    Parameters
    ----------
    ledger, study
        What :func:`load_study` returns.
    metric
        Metric of the gains; by default the study's own, see :func:`deciding_metric`.

    Raises
    ------
    ConfigurationError
        The ledger holds scores, but none of this metric.
    """
    metric = metric or deciding_metric(study)
    _check_metric(ledger, metric)
    budgets: dict[tuple[str, str, float | str], Budget] = {}

    def budget(record: TrialRecord) -> Budget:
        if record.phase not in SEARCH_PHASES:
            return budget_of(ledger, record)
        key = (record.phase, record.arm, record.imbalance_ratio)  # one budget for all trials of a search
        if key not in budgets:
            budgets[key] = budget_of(ledger, record)
        return budgets[key]

    def result(record: TrialRecord) -> Result:
        is_fresh = record.phase in FRESH_PHASES
        reference = compared_with(ledger, record) if is_fresh else ledger.reference(record.imbalance_ratio)
        return Result(
            record,
            {name: metric_mean(record.values(name).values(), name) for name in _metric_names([record])},
            paired_gain(record.values(metric), reference.values(metric) if reference else {}, metric),
            budget(record),
        )

    trials = [result(record) for record in ledger.of_phase("search")]
    controls = [result(record) for record in ledger.of_phase("control_search")]
    tuned = _leading(ledger, controls, metric).values()
    baselines = [*(result(record) for record in ledger.of_phase("reference", "control")), *tuned]
    tuning = [result(record) for record in ledger.of_phase("reference_tuning")]
    ratios = {*study["ratios"], *(found.record.imbalance_ratio for found in (*baselines, *trials))}
    ordered = tuple(sorted(ratios, key=_severest_first))
    by_id = {found.record.trial_id: found for found in (*trials, *baselines)}
    leading = {ratio: leading_prefinetuning(ledger, ratio, metric) for ratio in ordered}

    def order(found: Result) -> tuple[str, float, float]:
        return found.record.arm, _severest_first(found.record.imbalance_ratio), best_first(found.gain, metric)

    return Comparison(
        study=without_passwords(study),
        metric=metric,
        ratios=ordered,
        baselines=tuple(sorted(baselines, key=lambda b: _severest_first(b.record.imbalance_ratio))),
        trials=tuple(sorted(trials, key=order)),
        control_trials=tuple(sorted(controls, key=order)),
        tuning=tuple(tuning),
        best={ratio: by_id[best.trial_id] for ratio, best in leading.items() if best is not None},
        report=ledger.path.with_name("report.html"),
        fresh=tuple(result(record) for record in ledger.of_phase(*FRESH_PHASES)),
        confirmation=_confirmed(ledger, study, metric, ordered),
        time=study_time(ledger, study),
    )


def judge_of(ledger: Ledger, study: Mapping[str, Any], metric: str) -> Judge:
    """Return what gives the verdicts of a study, by the test metric that belongs to one of validation."""
    classes = tuple(study["corpus"]["classes"])
    return Judge(ledger, study[FACT], classes, test_metric(metric), ledger.path.parent / "scores")


def _confirmed(
    ledger: Ledger, study: Mapping[str, Any], metric: str, ratios: tuple[float | str, ...]
) -> ConfirmedStudy | None:
    return judge_of(ledger, study, metric).result(ratios) if study.get(FACT) and ledger.looks else None


def _leading(ledger: Ledger, trials: Iterable[Result], metric: str) -> dict[tuple[str, float | str], Result]:
    """Return the leading trial of every arm and ratio that has one."""
    groups: dict[tuple[str, float | str], dict[str, Result]] = {}
    for trial in trials:
        key = trial.record.arm, trial.record.imbalance_ratio
        groups.setdefault(key, {})[trial.record.trial_id] = trial
    found = {
        key: leading_trial(ledger, (trial.record for trial in group.values()), metric)
        for key, group in groups.items()
    }
    return {key: groups[key][record.trial_id] for key, record in found.items() if record is not None}


def difference(first: Result, second: Result, metric: str) -> Interval:
    """Return first minus second in one metric on the replicates that both have."""
    return paired_gain(first.record.values(metric), second.record.values(metric), metric)


def best_first(gain: Interval, metric: str) -> float:
    """Return a sort key that puts the best gain first and an undefined one last."""
    if not gain.is_defined:
        return math.inf
    return gain.mean if lower_is_better(metric) else -gain.mean


def differing_settings(results: Iterable[Result]) -> list[str]:
    """Return the settings that do not have the same value in all results, in the order of their configurations."""
    configs = [result.record.read for result in results]
    names = dict.fromkeys(name for config in configs for name in config)
    return [
        name
        for name in names
        if name != "imbalance_ratio" and len({json.dumps(c.get(name), default=str) for c in configs}) > 1
    ]


def without_passwords(value: Any) -> Any:
    """Return plain JSON values with the passwords removed from all addresses."""
    if isinstance(value, str):
        return _PASSWORD_IN_URI.sub(r"\1:***@", value)
    if isinstance(value, Mapping):
        return {key: without_passwords(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_passwords(item) for item in value]
    return value


def _check_metric(ledger: Ledger, metric: str) -> None:
    known = _metric_names(ledger.trials.values())
    if known and metric not in known:
        raise ConfigurationError(
            f"metric {metric!r}: {ledger.path} has none of that name; known: {', '.join(known)}"
        )


def _metric_names(records: Iterable[TrialRecord]) -> list[str]:
    return sorted({name for record in records for rep in record.replicates.values() for name in rep.metrics})


def _severest_first(ratio: float | str) -> float:
    return math.inf if isinstance(ratio, str) else ratio
