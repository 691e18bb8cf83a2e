"""A search of the ``adme`` study, small enough to end soon, and how the benchmarks run it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ray

from study.config.encoders import encoder_settings
from study.config.files import load_study_file
from study.config.study import StudyConfig
from study.plan.plan import Plan
from study.plan.search import GainSearch
from study.plan.tracks import tracks_of, trial_settings
from study.record.ledger import Ledger, TrialRecord
from study.run import cluster
from study.run.place import cpus_here
from study.run.tuning import run_trials
from study.tracking.experiment_page import Launch
from study.tracking.tracker import Tracker
from trainables.corpora.registry import read_corpus
from trainables.draw_sizes import shared_n_max
from trainables.errors import StudyStopped
from trainables.prepared import PreparedCorpus, RunSettings, prepare
from trainables.settings import TrialSettings

# One recipe for vanilla: the first of the study's own grid.
_REFERENCE = {"stage2_learning_rate": (1e-4,), "stage2_epochs": (3.0,)}


@dataclass(frozen=True)
class Work:
    """The work that both programs do.

    Attributes
    ----------
    config
        The study, with racing and feedback off and one recipe for vanilla.
    prepared
        Its corpus.
    run
        Settings that all trials share; ``cache_dir`` is set for each run.
    preparing_s
        Seconds that reading and preparing the corpus took.
    """

    config: StudyConfig
    prepared: PreparedCorpus
    run: RunSettings
    preparing_s: float

    def configurations(self) -> list[TrialSettings]:
        """Return what the search proposes, in order, if it is never told a result."""
        search = GainSearch(self.config)
        tracks, vanilla = tracks_of(self.config), self.vanilla()
        proposed = []
        for number in range(self.config.trials):
            track = min(tracks, key=lambda track: search.opened_trials(track.key))
            values = search.propose(track.key, self.config.first)
            reference = vanilla[track.imbalance_ratio].to_config()
            settings = trial_settings(self.config, track, reference, values)
            search.opened(
                TrialRecord(
                    str(number), track.phase, settings.arm, settings.imbalance_ratio, settings.to_config()
                )
            )
            proposed.append(settings)
        return proposed

    def vanilla(self) -> dict[float | str, TrialSettings]:
        """Return vanilla's settings at each imbalance ratio."""
        recipe = {name: values[0] for name, values in self.config.reference_space.items()}
        return {
            ratio: TrialSettings.from_config(
                {**self.config.fixed, **recipe, "arm": "vanilla", "imbalance_ratio": ratio}
            )
            for ratio in self.config.imbalance_ratios
        }


def prepare_work(args: argparse.Namespace) -> Work:
    """Return the work that the command line asks for."""
    started = time.perf_counter()
    config = load_study_file(
        "adme",
        "laptop",
        {
            "data": args.data,
            "encoder": args.encoder,
            "encoder_layers": args.layers,
            "max_length": args.max_length,
            "trials": args.configurations,
            "startup_trials": args.configurations,
            "replicates": args.replicates,
            "grace_replicates": args.replicates,
            "max_train_rows": args.rows,
            "max_sample_rows": None,
            "max_validation_rows": args.validation_rows,
            "reference_space": _REFERENCE,
        },
    )
    encoder = encoder_settings(config)
    prepared = prepare(
        read_corpus(config.corpus, config.data, **config.corpus_options),
        encoder,
        study_seed=config.seed,
        max_validation_rows=config.max_validation_rows,
    )
    run = RunSettings(
        study_seed=config.seed,
        encoder=encoder,
        profile=config.profile,
        n_max=shared_n_max(prepared, config.imbalance_ratios, config.profile, config.max_train_rows),
        max_train_rows=config.max_train_rows,
        cache_dir="",
        stage1_grid=config.stage1_grid(),
    )
    return Work(config, prepared, run, time.perf_counter() - started)


def launch_of(config: StudyConfig) -> Launch:
    """Return what MLflow's parent run says about a benchmark."""
    corpus = {"source": "benchmark", "digest": "none", "rows": 0, "groups": 0}
    return Launch(
        study=config.name,
        study_id="benchmark",
        preset=config.preset,
        encoder=config.encoder,
        objective=config.objective,
        corpus={**corpus, "classes": {}, "is_sample": False, "notice": None},
    )


def run_search(
    work: Work, folder: Path, trainable: Callable[..., None], reuse_processes: bool = True
) -> tuple[float, Ledger]:
    """Run the reference vanilla and the search as a launch does, in their own Ray session.

    Returns
    -------
    Seconds from the start of Ray to the end of the last search trial, and the ledger.

    Raises
    ------
    RuntimeError
        A trial did not finish.
    """
    config = work.config
    ends: list[float] = []
    started = time.perf_counter()
    cluster.start_here(config)
    try:
        resources = cluster.trial_resources(config, cluster.Connection(False, ""))
        ledger = Ledger(folder / "ledger.jsonl")
        tracker = Tracker(f"sqlite:///{folder / 'mlflow.db'}", launch_of(work.config), ledger)

        def notify(trial: TrialRecord) -> None:
            tracker.update(trial)
            done = sum(t.state != "running" for t in ledger.of_phase("search"))
            if done == config.trials and plan.stopped is None:  # the benchmark's work is done
                ends.append(time.perf_counter())
                plan.stopped = StudyStopped("The benchmark has measured what it needs.")

        plan = Plan(config, ledger, GainSearch(config, folder / "optuna.db"), notify)
        run_trials(plan, trainable, resources, folder / "ray", reuse_processes=reuse_processes)
        tracker.close()
    finally:
        ray.shutdown()
    searched = ledger.of_phase("search")
    if not ends or any(len(trial.replicates) < config.replicates for trial in searched):
        errors = {trial.error for trial in ledger.trials.values() if trial.error}
        raise RuntimeError(f"the search did not finish: {errors or plan.stopped}")
    return ends[0] - started, ledger


def add_empty_trials(parser: argparse.ArgumentParser, trials: int, reference_trials: int) -> None:
    """Add the options of a benchmark of trials whose work is nothing, with its own default numbers."""
    add = partial(parser.add_argument, type=int)
    add("--trials", default=trials, help="empty trials of ours (default: %(default)s)")
    add(
        "--reference-trials",
        default=reference_trials,
        help="empty trials of the reference (default: %(default)s)",
    )
    add("--at-a-time", default=cpus_here(), help="trials side by side (default: all processors)")


def add_sizes(parser: argparse.ArgumentParser, **defaults: int | None) -> None:
    """Add the options that :func:`prepare_work` reads, with a benchmark's own default sizes."""
    parser.add_argument("--data", default="sample", help="openFDA labels (default: the generated sample)")
    parser.add_argument("--encoder", default="minilm", help="name or folder (default: %(default)s)")
    for name, meaning in (
        ("configurations", "trials of the search"),
        ("replicates", "replicates of each configuration"),
        ("rows", "training rows of a replicate"),
        ("validation_rows", "validation rows"),
        ("max_length", "tokens that a text is cut to"),
        ("layers", "layers of the encoder that are used; None for all"),
    ):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=int,
            metavar="N",
            default=defaults[name],
            help=f"{meaning} (default: %(default)s)",
        )
