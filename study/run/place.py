"""Where a study can run, as far as one can tell without Ray and torch, which take seconds to load."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

# `ray start` (and so `ray up`) writes it; a driver that starts Ray for itself does not.
CLUSTER_FILE = Path("/tmp/ray/ray_current_cluster")
# Device files that GPU drivers create: NVIDIA's on Linux, NVIDIA's in Linux under Windows, and AMD's.
_GPU_DEVICES = ("nvidia[0-9]*", "dxg", "kfd")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def cluster_is_named() -> bool:
    """Return whether ``RAY_ADDRESS`` names a cluster, or ``ray start`` / ``ray up`` left one here."""
    return bool(os.environ.get("RAY_ADDRESS")) or CLUSTER_FILE.exists()


def may_have_gpus() -> bool:
    """Return whether this machine may have GPUs that torch can use; False means that it certainly has none."""
    if sys.platform != "linux":
        return True
    return any(next(Path("/dev").glob(pattern), None) for pattern in _GPU_DEVICES)


def cpus_here() -> int:
    """Return how many processors this process may use: its affinity, and a container's limit in whole processors."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        limit, period = _CGROUP_LIMIT.read_text(encoding="ascii").split()
        allowed = own if limit == "max" else math.ceil(int(limit) / int(period))
    except (OSError, ValueError):
        allowed = own
    return max(1, min(own, allowed))
