"""``python -m study.launch NAME``: baselines, search, controls, comparison, report. Run again, it resumes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from study.command.cli import run_command
from study.command.launch_arguments import build_parser, read_overrides
from study.config.files import known_studies, read_study_file
from study.record.folder import StudyFolder
from study.run import cluster, place
from study.run.first_checks import first_checks
from trainables.corpora.corpus import Corpus
from trainables.errors import ConfigurationError, collect

if TYPE_CHECKING:
    from study.config.study import StudyConfig
    from study.record.ledger import Ledger
    from study.tracking.experiment_page import Launch
    from study.tracking.tracker import Tracker


def launch(args: argparse.Namespace) -> int:
    """Run the command; see the module."""
    console = Console(stderr=True)
    overrides, unknown = read_overrides(args)
    preset, connection = chosen_preset(args)
    found = collect(unknown, lambda: read_study_file(args.name, preset, overrides))
    if found is None:
        raise ConfigurationError(unknown)
    config, unknown_values = found
    corpus = first_checks(config, args.storage, [*unknown, *unknown_values])
    return run(config, corpus, connection, args, console)


def chosen_preset(args: argparse.Namespace) -> tuple[str, cluster.Connection | None]:
    """Return the preset that was asked for, else the one that fits; and the cluster that had to be joined to tell."""
    can_be_large = place.cluster_is_named() or place.may_have_gpus()
    if args.preset is not None or not can_be_large or args.name not in known_studies():
        return args.preset or "laptop", None
    cluster.quieten()
    connection = cluster.join_running_cluster()
    return "cluster" if cluster.has_gpus(connection) else "laptop", connection


def run(
    given: StudyConfig,
    corpus: Corpus,
    connection: cluster.Connection | None,
    args: argparse.Namespace,
    console: Console,
) -> int:
    """Check what needs a model, show the plan, and run it.

    Parameters
    ----------
    given
        The study as it was asked for.
    corpus
        Its texts.
    connection
        The cluster, where it was joined already.
    args, console
        The command line, and where to write.
    """
    # Loading these takes seconds, in which a fault of the first checks is long told.
    from study.config.operators import FACT, announce_left_out, without_unavailable
    from study.run import preflight
    from study.run.checks import checked
    from study.tracking.uri import tracking_faults, tracking_uri

    cluster.quieten()
    connection = connection or cluster.join_running_cluster()
    folder = StudyFolder(Path(args.storage).resolve(), given.name)
    config, left_out = without_unavailable(given, None if args.fresh else folder.read_facts())
    uri = tracking_uri(folder.storage, args.tracking_uri)
    prepared, run_settings = checked(
        config, folder, corpus, connection, resumes=not args.fresh, store_faults=tracking_faults(uri)
    )
    if connection is None:
        connection = cluster.count_here() if args.dry_run else cluster.start_here(config)
    resources = cluster.trial_resources(config, connection)
    console.print(connection.sentence, highlight=False)
    print_corpus(corpus, console)
    estimate = preflight.estimate_cost(config, prepared, run_settings, resources)
    preflight.print_plan(config, prepared, run_settings, resources, estimate, console)
    announce_left_out(left_out, console)
    if args.dry_run:
        return 0
    from study.command.progress import ProgressView
    from study.compare import print_table
    from study.plan.owed import reopen_searched
    from study.plan.plan import Plan
    from study.plan.search import GainSearch
    from study.record.ledger import Ledger, TrialRecord
    from study.run.audit_leading import audit_leading
    from study.run.facts import facts_of
    from study.run.tuning import Execution, run_plan
    from study.tracking.tracker import Tracker
    from study.tracking.uri import ui_command, ui_server
    from study.verdict.comparison import build_comparison
    from study.verdict.report import write_report

    if args.fresh:
        with folder.locked():
            aside = folder.set_aside()
        if aside is not None:
            console.print(f"The earlier study lies in {aside}.", highlight=False, soft_wrap=True)
    with folder.locked():
        facts = {**facts_of(config, corpus, folder, connection, uri), FACT: left_out}
        folder.write_facts(facts)
        ledger = Ledger(folder.ledger)
        announce_resumed(ledger, console)
        reopen_searched(config, ledger)
        tracker = Tracker(
            uri, launch_of(facts, config, folder), ledger, partial(console.print, highlight=False)
        )
        search = GainSearch(config, folder.optuna)
        search.replay(ledger)
        view = ProgressView(config, ledger, console, estimate.replicates)

        def notify(trial: TrialRecord) -> None:
            tracker.update(trial)
            view.on_change(trial)

        status = "FAILED"
        try:
            plan = Plan(config, ledger, search, notify)
            if not plan.complete:
                with view.shown():
                    run_plan(plan, prepared, Execution(resources, folder.ray, run_settings), view.tick)
            say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
            for trial_id in audit_leading(
                build_comparison(ledger, facts, config.objective), corpus, prepared, run_settings, say
            ):
                log_audit(tracker, folder.root, trial_id)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            console.print("Interrupted: the same command goes on where it stopped.", highlight=False)
            raise
        finally:
            comparison = build_comparison(ledger, facts, config.objective)
            report = write_report(comparison)
            tracker.log_artifacts([report, folder.facts])
            tracker.close(status)
    print_table(comparison)
    console.print(f"Report: {report}", highlight=False, soft_wrap=True)
    console.print(f"MLflow: {ui_command(uri)}", highlight=False, soft_wrap=True)
    if not tracker.behind:
        page = tracker.address(ui_server(uri))
        console.print(f"Trials beside vanilla: {page}", highlight=False, soft_wrap=True)
    return 0


def log_audit(tracker: Tracker, study: Path, trial_id: str) -> None:
    """Tell MLflow of a stored audit."""
    from study.audits.stored import audit_folder, audit_metrics, load_audit

    stored = load_audit(study, trial_id)
    if stored is not None:
        tracker.log_audit(trial_id, audit_metrics(stored), audit_folder(study, trial_id))


def launch_of(facts: dict[str, Any], config: StudyConfig, folder: StudyFolder) -> Launch:
    """Return what MLflow's parent run says of the study."""
    from study.tracking.experiment_page import Launch
    from study.tracking.uri import artifact_folder

    return Launch(
        study=config.name,
        study_id=facts["study_id"],
        preset=config.preset,
        encoder=config.encoder,
        objective=config.objective,
        corpus=facts["corpus"],
        versions=facts["versions"],
        git_commit=facts["git_commit"],
        artifacts=artifact_folder(facts["mlflow"]["tracking_uri"], folder.storage),
    )


def print_corpus(corpus: Corpus, console: Console) -> None:
    """Say which corpus is studied, and what has to be known of it: loudly if it is only the sample."""
    counts = ", ".join(f"{name} {n}" for name, n in corpus.class_counts().items())
    console.print(
        f"Corpus: {corpus.source}: {len(corpus)} rows in {len(set(corpus.groups))} groups ({counts}).",
        highlight=False,
        soft_wrap=True,
    )
    if corpus.notice:
        label = "[bold reverse] GENERATED SAMPLE [/] " if corpus.is_sample else ""
        console.print(label + escape(corpus.notice), highlight=False, soft_wrap=True)


def announce_resumed(ledger: Ledger, console: Console) -> None:
    """Say what an earlier launch left behind."""
    if ledger.trials:
        done = sum(trial.state != "running" for trial in ledger.trials.values())
        console.print(f"Resuming: {done} of {len(ledger.trials)} started trials are done.", highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    try:
        return run_command(launch, build_parser(), argv)
    finally:
        cluster.leave()


if __name__ == "__main__":
    sys.exit(main())
