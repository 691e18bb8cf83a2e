"""When failures count: a trial whose process dies again and again, and trials that all fail of one cause."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from typing import NamedTuple

from study.record.ledger import TrialRecord
from trainables.errors import StudyStopped, TrialFailed

# A job's process may die this many times without a replicate in between; at the next death its trial has failed.
LOSSES_THAT_FAIL = 2
# What a lost node takes with it is not the trial's, unless the trial is what brings its nodes down.
NODES_THAT_FAIL = 10
NEVER_FAILS = sys.maxsize
# This many trials that fail one after another of the same cause, with no replicate in between, stop the study.
SAME_FAULTS_THAT_STOP = 5
_OF_THIS_TRIAL = re.compile(r"^replicate \d+: |\(traceback: .*\)$|\d+(\.\d+)?(e[+-]?\d+)?")


class Death(NamedTuple):
    """How the process of a trial died.

    Attributes
    ----------
    message
        What is known of it.
    at_most
        How often it may happen on nodes that stay.
    node
        Where the process was; empty where that is not known.
    gone
        The nodes that the cluster has lost by now.
    """

    message: str
    at_most: int = LOSSES_THAT_FAIL
    node: str = ""
    gone: Collection[str] = ()


class Losses:
    """Count how often the process of each job died since its last replicate.

    A job is named by its trial and its last replicate. Several of a trial may run at a time, and one machine that goes
    takes all of them with it.
    """

    def __init__(self) -> None:
        self._of: dict[tuple[str, int], list[str]] = {}

    def forget(self, job: tuple[str, int]) -> None:
        """Note that a replicate of a job ended well."""
        self._of.pop(job, None)

    def failure(self, job: tuple[str, int], death: Death) -> TrialFailed | None:
        """Note that a job's process died; return its trial's failure if that happened more often than it may.

        A node may be counted as alive for a while after it has taken its processes with it, so earlier deaths are
        looked at again.
        """
        nodes = self._of.setdefault(job, [])
        nodes.append(death.node)
        with_node = sum(node in death.gone for node in nodes)
        if len(nodes) - with_node <= death.at_most and with_node <= NODES_THAT_FAIL:
            return None
        of_nodes = f", {with_node} of them with its node" if with_node else ""
        lost = f"its process died {len(nodes)} times{of_nodes}, most recently with: {death.message}"
        return TrialFailed(lost, can_pass=True)


class SameFault:
    """Notice that trials fail one after another of the same cause, which then is hardly the trials'."""

    def __init__(self) -> None:
        self._cause = ""
        self._phases: dict[str, str] = {}  # of the trials that failed of it

    def is_over(self) -> None:
        """Note that a replicate ended well."""
        self._phases = {}

    def stops(self, trial: TrialRecord, failure: TrialFailed) -> StudyStopped | None:
        """Note that a trial failed; return what the study is stopped with if too many did so of the same cause.

        The search of a single control ends without stopping the study, so trials of such searches alone do not stop it.
        """
        cause = _OF_THIS_TRIAL.sub("", str(failure)).strip()
        if cause != self._cause:
            self._cause, self._phases = cause, {}
        self._phases[trial.trial_id] = trial.phase
        if len(self._phases) < SAME_FAULTS_THAT_STOP or {*self._phases.values()} == {"control_search"}:
            return None
        again = "retries what failed" if failure.can_pass else "goes on with the trials that are left"
        return StudyStopped(
            f"{len(self._phases)} trials failed one after another of the same cause, the last one with: {failure}. "
            f"Fix the cause and give the same command again: it {again}."
        )
