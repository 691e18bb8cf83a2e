"""``python -m study.launch NAME``: baselines, search, controls, comparison, report. Run again, it resumes."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from rich.console import Console

from study.audits.stored import audit_folder, audit_metrics, load_audit
from study.command.cli import run_command
from study.command.launch_arguments import build_parser, overrides_of
from study.command.progress import ProgressView
from study.compare import print_table
from study.config.encoders import trial_encoder
from study.config.files import load_study_file
from study.config.operators import (
    FACT,
    announce_left_out,
    unavailable_faults,
    without_unavailable,
)
from study.config.study import StudyConfig
from study.plan.owed import reopen_searched
from study.plan.plan import Plan
from study.plan.search import GainSearch
from study.record.folder import StudyFolder, storage_faults, study_id
from study.record.ledger import Ledger, TrialRecord
from study.run import cluster, preflight
from study.run.audit_leading import audit_leading
from study.run.resuming import resume_faults
from study.run.tuning import Execution, default_config_faults, run_plan
from study.tracking.experiment_page import Launch
from study.tracking.tracker import Tracker
from study.tracking.uri import artifact_folder, tracking_faults, tracking_uri, ui_command, ui_server
from study.verdict.comparison import build_comparison
from study.verdict.report import write_report
from trainables.corpora.corpus import Corpus
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError
from trainables.method.arms import HEAD_ARMS
from trainables.model.encoder import encoder_digest, encoder_faults
from trainables.prepared import PreparedCorpus, RunSettings, count_faults, prepare, shared_n_max
from trainables.reuse.keys import TRAINING_VERSION

VERSIONED = ("ray", "torch", "transformers", "optuna", "mlflow", "nlpaug", "pandas", "numpy")


def checked(
    config: StudyConfig, args: argparse.Namespace, connection: cluster.Connection | None
) -> tuple[StudyFolder, Corpus, PreparedCorpus, RunSettings, str]:
    """Check everything that can be checked before anything is spent.

    Parameters
    ----------
    config, args
        The study, and how it was asked for.
    connection
        The cluster that was joined, None where there is none.

    Raises
    ------
    ConfigurationError
        With all faults that were found.
    """
    if config.type_faults():
        raise ConfigurationError(config.type_faults())
    faults = [*preflight.version_faults(), *config.faults(), *default_config_faults(config)]
    faults += unavailable_faults(config)
    stored = storage_faults(args.storage)
    faults += stored
    folder = StudyFolder(Path(args.storage).resolve(), config.name)
    uri = tracking_uri(folder.storage, args.tracking_uri)
    if not stored:
        faults += tracking_faults(uri)
    encoder = trial_encoder(config)
    encoder_wrong = encoder_faults(encoder)
    faults += encoder_wrong
    corpus = preflight.collect(
        faults, lambda: read_corpus(config.corpus, config.data, **config.corpus_options)
    )
    prepared = None
    if corpus is not None and not encoder_wrong:
        prepared = preflight.collect(
            faults,
            lambda: prepare(
                corpus,
                encoder,
                study_seed=config.seed,
                max_validation_rows=config.max_validation_rows,
                validation_per_class=config.validation_per_class,
                separate_near_duplicates=config.separate_near_duplicates,
            ),
        )
    if corpus is not None and not stored and not encoder_wrong and not args.fresh:
        faults += resume_faults(folder, config, corpus.digest, numerics_of(config, connection))
    if prepared is not None and config.n_max is not None:
        imposed = [ratio for ratio in config.imbalance_ratios if isinstance(ratio, float)]
        faults += count_faults(prepared, imposed, config.profile, config.n_max)
    if faults or corpus is None or prepared is None:
        raise ConfigurationError(faults)
    row_bound = config.row_bound(corpus.is_sample)
    run = RunSettings(
        study_seed=config.seed,
        encoder=encoder,
        profile=config.profile,
        n_max=config.n_max or shared_n_max(prepared, config.imbalance_ratios, config.profile, row_bound),
        max_train_rows=row_bound,
        cache_dir=str(folder.cache),
        operator_options=config.operator_options,
        stage1_grid=config.stage1_grid(),
        cache_max_bytes=int(config.cache_gb * 10**9),
        checkpoint_every_s=config.checkpoint_every_s,
        share_vanilla=any(arm in HEAD_ARMS for arm in config.arms),
    )
    return folder, corpus, prepared, run, uri


def facts_of(
    config: StudyConfig,
    corpus: Corpus,
    folder: StudyFolder,
    identity: str,
    uri: str,
    numerics: dict[str, str],
) -> dict[str, Any]:
    """Return what ``study.json`` says of a study."""
    return {
        "study": config.name,
        "study_id": identity,
        "preset": config.preset,
        "corpus": {
            "name": config.corpus,
            "source": corpus.source,
            "digest": corpus.digest,
            "rows": len(corpus),
            "groups": len(set(corpus.groups)),
            "classes": corpus.class_counts(),
            "left_out": dict(corpus.left_out),
            "is_sample": corpus.is_sample,
        },
        "encoder": config.encoder,
        "numerics": numerics,
        "ratios": list(config.imbalance_ratios),
        "config": config.identity(),
        "mlflow": {"tracking_uri": uri, "experiment": config.name},
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in VERSIONED},
        },
        "git_commit": git_commit(),
        "command": ["python", "-m", "study.launch", *sys.argv[1:]],
    }


def numerics_of(config: StudyConfig, connection: cluster.Connection | None) -> dict[str, str]:
    """Return what else decides a trial's numbers: gains pair runs of one code on one kind of device alone."""
    encoder = trial_encoder(config)
    device = "cuda" if cluster.trains_on_gpus(config, connection) else "cpu"
    return {
        "encoder_digest": encoder_digest(encoder),
        "device": device,
        "training_code": f"version {TRAINING_VERSION}",
    }


def git_commit() -> str | None:
    """Return the commit of this code, None outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # git is not installed
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def launch(args: argparse.Namespace) -> int:
    """Run the command; see the module."""
    console = Console(stderr=True)
    overrides = overrides_of(args)
    cluster.quieten()
    connection = cluster.join_running_cluster()
    preset = args.preset or ("cluster" if cluster.has_gpus(connection) else "laptop")
    given = load_study_file(args.name, preset, overrides)
    existing = None if args.fresh else StudyFolder(Path(args.storage).resolve(), given.name).read_facts()
    config, left_out = without_unavailable(given, existing)
    folder, corpus, prepared, run, uri = checked(config, args, connection)
    connection = connection or cluster.start_here(config)
    resources = cluster.trial_resources(config, connection)
    console.print(connection.sentence, highlight=False)
    print_corpus(corpus, console)
    estimate = preflight.estimate_cost(config, prepared, run, resources)
    preflight.print_plan(config, prepared, run, resources, estimate, console)
    announce_left_out(left_out, console)
    if args.dry_run:
        return 0
    if args.fresh:
        with folder.locked():
            aside = folder.set_aside()
        if aside is not None:
            console.print(f"The earlier study lies in {aside}.", highlight=False, soft_wrap=True)
    with folder.locked():
        numerics = numerics_of(config, connection)
        facts = {**facts_of(config, corpus, folder, study_id(folder), uri, numerics), FACT: left_out}
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
                    run_plan(plan, prepared, Execution(resources, folder.ray, run), view.tick)
            say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
            for trial_id in audit_leading(
                build_comparison(ledger, facts, config.objective), corpus, prepared, run, say
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
    stored = load_audit(study, trial_id)
    if stored is not None:
        tracker.log_audit(trial_id, audit_metrics(stored), audit_folder(study, trial_id))


def launch_of(facts: dict[str, Any], config: StudyConfig, folder: StudyFolder) -> Launch:
    """Return what MLflow's parent run says of the study."""
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
    """Say which corpus is studied, and loudly if it is only the sample."""
    counts = ", ".join(f"{name} {n}" for name, n in corpus.class_counts().items())
    console.print(
        f"Corpus: {corpus.source}: {len(corpus)} rows in {len(set(corpus.groups))} groups ({counts}).",
        highlight=False,
        soft_wrap=True,
    )
    if corpus.is_sample:
        console.print(
            "[bold reverse] GENERATED SAMPLE [/] These texts are invented (no --data was given and openFDA cannot be "
            "reached, or the sample was asked for): results on them mean nothing about FDA labels.",
            highlight=False,
            soft_wrap=True,
        )


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
        if ray.is_initialized():
            ray.shutdown()


if __name__ == "__main__":
    sys.exit(main())
