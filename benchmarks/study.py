"""The platform against the naive program on the first configurations that the ``adme`` search proposes.

Command::

    python -m benchmarks.study [--data labels.jsonl.gz]

Both train the same configurations, without feedback, on the same rows and replicates; racing is off, so that both
do all of the work. The platform runs as a launch does (plan, ledger, Optuna, MLflow, Tune, warm processes, stage
tree, one vanilla for all) and is timed from the start of Ray to the end of the last search trial, the preparation of
the corpus included. The naive program (:mod:`benchmarks.naive`) gets the corpus prepared, and two configurations at
a time with one thread each: on two cores that is faster than one at a time with two threads, because starting a
worker keeps one core busy at most.

``ratio`` is naive over platform in wall-clock. For ``savings`` the platform runs again with one thing switched off
at a time; a saving's share is what that adds to its wall-clock, over all that the platform saves against the naive
program. Shares need not add up to one: savings overlap, and padding hurts more in float32.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune

from benchmarks.naive import METRIC, Machine, NaiveScores, run_naive
from benchmarks.overhead import report_nothing
from search_spaces import load_study_file
from study import cluster, preflight
from study.cli import run_command
from study.config import StudyConfig
from study.experiment_page import Launch
from study.ledger import Ledger, TrialRecord
from study.plan import Plan
from study.search import GainSearch
from study.statistics import mean_interval
from study.tracking import Tracker
from study.tuning import run_trials, trial_in_process
from trainables.corpora import read_corpus
from trainables.errors import StudyStopped
from trainables.prepared import PreparedCorpus, RunSettings, prepare, shared_n_max
from trainables.settings import TrialSettings
from trainables.tokens import TokenisedTexts, tokenise
from trainables.worker import run_in_process, run_locally

SAVINGS = ("stage_tree", "shared_vanilla", "batching", "precision", "warm_processes")
_REFERENCE = {"stage2_learning_rate": (1e-4,), "stage2_epochs": (3.0,)}
_OBJECTIVE = f"val/{METRIC}"


@dataclass(frozen=True)
class Work:
    """What both programs are to do.

    Attributes
    ----------
    config
        The study, with racing and feedback off and one recipe for vanilla.
    prepared
        Its corpus.
    run
        What all trials have in common; ``cache_dir`` is set for each run.
    preparing_s
        Seconds that reading and preparing the corpus took.
    """

    config: StudyConfig
    prepared: PreparedCorpus
    run: RunSettings
    preparing_s: float

    def configurations(self) -> list[TrialSettings]:
        """Return what the search proposes, in order, where it is never told a result."""
        search = GainSearch(self.config)
        proposed = []
        for number in range(self.config.trials):
            settings = search.propose()
            assert settings is not None
            search.opened(str(number), settings)
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
    encoder = preflight.encoder_settings(config)
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
    )
    return Work(config, prepared, run, time.perf_counter() - started)


def run_platform(work: Work, folder: Path, without: str | None = None) -> tuple[float, list[TrialRecord]]:
    """Return the seconds and the search trials of a study, with one of :data:`SAVINGS` switched off.

    Raises
    ------
    RuntimeError
        A trial did not finish.
    """
    config = work.config
    run = replace(work.run, cache_dir=str(folder / "cache"))
    if without == "precision":
        run = replace(run, encoder=replace(run.encoder, precision="float32"))
    prepared = padded_corpus(work.prepared, run) if without == "batching" else work.prepared
    ends: list[float] = []
    started = time.perf_counter()
    cluster.start_here(config)
    try:
        resources = cluster.trial_resources(config, cluster.Connection(False, ""))
        ledger = Ledger(folder / "ledger.jsonl")
        tracker = Tracker(f"sqlite:///{folder / 'mlflow.db'}", launch_of(work), ledger)

        def notify(trial: TrialRecord) -> None:
            tracker.update(trial)
            done = sum(t.state != "running" for t in ledger.of_phase("search"))
            if done == config.trials and plan.stopped is None:  # the controls are no part of the work
                ends.append(time.perf_counter())
                plan.stopped = StudyStopped("The benchmark has what it measures.")

        plan = Plan(config, ledger, GainSearch(config, folder / "optuna.db"), notify)
        trainable = tune.with_parameters(
            _trial,
            prepared=prepared,
            run=run,
            storage=str(folder / "ray"),
            without=without,
            vanilla=work.vanilla(),
        )
        warm = without != "warm_processes"
        run_trials(plan, trainable, resources, folder / "ray", reuse_processes=warm)
        tracker.close()
    finally:
        ray.shutdown()
    trials = ledger.of_phase("search")
    if not ends or any(len(trial.replicates) < config.replicates for trial in trials):
        errors = {trial.error for trial in ledger.trials.values() if trial.error}
        raise RuntimeError(f"trials of the platform failed: {errors or plan.stopped}")
    return ends[0] - started + work.preparing_s, trials


def launch_of(work: Work) -> Launch:
    """Return what MLflow's parent run says of the benchmark."""
    corpus = {"source": "benchmark", "digest": work.prepared.digest, "rows": 0, "groups": 0}
    return Launch(
        study=work.config.name,
        study_id="benchmark",
        preset=work.config.preset,
        encoder=work.config.encoder,
        objective=work.config.objective,
        corpus={**corpus, "classes": {}, "is_sample": False},
    )


def _trial(
    config: dict[str, Any],
    *,
    prepared: PreparedCorpus,
    run: RunSettings,
    storage: str,
    without: str | None,
    vanilla: Mapping[float | str, TrialSettings],
) -> None:
    """Run one job as :func:`study.tuning.trial_in_process` does, with one saving switched off."""
    job = config["job"]
    if without == "shared_vanilla":
        if job.settings.arm == "vanilla":
            run_locally(lambda: report_nothing(job, tune.report), storage)
            return
        own = replace(job, settings=vanilla[job.settings.imbalance_ratio], reference={}, known={})
        run_in_process(own, prepared, run, lambda report: None, storage)
    if without == "stage_tree":
        run = replace(run, cache_dir=tempfile.mkdtemp(dir=storage))
    if without == "batching":
        _pad_what_is_tokenised(run)
    trial_in_process(config, prepared=prepared, run=run, storage=storage)


def padded_corpus(prepared: PreparedCorpus, run: RunSettings) -> PreparedCorpus:
    """Return a corpus whose texts all have the greatest length, as in :func:`padded`."""
    length, pad_id = run.encoder.max_length, _pad_id(run)
    return replace(
        prepared,
        train_tokens=padded(prepared.train_tokens, length, pad_id),
        validation_tokens=padded(prepared.validation_tokens, length, pad_id),
    )


def padded(tokens: TokenisedTexts, length: int, pad_id: int) -> TokenisedTexts:
    """Return texts filled up to ``length`` tokens, so that batches cost what fixed padding costs.

    The padding counts as text, which takes as long as masking it. Scores mean nothing after it.
    """
    ids = np.full((len(tokens), length), pad_id, np.int32)
    ids[np.arange(length) < tokens.lengths[:, None]] = tokens.ids
    return TokenisedTexts(ids.ravel(), np.arange(len(tokens) + 1, dtype=np.int64) * length)


def _pad_what_is_tokenised(run: RunSettings) -> None:
    """Let replicates of this process tokenise stage-1 texts with fixed padding."""
    from trainables import replicate

    pad_id = _pad_id(run)

    def tokenise_padded(texts: Sequence[str], tokenizer: Any, max_length: int) -> TokenisedTexts:
        return padded(tokenise(texts, tokenizer, max_length), max_length, pad_id)

    assert hasattr(replicate, "tokenise")
    replicate.tokenise = tokenise_padded


def _pad_id(run: RunSettings) -> int:
    from trainables.encoder import load_tokenizer

    return int(load_tokenizer(run.encoder).pad_token_id)


def compare_scores(
    trials: Sequence[TrialRecord], configurations: Sequence[TrialSettings], naive: Sequence[NaiveScores]
) -> dict[str, float]:
    """Return the mean macro-F1 of both programs, and their paired difference over configurations.

    Raises
    ------
    RuntimeError
        The platform did not run the same configurations.
    """
    ours = {
        TrialSettings.from_config(trial.config): float(np.mean(list(trial.values(_OBJECTIVE).values())))
        for trial in trials
    }
    if set(ours) != set(configurations):
        raise RuntimeError("the platform and the naive program ran other configurations")
    theirs = [float(np.mean(scores.prefinetune)) for scores in naive]
    paired = [ours[settings] - score for settings, score in zip(configurations, theirs, strict=True)]
    interval = mean_interval(paired)
    undefined = float("nan")
    return {
        "ours": float(np.mean(list(ours.values()))),
        "naive": float(np.mean(theirs)),
        "difference": interval.mean,
        "ci_low": undefined if interval.ci_low is None else interval.ci_low,
        "ci_high": undefined if interval.ci_high is None else interval.ci_high,
    }


def measure(args: argparse.Namespace) -> int:
    """Print the figures as one JSON object."""
    cluster.quieten()
    work = prepare_work(args)
    configurations = work.configurations()
    machine = Machine(args.at_a_time, max(1, ray_cpus() // args.at_a_time))
    seconds: dict[str, float] = {}
    trials: list[TrialRecord] = []
    for without in (None, *args.without):
        with tempfile.TemporaryDirectory() as folder:
            taken, found = run_platform(work, Path(folder), without)
        if without is None:
            ours_s, trials = taken, found
        else:
            seconds[without] = taken
        print(f"platform{f' without {without}' if without else ''}: {taken:.1f} s", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        naive_s, naive = timed_naive(work, configurations, machine, Path(folder))
    figures = {
        "ratio": naive_s / ours_s,
        "savings": {name: (taken - ours_s) / (naive_s - ours_s) for name, taken in seconds.items()},
        "ours_s": ours_s,
        "naive_s": naive_s,
        "without_s": seconds,
        "macro_f1": compare_scores(trials, configurations, naive),
        "configurations": len(configurations),
        "replicates": work.config.replicates,
        "naive_at_a_time": machine.at_a_time,
        "naive_threads": machine.threads,
    }
    print(json.dumps(figures))
    return 0


def timed_naive(
    work: Work, configurations: Sequence[TrialSettings], machine: Machine, folder: Path
) -> tuple[float, list[NaiveScores]]:
    """Return the seconds and the scores of the naive program, the start of Ray included."""
    started = time.perf_counter()
    cluster.start_here(replace(work.config, workers_per_trial=2))  # worker groups need Ray's dashboard
    try:
        scores = run_naive(
            configurations,
            work.vanilla(),
            work.prepared,
            work.run,
            work.config.replicates,
            machine,
            folder,
        )
    finally:
        ray.shutdown()
    return time.perf_counter() - started, scores


def ray_cpus() -> int:
    """Return the processors that Ray will find."""
    import os

    return os.cpu_count() or 1


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study", description=(__doc__ or "").splitlines()[0]
    )
    whole: dict[str, Any] = {"type": int, "metavar": "N"}
    parser.add_argument("--data", default="sample", help="openFDA labels (default: the generated sample)")
    parser.add_argument("--encoder", default="minilm", help="name or folder (default: %(default)s)")
    parser.add_argument("--configurations", default=24, help="default: %(default)s", **whole)
    parser.add_argument("--replicates", default=2, help="of each (default: %(default)s)", **whole)
    parser.add_argument("--rows", default=96, help="training rows (default: %(default)s)", **whole)
    parser.add_argument("--validation-rows", default=100, help="default: %(default)s", **whole)
    parser.add_argument("--max-length", default=64, help="tokens (default: %(default)s)", **whole)
    parser.add_argument("--at-a-time", default=2, help="naive trials at a time (default: %(default)s)", **whole)
    parser.add_argument(
        "--without", nargs="*", choices=SAVINGS, default=SAVINGS, help="savings to measure (default: all)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(measure, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
