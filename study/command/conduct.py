"""A launch from its first trial to its report: run the plan, record everything, report the result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from study.audits.stored import audit_folder, audit_metrics, load_audit
from study.command.ending import Ending
from study.command.progress import ProgressView
from study.config.study import StudyConfig
from study.plan.deadline import Deadline, Expected
from study.plan.owed import reopen_searched
from study.plan.plan import Plan
from study.plan.search import GainSearch
from study.plan.warm_start import earlier_trials
from study.record.folder import StudyFolder, unwritable, write_atomically
from study.record.ledger import Ledger, TrialRecord
from study.record.lines import damage_in_words
from study.record.own_disk import CopiedDatabase, copied, databases_folder, databases_sentence
from study.run.audit_leading import audit_leading
from study.run.measured_spread import MeasuredSpread
from study.run.tuning import Execution, run_plan
from study.tracking.addition import Addition
from study.tracking.experiment_page import Launch
from study.tracking.tracker import Tracker
from study.tracking.uri import DATABASE, artifact_folder, default_tracking_uri, ui_server
from study.verdict.comparison import Comparison, build_comparison, judge_of
from study.verdict.confirmed import ConfirmedRatio
from study.verdict.report import write_report
from study.verdict.study_time import study_time
from study.verdict.verdict_words import verdict_sentence
from trainables.corpora.corpus import Corpus
from trainables.prepared import CorpusOfReplicates
from trainables.resplit import SharedCorpus
from trainables.settings import NATURAL


@dataclass(frozen=True)
class Times:
    """What a study is expected to take.

    Attributes
    ----------
    began
        When this launch began, as :func:`time.time` tells it.
    expected
        The study's runs.
    ending
        Seconds from its last run to its end.
    confirming
        Seconds of its confirmation.
    """

    began: float
    expected: Expected
    ending: float
    confirming: float


@dataclass(frozen=True)
class CheckedStudy:
    """A study in which no fault was found.

    Attributes
    ----------
    config, folder, facts
        Its configuration, its folder, and what ``study.json`` says of it.
    corpus, prepared
        Its texts, as they were read and as the search uses them.
    of_replicates
        The texts as every replicate gets them.
    execution
        How its trials are run.
    times
        What it is expected to take.
    """

    config: StudyConfig
    folder: StudyFolder
    facts: Mapping[str, Any]
    corpus: Corpus
    prepared: SharedCorpus
    of_replicates: CorpusOfReplicates
    execution: Execution
    times: Times


@dataclass(frozen=True)
class StudyEnd:
    """What a launch leaves behind.

    Attributes
    ----------
    comparison, report
        What was found, and the file that presents it.
    page
        Where a browser shows the trials beside vanilla; None if MLflow lacks some of them.
    time
        Sentences on how long it took, and on what there was no time for.
    """

    comparison: Comparison
    report: Path
    page: str | None
    time: tuple[str, ...] = ()


def conduct(study: CheckedStudy, console: Console) -> StudyEnd:
    """Run what a study owes, record it, and write its report.

    Parameters
    ----------
    study
        The study; the caller holds the lock on its folder.
    console
        Where progress and messages are shown.

    Raises
    ------
    StudyStopped
        The study cannot go on.
    KeyboardInterrupt
        Ctrl-C; the same command goes on where it stopped.
    """
    config, folder, facts = study.config, study.folder, study.facts
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    with unwritable(folder.root):
        folder.write_facts(facts)
        ledger = Ledger(folder.ledger)
        _announce_resumed(ledger, console)
        ledger.launch(study.times.began, config.budget_s)
        reopen_searched(config, ledger)
    copies = _copied_databases(folder, facts["mlflow"]["tracking_uri"])
    whose = "Optuna's" if len(copies) == 1 else "MLflow's and Optuna's"
    if written_apart := databases_sentence(folder.storage, whose):
        say(written_apart)
    with copied(copies, say):
        return _recorded(study, ledger, console, say)


def _recorded(study: CheckedStudy, ledger: Ledger, console: Console, say: Callable[[str], None]) -> StudyEnd:
    """Run what a study owes, with MLflow at hand, and write its report."""
    folder, facts = study.folder, study.facts
    uri = facts["mlflow"]["tracking_uri"]
    tracker = Tracker(uri, _launch_of(study), ledger, partial(console.print, highlight=False))
    ending = Ending(folder, facts, ledger, tracker, say)
    try:
        with unwritable(folder.root):
            comparison = _run(study, ledger, tracker, ending, console)
    except BaseException as failure:
        ending.after(failure)
        raise
    report = ending.finish(comparison)
    if comparison.confirmation is not None and comparison.confirmation.ratios:
        _leave_models(study, comparison, say)
    with unwritable(folder.root):
        ledger.end_launch()
        comparison = replace(comparison, time=study_time(ledger, facts))
        write_report(comparison)  # now with all the time that the study took
    tracker.log_artifacts([report])
    page = None if tracker.behind else tracker.address(ui_server(uri))
    said = (comparison.time.in_words(), comparison.time.cut_in_words())
    return StudyEnd(comparison, report, page, tuple(filter(None, said)))


def _run(
    study: CheckedStudy, ledger: Ledger, tracker: Tracker, ending: Ending, console: Console
) -> Comparison:
    """Run what is owed, audit the augmentations behind what leads, and return what was found."""
    config = study.config
    earlier = earlier_trials(config, study.corpus.digest, ending.say)
    search = GainSearch(config, study.folder.optuna_written, ending.say, earlier)
    search.replay(ledger)
    view = ProgressView(config, ledger, console, study.times.expected)
    measured = MeasuredSpread(config, ledger, study.times.confirming)

    def notify(trial: TrialRecord) -> None:
        tracker.update(trial)
        view.on_change(trial)
        if said := measured.sentence(trial):
            ending.say(said)

    judge = judge_of(ledger, study.facts, config.objective)
    plan = Plan(config, ledger, search, notify, judge.decided, _deadline(study, ledger))
    if plan.stopped is not None:
        raise plan.stopped
    if not plan.complete:
        with view.shown():
            run_plan(plan, study.of_replicates, study.execution, view.tick, ending)
    search.catch_up(ledger)
    write_atomically(study.folder.importances, json.dumps(search.importances(), indent=1) + "\n")
    found = build_comparison(ledger, study.facts)
    prepared = study.prepared.of_replicate(0)
    for trial_id in audit_leading(found, study.corpus, prepared, study.execution.run, ending.say):
        _log_audit(tracker, study.folder.root, trial_id)
    return found


def _copied_databases(folder: StudyFolder, uri: str) -> list[CopiedDatabase]:
    """Return the SQLite files that are written elsewhere and copied to the storage folder."""
    written = databases_folder(folder.storage)
    if written == folder.storage:
        return []
    copies = [CopiedDatabase(folder.optuna_written, folder.optuna, is_remade=True)]
    if uri == default_tracking_uri(folder.storage):
        copies.append(CopiedDatabase(written / DATABASE, folder.storage / DATABASE))
    return copies


def _deadline(study: CheckedStudy, ledger: Ledger) -> Deadline | None:
    """Return the end of the study's time, if it has one."""
    budget, times = study.config.budget_s, study.times
    if budget is None:
        return None
    return Deadline(budget, lambda: ledger.seconds_taken(time.time()), times.expected, times.ending)


def _leave_models(study: CheckedStudy, comparison: Comparison, say: Callable[[str], None]) -> None:
    """Train the models to take home: at the corpus's own imbalance if that was confirmed, else at the mildest ratio."""
    from study.command.take_home import Confirmed, leave_models  # loads what saves models

    assert comparison.confirmation is not None
    found = {found.ratio: found for found in comparison.confirmation.ratios}
    at = found.get(NATURAL) or found[max(found, key=float)]
    sentence = verdict_sentence(at, comparison)
    gain = at.winner.gain.text(signed=True)
    say("Training the models to take home: the winner's and vanilla's.")
    leave_models(
        study.folder,
        study.facts,
        study.prepared.of_replicate(0),
        study.execution.run,
        {
            "winner": Confirmed(at.winner.record, sentence, gain),
            "vanilla": Confirmed(at.arms[0].record, sentence, gain),
        },
        say,
        study.config.deployment_prior,
        _champion(at, say),
    )


def _champion(at: ConfirmedRatio, say: Callable[[str], None]) -> str:
    """Return which model is the one to use: the winner's, but where the verdict on it is that it is worse."""
    if at.verdict.verdict != "worse":
        return "winner"
    say(
        "The winner is worse than vanilla: the champion, which study.predict uses, is vanilla's model (--model winner "
        "takes the other one)."
    )
    return "vanilla"


def _log_audit(tracker: Tracker, study: Path, trial_id: str) -> None:
    """Tell MLflow of a stored audit."""
    stored = load_audit(study, trial_id)
    if stored is not None:
        folder = audit_folder(study, trial_id)
        tracker.add_to_run(trial_id, Addition(audit_metrics(stored), folder=folder, artifact="audit"))


def _launch_of(study: CheckedStudy) -> Launch:
    """Return what MLflow's parent run says about the study."""
    config, facts = study.config, study.facts
    return Launch(
        study=config.name,
        study_id=facts["study_id"],
        preset=config.preset,
        encoder=config.encoder,
        objective=config.objective,
        corpus=facts["corpus"],
        remarks=facts["remarks"],
        tokens=facts["tokens"],
        versions=facts["versions"],
        git_commit=facts["git_commit"],
        artifacts=artifact_folder(facts["mlflow"]["tracking_uri"], study.folder.storage),
    )


def _announce_resumed(ledger: Ledger, console: Console) -> None:
    """Say what an earlier launch left behind."""
    if ledger.trials:
        done = sum(trial.state != "running" for trial in ledger.trials.values())
        console.print(f"Resuming: {done} of {len(ledger.trials)} started trials are done.", highlight=False)
    if ledger.damaged:
        console.print(Text(damage_in_words(ledger.path, ledger.damaged)), soft_wrap=True)
        ledger.note_told()
