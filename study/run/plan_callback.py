"""Between a plan and Tune: a searcher that Tune asks for jobs, a callback that it tells of results, and their form."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from study.plan.failures import LOSSES_THAT_FAIL, NEVER_FAILS, Death
from study.plan.plan import Plan
from study.record.folder import unwritable
from study.run.hanging import HANGS_THAT_ARE_RETRIED, Hanging
from study.run.node_watch import NodeWatch
from trainables.errors import StudyStopped, TrialFailed
from trainables.trial import ReplicateRecord, TrialJob

# Of a trial's report: what failed is not the trial, and the study stops.
STOPS = "stops"
# This many times in a row nothing may run, be due or be finished. It should not be so once; Tune would ask for ever.
_ASKED_IN_VAIN = 30


@contextmanager
def kept_from_tune(plan: Plan) -> Iterator[None]:
    """Keep what goes wrong in the plan from Tune, which would blame the trial, or swallow it and wait for ever.

    A folder that cannot be written stops the study. Anything else is a fault of this code, raised by :func:`run_plan`.
    """
    try:
        with unwritable(plan.ledger.path.parent):
            yield
    except StudyStopped as fault:
        plan.stopped = fault
    except Exception as fault:
        plan.fault = fault


def end_if_faulty(plan: Plan) -> None:
    """Leave Tune at once where the plan cannot go on.

    Raises
    ------
    KeyboardInterrupt
        See :meth:`PlanCallback.on_step_end`.
    """
    if plan.fault is not None:
        raise KeyboardInterrupt


def for_tune(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's report as Tune is given it: with the replicate's record as text.

    For every number of every trial Tune keeps a running mean and queues of the last values, 2 kB each: with a hundred
    metrics that would be most of a driver's memory, and half of what a report costs.
    """
    record = report["record"]
    return {**report, "record": None if record is None else json.dumps(record)}


def records_of(result: Mapping[str, Any]) -> list[ReplicateRecord]:
    """Return the record of the replicate that a result of Tune tells of, if it is a new one."""
    return [] if result["record"] is None else [ReplicateRecord(**json.loads(result["record"]))]


class PlanSearcher(Searcher):  # type: ignore[misc]
    """Tune's view of a plan: asks it for jobs and tells it when they end.

    Parameters
    ----------
    plan
        The plan.
    limit
        Returns how many jobs may be under way or wait for resources at this moment.
    """

    def __init__(self, plan: Plan, limit: Callable[[], float] = lambda: math.inf) -> None:
        super().__init__(metric="objective", mode="max")
        self._plan = plan
        self._limit = limit
        self.jobs: dict[str, TrialJob] = {}
        self.failures: dict[str, TrialFailed] = {}
        # By a node that cannot take part, or with results that could not be recorded.
        self.given_back: set[str] = set()
        self._at_most: float = math.inf
        self._in_vain = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next job as a Tune configuration, None to wait, or ``Searcher.FINISHED``."""
        job = None
        if len(self.jobs) >= min(self._limit(), self._at_most):
            return None
        with kept_from_tune(self._plan):
            job = self._plan.next_job()
            self._in_vain = 0 if job or self.jobs or self._plan.finished else self._in_vain + 1
            if self._in_vain >= _ASKED_IN_VAIN:
                raise RuntimeError("nothing runs and nothing is due, but the plan is not finished")
        end_if_faulty(self._plan)  # Tune may ask for minutes without a step
        if job is None:
            return str(Searcher.FINISHED) if self._plan.finished else None
        self.jobs[trial_id] = job
        return {"job": job}

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Keep Tune's limit here: its own would still count what it ends without telling anybody."""
        self._at_most = max_concurrent
        return True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the plan that a job ended; Tune's own errors come through :class:`PlanCallback`."""
        if error:
            return
        with kept_from_tune(self._plan):
            job, failure = self.jobs.pop(trial_id), self.failures.pop(trial_id, None)
            if trial_id in self.given_back:
                self._plan.on_lost(job, Death(str(failure), NEVER_FAILS))
            else:
                self._plan.on_end(job, failure)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Do nothing: Tune leaves out a trial's last result here, while :class:`PlanCallback` gets them all."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles what it is given, but the ledger is the state."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the ledger is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the ledger is the state."""


class PlanCallback(tune.Callback):  # type: ignore[misc]
    """Pass every result, and every error of a trial's process, to the plan; replace processes that hang.

    Parameters
    ----------
    plan, searcher
        The plan, and Tune's view of it.
    tick
        Called after each of Tune's steps.
    hanging
        Which trials hang; None where none is looked for.
    nodes
        Is told of processes that died; None where no cluster was joined.
    """

    def __init__(
        self,
        plan: Plan,
        searcher: PlanSearcher,
        tick: Callable[[], None],
        hanging: Hanging | None = None,
        nodes: NodeWatch | None = None,
    ) -> None:
        self._plan = plan
        self._nodes = nodes
        self._searcher = searcher
        self._tick = tick
        self._hanging = hanging or Hanging(math.inf, plan.ledger)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, as the searcher does."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Let the progress view update itself, or end the run.

        A KeyboardInterrupt leaves Tune no time to end every trial in order, which takes seconds and needs a cluster
        that answers; a driver that leaves takes its trials along in any case.
        """
        end_if_faulty(self._plan)
        # Tune tells nobody of a trial whose warm process did not let go of the one before.
        live = self._searcher.jobs
        for trial in [t for t in trials if t.trial_id in live and t.status == Trial.ERROR]:
            self.on_trial_error(iteration, trials, trial)
        for trial in self._hanging.overdue():
            process = trial.temporary_state.ray_actor
            if process is not None:  # Ray tells Tune of its end, and Tune calls on_trial_error
                ray.kill(process)
        self._tick()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Begin to wait for the trial's first replicate: it has a process now."""
        self._hanging.began(trial)
        if self._nodes is not None:
            self._nodes.began(trial.trial_id, trial.temporary_state.ray_actor)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Wait for the trial no longer."""
        self._hanging.ended(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Record a finished replicate, or a failure that the trial reported itself."""
        self._hanging.began(trial)  # with the next one
        recorded = False
        with kept_from_tune(self._plan):
            for record in records_of(result):
                self._plan.on_replicate(self._searcher.jobs[trial.trial_id], record)
            if result["failure"] is not None:
                self._searcher.failures[trial.trial_id] = self._failure(trial, result)
            if result.get(STOPS):
                self._plan.stopped = self._plan.stopped or StudyStopped(str(result["failure"]))
            recorded = not result.get(STOPS)
        if not recorded:
            self._searcher.given_back.add(trial.trial_id)

    def _failure(self, trial: Any, result: dict[str, Any]) -> TrialFailed:
        """Keep the whole traceback, if there is one, beside the ledger, and name the file in the message."""
        message, can_pass = str(result["failure"]), bool(result["can_pass"])
        if "traceback" not in result or result.get(STOPS):
            return TrialFailed(message, can_pass=can_pass)
        path = (
            self._plan.ledger.path.parent / "failures" / f"{self._searcher.jobs[trial.trial_id].trial_id}.txt"
        )
        path.parent.mkdir(exist_ok=True)
        path.write_text(result["traceback"], encoding="utf-8")
        return TrialFailed(f"{message} (traceback: {path})", can_pass=can_pass)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Give a job whose process died (a lost node, no memory left, it hung) back to the plan."""
        hung = self._hanging.ended(trial)
        error = trial.get_error()
        last_line = str(error).strip().splitlines()[-1] if error is not None else "no message"
        failure = self._searcher.failures.pop(trial.trial_id, None)
        job = self._searcher.jobs.pop(trial.trial_id, None)
        if job is None:
            return  # its end was told before its process died
        given_back = trial.trial_id in self._searcher.given_back
        with kept_from_tune(self._plan):
            if failure is not None and not given_back:
                self._plan.on_end(job, failure)  # it had said so before its process died
                return
            node, gone = "", frozenset[str]()
            if self._nodes is not None:
                node, gone = self._nodes.process_died(trial.trial_id, job.trial_id), self._nodes.gone()
            message, at_most = (
                (last_line, LOSSES_THAT_FAIL) if hung is None else (hung, HANGS_THAT_ARE_RETRIED)
            )
            self._plan.on_lost(job, Death(message, NEVER_FAILS if given_back else at_most, node, gone))
