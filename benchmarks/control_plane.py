"""What the control plane costs a trial, and whether that grows: thousands of trials whose work is nothing.

Command::

    python -m benchmarks.control_plane [--trials 2000]

The trials go through everything that real ones do: the searcher proposes and learns, trials race over replicates, the
ledger is written, the tracker writes to an MLflow server over HTTP, Tune runs them in warm processes. Only training is
left out: scores are made up. The reference is Ray's own way to the same server, in the same session: Tune with random
proposals and ``MLflowLoggerCallback``, for trials that report as many metrics as often; it proposes nothing by what it
learnt, races nothing, and keeps no ledger.

``seconds_per_trial`` is over all trials but the first ones, in which processes start; ``driver_seconds_per_trial`` is
the part of it in which the driver itself computed, the same on a machine that does other work too. ``parts`` tells
these seconds apart: in the searcher (proposals, what they learn, Optuna's database), in the ledger, in the tracker,
which waits for MLflow, and ``rest``, which is Ray Tune and, of few trials at a time, the wait for them. ``growth`` and
``driver_growth`` are these seconds in the last :data:`_WINDOW` trials over those in the first ones; a hundred trials
are too few for them.
``memory_per_trial_kb`` is what the driver's memory grew by in a trial after the first :data:`_WINDOW` trials, and
``stored_per_trial_kb`` what the ledger, Optuna's database and MLflow's hold for one; ``written_per_replicate_kb`` is
what driver and MLflow server made the disk write for a replicate (a database writes whole pages, some of them often).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
import ray
from ray import tune

from benchmarks.driver_parts import LEDGER, MLFLOW, REST, SEARCHER, WATCHED, DriverParts
from benchmarks.memory import resident_mb
from benchmarks.mlflow_server import LocalServer
from benchmarks.workload import add_empty_trials, launch_of
from study.command.cli import run_command
from study.config.study import StudyConfig
from study.plan.plan import Plan
from study.plan.search import GainSearch
from study.record.ledger import Ledger, TrialRecord
from study.run import cluster
from study.run.tuning import report_to_tune, run_trials
from study.tracking.tracker import Tracker
from trainables.seeds import generator
from trainables.trial import TrialJob
from trainables.worker import Report, run_locally

_WINDOW = 200
# As many metrics as a replicate on five classes has, on validation alone.
_METRICS = ("val/macro_f1", *(f"val/metric_{number}" for number in range(22)))
_REPLICATES = 3


@dataclass(frozen=True)
class Mark:
    """The end of a trial: the clock, the driver's seconds of processor, its memory, the seconds of its parts."""

    at: float
    worked: float
    memory_mb: float
    parts: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(WATCHED, 0.0))


def report_made_up(job: TrialJob, report: Report) -> None:
    """Report a job's replicates with scores that depend on its settings and luck, without computing anything."""
    gains = []
    for done, replicate in enumerate(job.replicates, start=1):
        settings = job.settings
        luck = generator(0, f"luck/{job.trial_id}", replicate).normal(scale=0.03)
        lift = 0.0 if settings.arm == "vanilla" else 0.1 - abs(settings.strength - 0.2)
        score = 0.5 + lift + float(luck)
        metrics = dict.fromkeys(_METRICS, score)
        gains.append(score - job.reference.get(replicate, 0.0))
        record = {
            "replicate": replicate,
            "metrics": metrics,
            "posthoc": metrics,
            "seconds": 0.0,
            "diagnostics": {"stage1_steps": 0.0, "stage2_steps": 0.0},
        }
        report({"replicates": done, "objective": sum(gains) / done, "record": record, "failure": None})


def _trial(config: dict[str, Any], *, storage: str) -> None:
    run_locally(lambda: report_made_up(config["job"], report_to_tune), storage)


def study_of(trials: int, at_a_time: int) -> StudyConfig:
    """Return a study with this many trials in a space that they do not exhaust."""
    return StudyConfig(
        name="control-plane",
        preset="smoke",
        corpus="none",
        imbalance_ratios=(0.1,),
        space={
            "operator": ("aeda", "eda"),
            "strength": tuple(round(0.02 * (i + 1), 2) for i in range(25)),
            "stage1_epochs": (1.0, 2.0, 3.0, 4.0),
            "stage1_learning_rate": (3e-5, 5e-5, 1e-4, 2e-4, 3e-4),
            "stage2_learning_rate": tuple(1e-5 * (i + 1) for i in range(max(5, trials // 200))),
        },
        trials=trials,
        replicates=_REPLICATES,
        concurrency=at_a_time,
        reference_space={"stage2_epochs": (1.0,)},
    )


def run_study(trials: int, at_a_time: int, folder: Path, uri: str) -> tuple[list[Mark], Ledger]:
    """Run a study of empty trials and return the end of each trial of its search, and what was recorded."""
    config = study_of(trials, at_a_time)
    resources = cluster.trial_resources(config, cluster.Connection(False, ""))
    folder.mkdir()
    ledger = Ledger(folder / "ledger.jsonl")
    search = GainSearch(config, folder / "optuna.db")
    tracker = Tracker(uri, launch_of(config), ledger)
    parts = DriverParts()
    parts.watch(SEARCHER, search, "propose", "opened", "tell")
    parts.watch(LEDGER, ledger, "append")
    parts.watch(MLFLOW, tracker, "update")
    marks: list[Mark] = []

    def notify(trial: TrialRecord) -> None:
        tracker.update(trial)
        if trial.phase == "search" and trial.state != "running":
            spent = dict(parts.seconds)
            marks.append(Mark(time.perf_counter(), time.process_time(), resident_mb(), spent))

    plan = Plan(config, ledger, search, notify)
    run_trials(plan, tune.with_parameters(_trial, storage=str(folder / "ray")), resources, folder / "ray")
    tracker.close()
    if plan.stopped is not None or tracker.behind:
        raise RuntimeError(f"the study did not reach its end: {plan.stopped or 'MLflow lacks a part'}")
    return marks, ledger


def figures_of(marks: Sequence[Mark], at_a_time: int) -> dict[str, Any]:
    """Return the figures of a study from the ends of its trials."""
    warm = marks[at_a_time:]
    window = min(_WINDOW, len(warm) // 2)

    def each(part: Sequence[Mark], name: str) -> float:
        return float(getattr(part[-1], name) - getattr(part[0], name)) / (len(part) - 1)

    def parts_of(some: Sequence[Mark]) -> dict[str, float]:
        spent = {name: (some[-1].parts[name] - some[0].parts[name]) / (len(some) - 1) for name in WATCHED}
        return {**spent, REST: each(some, "at") - sum(spent.values())}

    first, last = warm[:window], warm[-window:]
    early, late = parts_of(first), parts_of(last)
    return {
        "seconds_per_trial": each(warm, "at"),
        "driver_seconds_per_trial": each(warm, "worked"),
        "growth": each(last, "at") / each(first, "at"),
        "driver_growth": each(last, "worked") / each(first, "worked"),
        "parts": {
            name: {"seconds_per_trial": seconds, "growth": late[name] / early[name] if early[name] else 1.0}
            for name, seconds in parts_of(warm).items()
        },
        "memory_per_trial_kb": 1000 * each(warm[window - 1 :], "memory_mb"),
    }


def run_reference(trials: int, at_a_time: int, folder: Path, uri: str) -> float:
    """Return the seconds of a trial of Tune with Ray's own MLflow callback, without the first trials."""
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    marks: list[float] = []

    class Marks(tune.Callback):  # type: ignore[misc]
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            marks.append(time.perf_counter())

    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_reference_trial, storage=str(folder)), {"CPU": 1}),
        param_space={"strength": tune.uniform(0.0, 0.5), "stage2_learning_rate": tune.loguniform(1e-5, 1e-3)},
        tune_config=tune.TuneConfig(
            num_samples=trials + at_a_time, max_concurrent_trials=at_a_time, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name="reference",
            storage_path=str(folder),
            verbose=0,
            callbacks=[MLflowLoggerCallback(tracking_uri=uri, experiment_name="reference"), Marks()],
        ),
    )
    tuner.fit()
    return (marks[-1] - marks[at_a_time - 1]) / trials


def _reference_trial(config: Mapping[str, Any], *, storage: str) -> None:
    def loop() -> None:
        for _ in range(_REPLICATES):
            tune.report(dict.fromkeys(_METRICS, 0.5))

    run_locally(loop, storage)


def written_bytes(server: LocalServer) -> int:
    """Return what this process and a running server made the disk write so far; nothing where files lie in memory."""
    assert server.process is not None
    main = psutil.Process(server.process.pid)
    family = [psutil.Process(), main, *main.children(recursive=True)]
    return sum(int(process.io_counters().write_bytes) for process in family)


def measure(args: argparse.Namespace) -> int:
    """Print the figures as one JSON object."""
    # Ray's own warnings go to standard error.
    with tempfile.TemporaryDirectory() as made, redirect_stdout(sys.stderr):
        folder = Path(made)
        cluster.quieten()
        cluster.start_here(study_of(args.trials, args.at_a_time))
        try:
            with LocalServer(folder) as server:
                before = written_bytes(server)
                marks, ledger = run_study(args.trials, args.at_a_time, folder / "study", server.uri)
                written = written_bytes(server) - before
                stored = sum(f.stat().st_size for f in (*folder.glob("study/*.*"), *folder.glob("*.db*")))
                reference_s = run_reference(
                    args.reference_trials, args.at_a_time, folder / "reference", server.uri
                )
        finally:
            ray.shutdown()
    figures = figures_of(marks, args.at_a_time)
    replicates = [len(trial.replicates) for trial in ledger.trials.values()]
    recorded = {
        "trials": len(marks),
        "replicates_per_trial": fmean(replicates),
        "stored_per_trial_kb": stored / 1000 / len(ledger.trials),
        "written_per_replicate_kb": written / 1000 / sum(replicates),
    }
    ratio = reference_s / figures["seconds_per_trial"]
    print(json.dumps({**recorded, **figures, "reference_s": reference_s, "ratio": ratio}))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.control_plane", description=__doc__.splitlines()[0]
    )
    add_empty_trials(parser, 2000, 20)
    return run_command(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
