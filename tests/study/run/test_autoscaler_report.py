"""What Ray's autoscalers, of both versions, report of the nodes that they start and of those that they could not."""

from __future__ import annotations

from dataclasses import asdict

from ray.autoscaler._private.node_provider_availability_tracker import NodeProviderAvailabilityTracker
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.v2.instance_manager.node_provider import LaunchNodeError
from ray.core.generated.autoscaler_pb2 import AutoscalingState

from study.run.autoscaler_report import Launches, launches_of_first, launches_of_second, starts_nodes


def state(*failed, pending=0, requested=0):
    found = AutoscalingState(autoscaler_state_version=1)
    for kind, at, reason in failed:
        found.failed_instance_requests.add(ray_node_type_name=kind, failed_ts=at, reason=reason, count=1)
    for _ in range(pending):
        found.pending_instances.add(ray_node_type_name="gpu_spot")
    for _ in range(requested):
        found.pending_instance_requests.add(ray_node_type_name="gpu_spot", count=1)
    return found


def test_the_last_failure_is_told_with_its_type():
    refused = [
        ("gpu_spot", 200, "launch failed with VcpuLimitExceeded: 0\n  more"),
        ("gpu", 100, "bad image"),
    ]
    assert launches_of_second(state(*refused), 50.0) == Launches("gpu_spot: VcpuLimitExceeded: 0")
    assert launches_of_second(state(*refused), 201.0) == Launches()
    assert launches_of_second(state(), 0.0) == Launches()


def test_what_ray_makes_of_a_refusal_ends_in_no_colon():
    """Its own error leaves out what the provider said."""
    reason = f"launch failed with {LaunchNodeError('gpu_spot', 1, 'a1', 1)}"
    told = launches_of_second(state(("gpu_spot", 100, reason)), 0.0).refused
    assert told == "Failed to launch 1 nodes of type gpu_spot with request id a1"
    assert launches_of_second(state(("gpu_spot", 100, "")), 0.0).refused == "gpu_spot: no reason given"


def test_machines_that_were_started_are_coming_and_requests_are_not():
    assert launches_of_second(state(pending=1), 0.0).coming
    assert not launches_of_second(state(requested=3), 0.0).coming


def test_the_first_version_tells_the_providers_reason():
    tracker = NodeProviderAvailabilityTracker(timer=lambda: 100.0)
    tracker.update_node_availability(
        "gpu_spot", 100, NodeLaunchException("VcpuLimitExceeded", "your limit is 0", None)
    )
    tracker.update_node_availability("gpu", 101, None)
    report = {"node_availability_summary": asdict(tracker.summary()), "pending_nodes": []}
    refused = Launches("gpu_spot: VcpuLimitExceeded: your limit is 0")
    assert launches_of_first({"autoscaler_report": report}, 50.0) == refused
    assert launches_of_first({"autoscaler_report": report}, 101.0) == Launches()
    report["pending_nodes"] = [["10.0.0.2", "gpu", "waiting-for-ssh"]]
    assert launches_of_first({"autoscaler_report": report}, 101.0) == Launches(coming=True)
    assert launches_of_first({}, 0.0) == Launches()


def test_a_reporter_of_nodes_is_no_autoscaler():
    def report(**types):
        return {"autoscaler_report": {"node_type_mapping": types}}

    assert not starts_nodes({}) and not starts_nodes(report(ab12="node_ab12", cd34="node_cd34"))
    assert starts_nodes({"autoscaler_report": {"node_type_mapping": {"10.0.0.1": "head"}}})
