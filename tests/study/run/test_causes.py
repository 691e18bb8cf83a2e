"""What a trial failed of is told by its first cause, not by what Ray wraps around it."""

from __future__ import annotations

from ray.exceptions import RayTaskError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback, WorkerHealthCheckFailedError

from study.run.causes import can_pass, last_cause
from trainables.errors import ConfigurationError, StudyStopped, TrialFailed


def group(*faults):
    return WorkerGroupError("failed", dict(enumerate(faults)))


def raised(error):
    return UserExceptionWithTraceback(error, "")


LOST = WorkerHealthCheckFailedError("lost", failure=RuntimeError())


def test_what_the_system_refuses_and_lost_workers_can_pass():
    full, bug = raised(OSError("disk full")), raised(ValueError("bug"))
    passing = [
        OSError("disk full"),
        ConfigurationError("no key"),
        TrialFailed("server away", can_pass=True),
        ControllerError(RuntimeError("node gone")),
        group(LOST),
        group(full, LOST),
    ]
    staying = [TrialFailed("diverged"), ValueError("bug"), group(bug), group(LOST, bug)]
    assert all(map(can_pass, passing)) and not any(map(can_pass, staying))


def test_the_cause_is_found_behind_what_ray_says():
    unreachable = RuntimeError("Gloo connectFullMesh failed")
    task = RayTaskError("on_start", "a long trace", unreachable)
    refused, reset = StudyStopped("Node 10.0.0.2 cannot take part"), RuntimeError("Connection closed by peer")
    for error, cause in (
        (ControllerError(task), unreachable),
        (ControllerError(task.as_instanceof_cause()), unreachable),
        (group(raised(reset), raised(refused)), refused),
        (group(LOST, raised(reset)), reset),
        (group(LOST), LOST),
        (refused, refused),
        (unreachable, unreachable),
    ):
        assert last_cause(error) is cause


def test_what_is_ours_is_the_cause_whatever_came_before():
    diverged = TrialFailed("training diverged")
    diverged.__cause__ = ValueError("nan")
    assert last_cause(diverged) is diverged
