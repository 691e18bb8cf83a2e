"""The Ray Train entry: the same trial in this process, or on a group of workers.

The only module of the data plane that knows Ray. A trial goes through replicates and reports after each one;
``report`` hides whether the report goes straight to Tune or through a worker group.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trainables.cpu.memory import give_freed_memory_back
from trainables.cpu.threads import use_threads
from trainables.errors import TrialFailed
from trainables.failure_notes import FailureNotes
from trainables.prepared import CorpusOfReplicates, RunSettings
from trainables.replicate import run_replicate
from trainables.scores import scores_path
from trainables.trial import TrialJob
from trainables.world import World

Report = Callable[[dict[str, Any]], None]
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")

GROUP_RESTARTS = 3
# The first worker may wait this long for another trial that trains the same stage 1; the others then wait for it.
_COLLECTIVE_TIMEOUT_S = 4 * 3600
_VALUES = "values.json"


def run_trial(
    job: TrialJob,
    prepared: CorpusOfReplicates,
    run: RunSettings,
    report: Report,
    world: World,
    reported: Sequence[float] = (),
) -> None:
    """Go through the replicates of a trial and report the running mean of its gain after each one.

    A report holds ``replicates`` (how many are done), ``objective`` (mean gain if a reference is given, otherwise the
    mean metric), ``value`` (the replicate's own objective), ``record`` (of the new replicate, None for a known one)
    and ``failure`` (a message, or None); with a message also ``can_pass``, see :class:`TrialFailed`. A trial that
    diverges reports its failure instead of raising, so that its warm process lives on. Where there are several workers,
    the failing one raises: a report waits for all of them, and the others may be waiting for this one.

    Parameters
    ----------
    job, prepared, run
        The trial, and what all trials share.
    report
        Takes each report.
    world
        The workers that share the trial.
    reported
        The objectives of its first replicates, reported by an earlier group of workers before it was lost; these
        replicates are neither run nor reported again.

    Raises
    ------
    TrialFailed
        A replicate failed on this worker, which is one of several.
    """
    use_threads(job.threads)
    values: list[float] = []
    for done, replicate in enumerate(job.replicates, start=1):
        if done <= len(reported):
            values.append(_gain(reported[done - 1], replicate, job))
            continue
        record = None
        value = job.known.get(replicate)
        if value is None:
            try:
                finished = run_replicate(
                    prepared.of_replicate(replicate),
                    replace(run, test_sets=job.test_sets),
                    job.settings,
                    replicate,
                    world,
                    scores_path(Path(run.scores_dir), job.trial_id, replicate) if job.keeps_scores else None,
                )
            except TrialFailed as error:
                failure = TrialFailed(f"replicate {replicate}: {error}", can_pass=error.can_pass)
                if world.size > 1:
                    raise failure from error
                report(report_of_failure(failure, done - 1))
                return
            finally:
                give_freed_memory_back()
            value = finished.metrics[job.objective]
            record = asdict(finished)
        values.append(_gain(value, replicate, job))
        report(
            {
                "replicates": done,
                "objective": sum(values) / done,
                "value": value,
                "record": record,
                "failure": None,
            }
        )


def report_of_failure(failure: TrialFailed, replicates: int = 0) -> dict[str, Any]:
    """Return the report of a trial that failed after this many replicates."""
    return {
        "replicates": replicates,
        "objective": float("nan"),
        "value": None,
        "record": None,
        "failure": str(failure),
        "can_pass": failure.can_pass,
    }


def _gain(value: float, replicate: int, job: TrialJob) -> float:
    return value - job.reference[replicate] if job.reference else value


def run_as_one_of_several(
    job: TrialJob,
    prepared: CorpusOfReplicates,
    run: RunSettings,
    report: Report,
    world: World,
    reported: Sequence[float],
    notes: FailureNotes,
) -> None:
    """Run a trial as :func:`run_trial` does, or report why it failed the group of workers before this one.

    Raises
    ------
    TrialFailed
        The trial failed on this worker; ``notes`` tell the next group.
    """
    if failure := notes.take():
        report(report_of_failure(failure, len(reported)))
        return
    with notes.kept():
        run_trial(job, prepared, run, report, world, reported)


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
    job: TrialJob, prepared: CorpusOfReplicates, run: RunSettings, report: Report, storage: str
) -> None:
    """Run a trial in this process."""
    run_locally(lambda: run_trial(job, prepared, run, report, World.single()), storage)


@dataclass(frozen=True)
class WorkerGroup:
    """The data-parallel workers of a trial.

    Attributes
    ----------
    workers
        How many.
    resources
        What each of them gets, by name: ``CPU``, and ``GPU`` where it trains on one.
    check
        Called in each of them before it trains; raises where its node cannot take part.
    """

    workers: int
    resources: Mapping[str, float]
    check: Callable[[], None] = lambda: None


def bind_to_address(address: str) -> None:
    """Have the workers of a trial talk through the network interface of an address, unless the user named another.

    By themselves gloo and nccl take the interface of the host's name, which many systems map to 127.x: workers on
    other nodes then wait for this one for ever.
    """
    import psutil

    for interface, addresses in psutil.net_if_addrs().items():
        if address in {found.address for found in addresses}:
            for name in _INTERFACES:
                os.environ.setdefault(name, interface)
            return


def _torch_config() -> Any:
    """Return how Ray Train connects the workers of a group."""
    import ray
    from ray.train.torch import TorchConfig

    class OnNodeAddresses(TorchConfig().backend_cls):  # type: ignore[misc]
        """Binds every worker to the interface of its node's address in Ray before they connect."""

        def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
            worker_group.execute(lambda: bind_to_address(ray.util.get_node_ip_address()))
            super().on_start(worker_group, backend_config)

    class Config(TorchConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> type[OnNodeAddresses]:
            return OnNodeAddresses

    return Config(timeout_s=_COLLECTIVE_TIMEOUT_S)


def run_in_worker_group(
    job: TrialJob,
    prepared_reference: Any,
    run: RunSettings,
    group: WorkerGroup,
    storage: str,
    name: str,
    callbacks: list[Any],
) -> None:
    """Run a trial on a group of data-parallel workers (gloo on CPUs, nccl on GPUs).

    When a worker is lost, Ray Train starts the group anew, up to :data:`GROUP_RESTARTS` times (without limit if the
    node was preempted). The new group takes the values of the replicates reported so far from Ray Train's checkpoint,
    which holds nothing else, and continues the interrupted stage from the stage's own checkpoint.

    When a worker raises because the trial failed, Ray Train ends the group in the same way, whatever the others are
    waiting for. The new group only reports the reason; if no restart is left, the reason is raised here.

    Raises
    ------
    TrialFailed
        The trial failed on its last group of workers.
    """
    import ray
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchTrainer

    failed = Path(storage, name, "failed")

    def loop() -> None:
        group.check()
        world = World.from_distributed()
        reported = _reported_values()
        report = _remembering_report(list(reported), world)
        notes = FailureNotes(failed, world)
        run_as_one_of_several(job, ray.get(prepared_reference), run, report, world, reported, notes)

    trainer = TorchTrainer(
        loop,
        torch_config=_torch_config(),
        scaling_config=ScalingConfig(
            num_workers=group.workers,
            use_gpu=group.resources.get("GPU", 0) > 0,
            resources_per_worker=dict(group.resources),
        ),
        run_config=RunConfig(
            storage_path=storage,
            name=name,
            callbacks=callbacks,
            failure_config=FailureConfig(max_failures=GROUP_RESTARTS),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        failure = FailureNotes(failed, World.single()).take()
        if failure is None:
            raise
        raise failure from error


def _reported_values() -> list[float]:
    """Return the objective of the replicates that an earlier group of this trial reported."""
    from ray.train import get_checkpoint

    checkpoint = get_checkpoint()
    if checkpoint is None:
        return []
    with checkpoint.as_directory() as folder:
        values: list[float] = json.loads(Path(folder, _VALUES).read_text(encoding="utf-8"))
    return values


def _remembering_report(values: list[float], world: World) -> Report:
    """Return a function that reports to Ray Train, together with all values that were reported so far."""
    from ray.train import Checkpoint
    from ray.train import report as train_report

    def report(metrics: dict[str, Any]) -> None:
        if metrics["value"] is not None:
            values.append(metrics["value"])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, _VALUES).write_text(json.dumps(values), encoding="utf-8")
            train_report(metrics, checkpoint=Checkpoint.from_directory(folder) if world.rank == 0 else None)

    return report
