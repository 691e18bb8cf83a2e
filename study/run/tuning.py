"""Run a plan with Ray Tune: one Tuner, warm trial processes that are reused, jobs as they become due.

All phases go through one Tune run, so that one process, with torch imported and the encoder loaded, serves the
reference vanilla, the search and the controls.
"""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol

import ray
import torch
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError

from study.plan.plan import Plan
from study.run.capacity import Capacity, TrialLimit
from study.run.causes import can_pass, last_cause
from study.run.cluster import TrialResources
from study.run.gpu import no_gpu
from study.run.hanging import Hanging
from study.run.node_watch import NodeWatch
from study.run.nodes import NodeCheck
from study.run.plan_callback import STOPS, PlanCallback, PlanSearcher, for_tune, records_of
from study.run.racing import RatioRacing
from study.run.ray_watch import RayWatch, needed_processes
from study.run.signals import ENDING_SIGNALS
from study.run.waiting import waiting_on
from trainables.errors import StudyError, StudyStopped, TrialFailed, first_line
from trainables.prepared import CorpusOfReplicates, RunSettings
from trainables.trial import TrialJob
from trainables.worker import WorkerGroup, report_of_failure, run_in_process, run_in_worker_group

_NO_LIMIT = 100_000  # trials at a time, where the searcher keeps the limit
# A trial that was raced out has this long to let go of its warm process. Tune's two seconds are short where a machine
# is busy: the next trial there would end before it began.
_LETS_GO_WITHIN_S = "60"


class WarmRacing(RatioRacing):
    """The races of a study; as a scheduler it also makes Tune keep idle processes warm.

    By default Tune keeps at most one idle process, so that at the end of a phase every other slot would lose its
    process, which takes 5-8 s to start again. This is done in a scheduler because Tune passes its controller to
    schedulers. If a later Tune has no such cache, processes are simply started anew.

    Parameters
    ----------
    plan
        The plan.
    processes
        Number of idle processes to keep: as many as trials may run at a time.
    """

    def __init__(self, plan: Plan, processes: int) -> None:
        def trains_too_long(job: TrialJob, result: Mapping[str, Any]) -> bool:
            # Tune asks its scheduler before it tells the plan of the replicate.
            return plan.config.max_seconds_per_trial is not None and plan.trains_too_long(
                job, *records_of(result)
            )

        super().__init__(plan.config, trains_too_long)
        self._processes = processes
        self._told = False

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Raise the limit of Tune's cache of idle processes at the first trial."""
        cache = getattr(getattr(tune_controller, "_tune_controller", None), "_actor_cache", None)
        if cache is not None and not self._told:
            cache.increase_max(trial.placement_group_factory, self._processes)
            self._told = True
        super().on_trial_add(tune_controller, trial)


@dataclass(frozen=True)
class Execution:
    """How a plan's trials are run.

    Attributes
    ----------
    resources
        Resources of one trial, and how many trials run at a time.
    work_dir
        Folder for Ray's own files.
    run
        Settings that all trials share.
    capacity
        What the cluster has and may have that this launch joined; None where Ray was started here.
    replicate_s
        Seconds that a replicate is estimated to take, on average over the study; None where only a machine was timed
        that runs no trials.
    nodes
        What the nodes of a joined cluster are checked by before trials begin on them.
    at_most
        The study's own limit on how many trials run at a time there.
    """

    resources: TrialResources
    work_dir: Path
    run: RunSettings
    capacity: Capacity | None = None
    replicate_s: float | None = 0.0
    nodes: NodeCheck | None = None
    at_most: int | None = None

    def check_node(self) -> None:
        """Check the node of this process, of which a Ray that was started here has none, and that its GPU is there.

        Raises
        ------
        StudyStopped
            The node cannot take part.
        """
        if self.nodes is not None:
            self.nodes.here()
        if self.resources.gpus and not torch.cuda.is_available():
            # It would train on the processor, and be recorded as trained on a GPU.
            raise StudyStopped(f"{no_gpu(socket.gethostname())} Then give the same command again.")


class LastWords(Protocol):
    """What a driver says and does where it cannot go on."""

    @property
    def say(self) -> Callable[[str], None]:
        """Tell the user a line."""

    def at_once(self, failure: StudyStopped | None) -> NoReturn:
        """Close what is open and end the process, in a thread beside the one that hangs."""


def run_plan(
    plan: Plan,
    prepared: CorpusOfReplicates,
    execution: Execution,
    tick: Callable[..., None],
    last_words: LastWords,
) -> None:
    """Run everything that a plan owes.

    Parameters
    ----------
    plan, prepared, execution
        What is owed, the texts, and how trials are run.
    tick
        Called after each of Tune's steps, on a joined cluster with why trials wait for nodes, or an empty text.
    last_words
        What is said and done where this process cannot go on.

    Raises
    ------
    StudyStopped
        The plan stopped, Ray was lost, or no trial can run.
    KeyboardInterrupt
        Ctrl-C or another signal; the ledger holds what was done, so the same command resumes.
    """
    resources = execution.resources
    trainable: Callable[..., None]
    if resources.workers == 1:
        trainable = tune.with_parameters(
            partial(
                trial_in_process,
                run=execution.run,
                storage=str(execution.work_dir),
                check=execution.check_node,
            ),
            prepared=prepared,
        )
    else:
        trainable = partial(
            _trial_in_worker_group,
            prepared_reference=ray.put(prepared),
            execution=execution,
        )
    capacity = execution.capacity
    watch = RayWatch(needed_processes(joined=capacity is not None), last_words.at_once)
    checks = [watch.check, ENDING_SIGNALS.check]
    limit = nodes = None
    if capacity is None:
        checks.insert(0, tick)
    else:
        waiting = waiting_on(resources, plan.ledger, last_words.say, capacity)
        nodes = NodeWatch(ray.nodes, last_words.say, groups=resources.workers > 1)
        checks[:0] = [waiting.check, nodes.check, lambda: tick(waiting.reason)]
        limit = TrialLimit(capacity, resources.demand, execution.at_most)

    def after_step() -> None:
        for check in checks:
            check()

    try:
        with watch:
            hanging = Hanging(execution.replicate_s, plan.ledger, budget_s=plan.config.budget_s)
            run_trials(
                plan,
                trainable,
                resources,
                execution.work_dir,
                after_step,
                hanging=hanging,
                limit=limit,
                nodes=nodes,
            )
        if nodes is not None:
            nodes.end()
    except (KeyboardInterrupt, RayError, TuneError) as error:
        # Whatever Ray says after a signal, or while one of its processes is lost, is about that.
        ENDING_SIGNALS.check()
        if plan.fault is not None:
            raise plan.fault from None
        lost = watch.stopped or watch.loss_behind(error)
        if lost is None:
            raise
        raise lost from None
    if plan.stopped is not None:
        raise plan.stopped
    if not plan.complete:  # Tune takes SIGUSR1 for itself and returns
        raise KeyboardInterrupt


def run_trials(
    plan: Plan,
    trainable: Callable[..., None],
    resources: TrialResources,
    work_dir: Path,
    tick: Callable[[], None] = lambda: None,
    *,
    hanging: Hanging | None = None,
    limit: TrialLimit | None = None,
    nodes: NodeWatch | None = None,
    reuse_processes: bool = True,
) -> None:
    """Hand the plan's jobs to Tune until none is left.

    Parameters
    ----------
    plan
        What is to be done.
    trainable
        A Tune function that runs one job.
    resources
        Resources of one trial.
    work_dir
        Folder for Ray's own files.
    tick
        Called after each of Tune's steps.
    hanging
        Which trials hang; None where none is looked for.
    limit
        How many trials run at a time where that follows the cluster; None: as many as the resources say.
    nodes
        Is told of processes that died; None where no cluster was joined.
    reuse_processes
        Whether trials with one worker share warm processes; :mod:`benchmarks.study` measures what that saves.
    """
    searcher = PlanSearcher(plan) if limit is None else PlanSearcher(plan, limit)
    reuse = reuse_processes and resources.workers == 1
    racing = WarmRacing(plan, resources.concurrency if reuse else 0)
    racing.replay(plan.ledger, plan.config.objective)
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources.of_trial_process()),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=racing,
            num_samples=-1,
            reuse_actors=reuse,
            # Tune also takes it for how many trials may wait for resources, which an autoscaler starts nodes for.
            max_concurrent_trials=resources.concurrency if limit is None else _NO_LIMIT,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(work_dir),
            verbose=0,
            callbacks=[PlanCallback(plan, searcher, tick, hanging, nodes)],
        ),
    )
    # What Tune complains of (processes that died, a disk on which it cannot keep its own state) reaches the plan or
    # ends the run, and is told there.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    with ENDING_SIGNALS.held():
        tuner.fit()


def _name(trial: Any) -> str:
    return f"{trial.config['job'].phase}-{trial.trial_id}"


def report_to_tune(report: Mapping[str, Any]) -> None:
    """Hand a trial's report to Tune."""
    tune.report(for_tune(report))


def trial_in_process(
    config: dict[str, Any],
    *,
    prepared: CorpusOfReplicates,
    run: RunSettings,
    storage: str,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Run one job in this process, whose node is checked first: the Tune function of trials with one worker."""
    job = config["job"]
    os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", _LETS_GO_WITHIN_S)
    try:
        check()
        run_in_process(job, prepared, run, report_to_tune, storage)
    except Exception as error:
        _report_failure(error)


def _trial_in_worker_group(config: dict[str, Any], *, prepared_reference: Any, execution: Execution) -> None:
    from ray.tune.integration.ray_train import TuneReportCallback

    class Report(TuneReportCallback):  # type: ignore[misc]
        def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
            super().after_report(run_context, [*map(for_tune, metrics)], checkpoint)

    resources = execution.resources
    try:
        run_in_worker_group(
            config["job"],
            prepared_reference,
            execution.run,
            WorkerGroup(resources.workers, resources.of_worker(), execution.check_node),
            str(execution.work_dir),
            f"train-{tune.get_context().get_trial_id()}",
            [Report()],
        )
    except Exception as error:
        _report_failure(error)


def _report_failure(error: Exception) -> None:
    """Report a failure instead of raising: a trial that raises loses its warm process, and would be retried.

    A trial that failed on a group of workers keeps its own error message. What stops the study is not the trial's.
    """
    cause = last_cause(error)
    ours = isinstance(cause, StudyError)
    message = str(cause) if ours else f"{type(cause).__name__}: {first_line(cause)}"
    failure = TrialFailed(message, can_pass=can_pass(error))
    trace = "".join(traceback.format_exception(error))
    stops = isinstance(cause, StudyStopped)
    report_to_tune({**report_of_failure(failure), "traceback": trace, STOPS: stops})
