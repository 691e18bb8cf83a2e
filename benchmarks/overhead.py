"""Seconds that an empty trial costs: ours against Tune -> ``TorchTrainer(num_workers=1)``.

Command::

    python -m benchmarks.overhead

Both run empty trials on this machine in one Ray session, ours first. Ours go through everything that a real trial
does (plan, ledger, Optuna, MLflow, Tune, a warm process, Ray Train's local mode) except the training itself;
``untracked_s`` is the same without MLflow. The reference writes to no tracker. Both run ``--at-a-time`` trials side by
side. Start-up, which a study pays once, is left out on both sides: the clock starts at the end of the first trials.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import ray
from ray import tune

from benchmarks.workload import add_empty_trials, launch_of
from study.command.cli import run_command
from study.config.study import StudyConfig
from study.plan.plan import Plan
from study.plan.search import GainSearch
from study.record.ledger import Ledger
from study.run import cluster
from study.run.tuning import report_to_tune, run_trials
from study.tracking.tracker import Tracker
from trainables.trial import TrialJob
from trainables.worker import Report, run_locally

# As many metrics as a trial on five classes reports.
_METRICS = {"val/macro_f1": 0.5, **{f"val/metric_{number}": 0.5 for number in range(22)}}


def report_nothing(job: TrialJob, report: Report) -> None:
    """Report a job's replicates without computing anything."""
    for done, replicate in enumerate(job.replicates, start=1):
        record = {
            "replicate": replicate,
            "metrics": _METRICS,
            "posthoc": _METRICS,
            "seconds": 0.0,
            "diagnostics": {"stage1_steps": 0.0, "stage2_steps": 0.0},
        }
        report({"replicates": done, "objective": 0.0, "record": record, "failure": None})


def _empty_trial(config: dict[str, Any], *, storage: str) -> None:
    run_locally(lambda: report_nothing(config["job"], report_to_tune), storage)


def ours(trials: int, at_a_time: int, folder: Path, tracked: bool) -> float:
    """Return the seconds per trial of an empty study, without the first trial of each process."""
    config = StudyConfig(
        name="overhead",
        preset="smoke",
        corpus="none",
        imbalance_ratios=(0.1,),
        space={"strength": tuple((i + 1) / 1000 for i in range(4 * trials))},
        trials=trials,
        replicates=1,
        concurrency=at_a_time,
        reference_space={"stage2_epochs": (1.0,)},
    )
    resources = cluster.trial_resources(config, cluster.Connection(False, ""))
    folder.mkdir()
    ledger = Ledger(folder / "ledger.jsonl")
    search = GainSearch(config, folder / "optuna.db")
    tracker = Tracker(f"sqlite:///{folder / 'mlflow.db'}", launch_of(config), ledger) if tracked else None
    plan = Plan(config, ledger, search, tracker.update if tracker else lambda trial: None)
    trainable = tune.with_parameters(_empty_trial, storage=str(folder / "ray"))
    run_trials(plan, trainable, resources, folder / "ray")
    ends = sorted(trial.finished for trial in ledger.of_phase("search") if trial.finished is not None)
    warm = ends[resources.concurrency :]
    if tracker is not None:
        tracker.close()
    return (warm[-1] - ends[resources.concurrency - 1]) / len(warm)


def _reference_trial(config: dict[str, Any], *, storage: str) -> None:
    from ray.train import RunConfig, ScalingConfig, report
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    def loop() -> None:
        report({"objective": 0.0})

    TorchTrainer(
        loop,
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(
            storage_path=storage, name=tune.get_context().get_trial_id(), callbacks=[TuneReportCallback()]
        ),
    ).fit()


def reference(trials: int, at_a_time: int, folder: Path) -> float:
    """Return the seconds per empty trial with its own worker group, without the first trials."""
    marks: list[float] = []

    class Marks(tune.Callback):  # type: ignore[misc]
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            marks.append(time.perf_counter())

    tuner = tune.Tuner(
        # The trial itself only waits; if it held a share of a CPU, the last worker could not start.
        tune.with_resources(tune.with_parameters(_reference_trial, storage=str(folder)), {"memory": 2.0**20}),
        tune_config=tune.TuneConfig(num_samples=trials + at_a_time, max_concurrent_trials=at_a_time),
        run_config=tune.RunConfig(name="reference", storage_path=str(folder), verbose=0, callbacks=[Marks()]),
    )
    tuner.fit()
    return (marks[-1] - marks[at_a_time - 1]) / trials


def measure(args: argparse.Namespace) -> int:
    """Print the ratio as one JSON object."""
    config = StudyConfig(name="overhead", preset="smoke", corpus="none", workers_per_trial=2)
    cluster.quieten()
    cluster.start_here(config)
    try:
        # Ray's own warnings go to standard error.
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
            untracked_s = ours(args.trials, args.at_a_time, Path(folder) / "untracked", tracked=False)
            ours_s = ours(args.trials, args.at_a_time, Path(folder) / "tracked", tracked=True)
            reference_s = reference(args.reference_trials, args.at_a_time, Path(folder) / "reference")
    finally:
        ray.shutdown()
    figures = {"ours_s": ours_s, "untracked_s": untracked_s, "reference_s": reference_s}
    print(json.dumps({**figures, "ratio": reference_s / ours_s}))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead", description=__doc__.splitlines()[0]
    )
    add_empty_trials(parser, 50, 4)
    return run_command(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
