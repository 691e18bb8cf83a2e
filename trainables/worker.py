"""The Ray Train entry: the same trial in the process at hand, or on a group of workers.

The only module of the data plane that knows Ray. A trial goes through replicates and reports after each one;
``report`` hides whether the report goes straight to Tune or through a worker group.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from trainables.errors import TrialFailed
from trainables.memory import give_freed_memory_back
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import run_replicate
from trainables.settings import TrialSettings
from trainables.world import World

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TrialJob:
    """One trial as the driver hands it out.

    Attributes
    ----------
    settings
        The configuration.
    replicates
        Replicate indices in the order in which they are run.
    objective
        Metric whose gain is reported, e.g. ``val/macro_f1``.
    reference
        The objective of the reference vanilla per replicate; empty where there is none to compare with.
    known
        The objective of replicates that an earlier launch finished; they are not run again.
    threads
        Processor threads of one worker.
    """

    settings: TrialSettings
    replicates: tuple[int, ...]
    objective: str
    reference: Mapping[int, float]
    known: Mapping[int, float]
    threads: int


def run_trial(
    job: TrialJob, prepared: PreparedCorpus, run: RunSettings, report: Report, world: World
) -> None:
    """Go through the replicates of a trial and report the running mean of its gain after each one.

    A report holds ``replicates`` (how many are done), ``objective`` (mean gain where a reference is given, the
    mean metric else), ``outcome`` (the new replicate, None for a known one) and ``failure`` (a message, or
    None). A trial that diverges reports its failure instead of raising, so that its warm process lives on.
    """
    torch.set_num_threads(job.threads)
    values: list[float] = []
    for done, replicate in enumerate(job.replicates, start=1):
        outcome = None
        value = job.known.get(replicate)
        if value is None:
            try:
                finished = run_replicate(prepared, run, job.settings, replicate, world)
            except TrialFailed as error:
                message = f"replicate {replicate}: {error}"
                report(
                    {"replicates": done - 1, "objective": float("nan"), "outcome": None, "failure": message}
                )
                return
            finally:
                give_freed_memory_back()
            value = finished.metrics[job.objective]
            outcome = asdict(finished)
        values.append(value - job.reference[replicate] if job.reference else value)
        report(
            {
                "replicates": done,
                "objective": sum(values) / done,
                "outcome": outcome,
                "failure": None,
            }
        )


def run_locally(loop: Callable[[], None], storage: str) -> None:
    """Run a training loop in this process, through Ray Train's local mode."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    TorchTrainer(
        loop,
        scaling_config=ScalingConfig(num_workers=0),
        run_config=RunConfig(storage_path=storage, name="train"),
    ).fit()


def run_in_process(
    job: TrialJob, prepared: PreparedCorpus, run: RunSettings, report: Report, storage: str
) -> None:
    """Run a trial in this process."""
    run_locally(lambda: run_trial(job, prepared, run, report, World.single()), storage)


def run_in_worker_group(
    job: TrialJob,
    prepared_reference: Any,
    run: RunSettings,
    workers: int,
    resources_per_worker: Mapping[str, float],
    use_gpu: bool,
    storage: str,
    name: str,
    callbacks: list[Any],
) -> None:
    """Run a trial on ``workers`` data-parallel workers (gloo on CPUs, nccl on GPUs)."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train import report as train_report
    from ray.train.torch import TorchTrainer

    def loop() -> None:
        with contextlib.suppress(KeyError):
            os.environ.pop("OMP_NUM_THREADS")  # Ray sets it to 1; run_trial sets the trial's own number
        run_trial(job, ray.get(prepared_reference), run, train_report, World.from_distributed())

    TorchTrainer(
        loop,
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=use_gpu, resources_per_worker=dict(resources_per_worker)
        ),
        run_config=RunConfig(storage_path=storage, name=name, callbacks=callbacks),
    ).fit()
