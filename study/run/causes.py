"""What lies behind a trial's failure: the error that came first, and whether a later launch may succeed."""

from __future__ import annotations

from ray.exceptions import RayTaskError
from ray.train import ControllerError, TrainingFailedError, WorkerGroupError

from trainables.errors import ConfigurationError, StudyError, TrialFailed


def last_cause(error: BaseException) -> BaseException:
    """Return what Ray's errors were made of: what a worker raised, where they say that training failed."""
    cause: BaseException | None = None
    if isinstance(error, ControllerError):
        cause = error.controller_failure
    elif isinstance(error, WorkerGroupError) and error.worker_failures:
        # One that ends makes others fail that were connected to it.
        cause = min(error.worker_failures.values(), key=_order)
    elif isinstance(error, RayTaskError):
        cause = error.cause
    else:
        cause = _raised(error)
    return error if cause is None or cause is error else last_cause(cause)


def _order(fault: BaseException) -> int:
    raised = _raised(fault)
    return 2 if raised is None else int(not isinstance(raised, StudyError))


def can_pass(error: BaseException) -> bool:
    """Return whether a later launch may succeed where this one failed.

    It may where the system refused something (a full disk, a server that is away), where the user can put the
    fault right, and where workers were lost.
    """
    if isinstance(error, TrialFailed):
        return error.can_pass
    if isinstance(error, WorkerGroupError):
        raised = [_raised(fault) for fault in error.worker_failures.values()]
        return all(fault is None or can_pass(fault) for fault in raised)
    return isinstance(error, (OSError, ConfigurationError, TrainingFailedError))


def _raised(fault: BaseException) -> BaseException | None:
    """Return what a worker of a group raised itself; None for a lost worker, which has an error of Ray's own."""
    found: BaseException | None = getattr(fault, "_base_exc", None)
    return found
