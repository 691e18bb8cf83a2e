"""What a cluster's autoscaler reports: which requests it cannot meet, which nodes it starts, and what was refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

# Where the autoscaler of a cluster leaves its report (version 1; version 2 has a place of its own).
_STATUS_KEY = "__autoscaling_status"
_ASK_S = 10
_MOST_LETTERS = 240


class Launches(NamedTuple):
    """What became of the nodes that an autoscaler tried to start.

    Attributes
    ----------
    refused
        What its last attempt failed with; empty where none did.
    coming
        Whether a node was started and has not joined yet. What was merely asked for is none.
    """

    refused: str = ""
    coming: bool = False


def may_be_started(needed: Mapping[str, float]) -> bool:
    """Return whether the connected cluster has an autoscaler that may start a node with these resources."""
    scaling = _second_version()
    if scaling is None:
        return starts_nodes(_first_version())
    refused = [dict(request.resources_bundle) for request in scaling.infeasible_resource_requests]
    for gang in scaling.infeasible_gang_resource_requests:
        refused += [
            dict(request.resources_bundle)
            for bundle in gang.bundle_selectors
            for request in bundle.resource_requests
        ]
    return not any(needed.items() <= request.items() for request in refused)


def launches_since(began: float) -> Launches:
    """Return what became of the launches on the connected cluster that failed since a moment.

    Parameters
    ----------
    began
        The moment, as :func:`time.time` tells it.
    """
    from ray.exceptions import RpcError

    try:
        scaling = _second_version()
        if scaling is not None:
            return launches_of_second(scaling, began)
        return launches_of_first(_first_version(), began)
    except RpcError:  # a head that has no time, or that is lost, which is noticed elsewhere
        return Launches()


def launches_of_second(scaling: Any, began: float) -> Launches:
    """Return what the report of an autoscaler's second version (``AutoscalingState``) says of launches."""
    failed = [request for request in scaling.failed_instance_requests if request.failed_ts >= began]
    last = max(failed, key=lambda request: request.failed_ts, default=None)
    if last is None:
        return Launches("", bool(scaling.pending_instances))
    reason = last.reason.strip().removeprefix("launch failed with ").rstrip(": ")
    return Launches(_short(last.ray_node_type_name, reason), bool(scaling.pending_instances))


def launches_of_first(status: Mapping[str, Any], began: float) -> Launches:
    """Return what the report of an autoscaler's first version says of launches."""
    report = status.get("autoscaler_report", {})
    kinds = report.get("node_availability_summary", {}).get("node_availabilities", {})
    failed = [
        kind
        for kind in kinds.values()
        if not kind["is_available"] and kind["last_checked_timestamp"] >= began
    ]
    coming = bool(report.get("pending_nodes"))
    last = max(failed, key=lambda kind: kind["last_checked_timestamp"], default=None)
    if last is None:
        return Launches("", coming)
    why = last["unavailable_node_information"] or {}
    reason = ": ".join(filter(None, (why.get("category"), why.get("description"))))
    return Launches(_short(last["node_type"], reason), coming)


def _short(kind: str, reason: str) -> str:
    """Return what a launch failed with, in a line that names the type of node."""
    said = next(iter(reason.splitlines()), "no reason given")[:_MOST_LETTERS]
    return said if kind in said else f"{kind}: {said}"


def starts_nodes(status: Mapping[str, Any]) -> bool:
    """Return whether the report of an autoscaler's first version is of one that starts nodes.

    A cluster whose nodes were started by hand has a reporter only, which calls every node a type of its own.
    """
    types = status.get("autoscaler_report", {}).get("node_type_mapping") or {}
    return any(kind != f"node_{node}" for node, kind in types.items())


def _second_version() -> Any | None:
    """Return the report of an autoscaler of the second version; None where there is none."""
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    reply = GetClusterStatusReply()
    asked = GcsClient(ray.get_runtime_context().gcs_address)
    reply.ParseFromString(asked.get_cluster_status(timeout_s=_ASK_S))
    return reply.autoscaling_state if reply.autoscaling_state.autoscaler_state_version else None


def _first_version() -> Mapping[str, Any]:
    """Return the report of an autoscaler of the first version; empty where there is none."""
    from ray.experimental.internal_kv import _internal_kv_get

    status: Mapping[str, Any] = json.loads(_internal_kv_get(_STATUS_KEY) or b"{}")
    return status
