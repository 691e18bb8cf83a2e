"""Whether trials wait in vain: for nodes that a cluster does not have and that nothing will start."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from study.record.ledger import Ledger
from study.run.capacity import Capacity, shown
from study.run.cluster import TrialResources
from trainables.errors import StudyStopped

_EVERY_S = 10.0
_IN_VAIN_S = 60.0
_SAY_AGAIN_S = 300.0
# Where the autoscaler of a cluster leaves its report (version 1; version 2 has a place of its own).
_STATUS_KEY = "__autoscaling_status"


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
    ) -> None:
        self._resources = resources
        self._ledger = ledger
        self._say = say
        self._nodes = nodes
        self._autoscaler = autoscaler
        self.reason = ""
        self._replicates = -1
        self._since: float | None = None
        self._looked = self._said = float("-inf")

    def check(self) -> None:
        """Look at the cluster from time to time.

        Raises
        ------
        StudyStopped
            For a minute no node has been large enough for a trial, and nothing can start one that is.
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
        self._since = self._since or now
        asked = (
            f"a trial asks for {self._resources.workers} x ({shown(self._resources.of_worker())}), and "
            f"{_offer(nodes)}"
        )
        self.reason = f"waiting for nodes: {asked}"
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
            self._say(f"No trial can run yet: {asked}. Waiting until the cluster has started such nodes.")


def _offer(nodes: Sequence[Mapping[str, float]]) -> str:
    processors = [{name: node.get(name, 0) for name in ("CPU", "GPU")} for node in nodes]
    kinds = dict.fromkeys(shown(node) for node in processors)
    offered = "; ".join(
        f"{n} x ({kind})" for kind in kinds for n in [sum(shown(node) == kind for node in processors)]
    )
    return f"the nodes offer {offered}" if nodes else "there is no node"


def waiting_on(
    resources: TrialResources, ledger: Ledger, say: Callable[[str], None], capacity: Capacity
) -> Waiting:
    """Return the watch over a joined cluster."""

    def may_start(needed: Mapping[str, float]) -> bool:
        # What it may start was looked at before the study began.
        return capacity.autoscaler is not None and (capacity.is_known or may_be_started(needed))

    return Waiting(resources, ledger, say, capacity.nodes, may_start)


def may_be_started(needed: Mapping[str, float]) -> bool:
    """Return whether the connected cluster has an autoscaler that may start a node with these resources."""
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply
    from ray.experimental.internal_kv import _internal_kv_get

    reply = GetClusterStatusReply()
    reply.ParseFromString(GcsClient(ray.get_runtime_context().gcs_address).get_cluster_status(timeout_s=10))
    scaling = reply.autoscaling_state
    if scaling.autoscaler_state_version:
        refused = [dict(request.resources_bundle) for request in scaling.infeasible_resource_requests]
        for gang in scaling.infeasible_gang_resource_requests:
            refused += [
                dict(request.resources_bundle)
                for bundle in gang.bundle_selectors
                for request in bundle.resource_requests
            ]
        return not any(needed.items() <= request.items() for request in refused)
    return starts_nodes(json.loads(_internal_kv_get(_STATUS_KEY) or b"{}"))


def starts_nodes(status: Mapping[str, Any]) -> bool:
    """Return whether the report of an autoscaler's first version is of one that starts nodes.

    A cluster whose nodes were started by hand has a reporter only, which calls every node a type of its own.
    """
    types = status.get("autoscaler_report", {}).get("node_type_mapping") or {}
    return any(kind != f"node_{node}" for node, kind in types.items())
