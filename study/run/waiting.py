"""Whether trials wait in vain: for nodes that a cluster does not have and that nothing will start, or can start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from study.record.ledger import Ledger
from study.run.autoscaler_report import Launches, launches_since, may_be_started
from study.run.capacity import Capacity, offer, shown
from study.run.cluster import TrialResources
from trainables.errors import StudyStopped

_EVERY_S = 10.0
_IN_VAIN_S = 60.0
_SAY_AGAIN_S = 300.0
_REFUSED_S = 900.0  # an autoscaler tries again every few seconds


class Waiting:
    """Stop a study on a cluster on which no trial can ever run.

    Parameters
    ----------
    resources
        What a trial asks for.
    ledger
        The study's ledger; as long as replicates arrive, trials do run.
    say
        Called with a line while nodes are awaited that an autoscaler may start.
    nodes
        Returns the resources of every node that is alive.
    autoscaler
        Returns whether an autoscaler may start a node for such a trial.
    launches
        Returns what became of the nodes that it tried to start since a moment of :func:`time.time`.

    Attributes
    ----------
    reason
        Why trials wait, for a line on the study's progress; empty where they do not.
    """

    def __init__(
        self,
        resources: TrialResources,
        ledger: Ledger,
        say: Callable[[str], None],
        nodes: Callable[[], Sequence[Mapping[str, float]]],
        autoscaler: Callable[[Mapping[str, float]], bool],
        launches: Callable[[float], Launches] = lambda began: Launches(),
    ) -> None:
        self._resources = resources
        self._ledger = ledger
        self._say = say
        self._nodes = nodes
        self._autoscaler = autoscaler
        self._launches = launches
        self.reason = ""
        self._replicates = -1
        self._since: float | None = None
        self._began = self._refused_since = 0.0
        self._looked = self._said = float("-inf")

    def check(self) -> None:
        """Look at the cluster from time to time.

        Raises
        ------
        StudyStopped
            For a minute no node has been large enough for a trial, and nothing can start one that is; or what starts
            nodes has been refused every one for a quarter of an hour.
        """
        now = time.monotonic()
        if now - self._looked < _EVERY_S:
            return
        self._looked = now
        done = sum(len(trial.replicates) for trial in self._ledger.trials.values())
        arrived, self._replicates = done > self._replicates >= 0, done
        nodes = [] if arrived else self._nodes()
        if arrived or self._resources.demand.slots(nodes):
            self._since, self.reason = None, ""
            return
        if self._since is None:
            self._since = self._refused_since = now
            self._began = time.time()
        asked = (
            f"a trial asks for {self._resources.workers} x ({shown(self._resources.of_worker())}), and "
            f"{offer(nodes)}"
        )
        self.reason = f"waiting for nodes: {asked}"
        launches = self._launches(self._began)
        if launches.refused:
            self.reason += f"; the last launch of a node failed with: {launches.refused}"
        if launches.coming or not launches.refused:
            self._refused_since = now
        if now - self._refused_since >= _REFUSED_S:
            raise StudyStopped(
                f"No trial can run on this cluster: {asked}. For {_REFUSED_S / 60:.0f} minutes its autoscaler has "
                f"started no node; the last launch failed with: {launches.refused}. monitor.log on the head, in "
                "/tmp/ray/session_latest/logs, holds the provider's own words (a quota, an image, no machine to be "
                "had). Repair that, and give the same command again: what was recorded is kept."
            )
        if now - self._since < _IN_VAIN_S:
            return
        if not self._autoscaler(self._resources.of_worker()):
            raise StudyStopped(
                f"No trial can run on this cluster: {asked}. No autoscaler can start a node that is large enough. Add "
                "nodes, or lower what a trial asks for with --set cpus_per_trial, --set gpus_per_trial (0 trains on "
                "CPUs) or --workers-per-trial, and give the same command again: what was recorded is kept."
            )
        if now - self._said >= _SAY_AGAIN_S:
            self._said = now
            refused = f" Its last launch failed with: {launches.refused}." if launches.refused else ""
            self._say(
                f"No trial can run yet: {asked}. Waiting until the cluster has started such nodes.{refused}"
            )


def waiting_on(
    resources: TrialResources, ledger: Ledger, say: Callable[[str], None], capacity: Capacity
) -> Waiting:
    """Return the watch over a joined cluster."""

    def may_start(needed: Mapping[str, float]) -> bool:
        if capacity.autoscaler is None:
            return False
        if capacity.autoscaler.types is not None:
            return True  # what it may start was looked at before the study began
        return not capacity.is_full and may_be_started(needed)

    def launches(began: float) -> Launches:
        return launches_since(began) if capacity.autoscaler is not None else Launches()

    return Waiting(resources, ledger, say, capacity.nodes, may_start, launches)
