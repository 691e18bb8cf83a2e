"""Where a study can run, as far as one can tell without Ray and torch, which take seconds to load."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from study.terminal.program import is_own

# `ray start` (and so `ray up`) writes it; a driver that starts Ray for itself does not.
CLUSTER_FILE = Path("/tmp/ray/ray_current_cluster")
# What the drivers of NVIDIA (on Linux, inside Windows, on its small boards) and of AMD make.
_GPU_DEVICES = ("nvidia[0-9]*", "dxg", "nvhost*", "nvgpu", "nvmap", "kfd")
_CGROUP = Path("/sys/fs/cgroup")


def cluster_is_named() -> bool:
    """Return whether ``RAY_ADDRESS`` names a cluster, or ``ray start`` / ``ray up`` left one here."""
    return bool(os.environ.get("RAY_ADDRESS")) or CLUSTER_FILE.exists()


def may_have_gpus() -> bool:
    """Return whether this machine may have GPUs that torch computes on: whether a driver of theirs is loaded."""
    if sys.platform != "linux":
        return True
    return any(next(Path("/dev").glob(pattern), None) for pattern in _GPU_DEVICES)


def program_began() -> float:
    """Return when this process began, as :func:`time.time` tells it, if it is one of the project's commands.

    Loading Python and its libraries is part of the time that a study takes. Where another program calls the command,
    or the system does not tell, it begins now.
    """
    now = time.time()
    if not is_own():
        return now
    try:
        # The 22nd field, in ticks since the system started; the second one, in parentheses, may hold spaces.
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        running = float(Path("/proc/uptime").read_text().split()[0])
        age = running - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):  # no such files
        return now
    return now - max(0.0, age)


def cpus_here() -> int:
    """Return the processors that a study uses on this machine: those that this process may run on.

    In a container as many as it may use, by Ray's own rule (``ray._private.utils.get_num_cpus``). Ray does not ask to
    which processors a process is bound (``taskset``, a batch system), so a Ray that is started here is told.
    """
    return max(1, min(_cpus_of_ray(), _bound_to()))


def _bound_to() -> int:
    """Return how many processors this process may run on, as far as the system tells."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpus_of_ray() -> int:
    """Return the processors that Ray would find by itself: all, or as many as a container may use."""
    cpus = os.cpu_count() or 1
    if os.environ.get("RAY_USE_MULTIPROCESSING_CPU_COUNT"):
        return cpus
    limits = [limit for limit in (_quota(), _cpuset()) if limit]
    return int(min(limits)) if limits else cpus


def _quota() -> float | None:
    """Return the processors' worth of time that a container may use, of either version of control groups."""
    try:
        v1 = _CGROUP / "cpu"
        if (v1 / "cpu.cfs_quota_us").exists():
            quota = float((v1 / "cpu.cfs_quota_us").read_text()) / float(
                (v1 / "cpu.cfs_period_us").read_text()
            )
        else:
            limit, period = (_CGROUP / "cpu.max").read_text().split()
            quota = float(limit) / float(period)
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return None if quota < 0 else quota or 1.0


def _cpuset() -> int | None:
    """Return how many processors a container is bound to."""
    try:
        ranges = (_CGROUP / "cpuset" / "cpuset.cpus").read_text().strip().split(",")
        ends = [[int(end) for end in part.split("-")] for part in ranges]
    except (OSError, ValueError):
        return None
    return sum(end[-1] - end[0] + 1 for end in ends)
