"""Watch the processes of Ray without which a driver cannot go on.

When its head or the process of its own machine is lost, Ray waits for a while, then ends the driver from C++, without
a word and without letting Python close anything. The watch stops the study before that. It runs beside Tune, which may
be waiting for the lost process itself and then cannot be asked to stop.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from study.run.signals import ENDING_SIGNALS
from trainables.errors import StudyStopped

_EVERY_S = 1.0
_CONNECT_S = 3.0
# Ray's nodes give up after this many seconds, of which we wait for two thirds: a head may be restarted.
_RECONNECT_VARIABLE, _RECONNECT_S = "RAY_gcs_rpc_server_reconnect_timeout_s", 60.0
_OUTLIVED_S = 600.0
_OWN_PROCESS_S = 2.0  # nothing restarts a process that this machine has lost
_STEP_OF_TUNE_S = (
    4.0  # after this long Tune does not come back to its loop, and the watch ends the driver itself
)
_NOTHING_LOST = "Nothing that was recorded is lost"


@dataclass(frozen=True)
class RayProcess:
    """A process of Ray that the driver needs.

    Attributes
    ----------
    address
        Where it listens.
    patience_s
        Seconds for which it may be away.
    lost
        What to say once it has been away for longer.
    """

    address: tuple[str, int]
    patience_s: float
    lost: str

    def answers(self) -> bool:
        """Return whether something listens at the address."""
        try:
            socket.create_connection(self.address, timeout=_CONNECT_S).close()
        except OSError:
            return False
        return True


_head_may_be_away_s = _RECONNECT_S * 2 / 3


def outlive_the_head() -> None:
    """Have Ray leave this driver alone for ten minutes once it has lost the head of the cluster that it will join.

    The watch stops a study sooner. But where the plan is done, the report and the models need no head any more.
    """
    global _head_may_be_away_s
    given = float(os.environ.get(_RECONNECT_VARIABLE, _RECONNECT_S))
    if given != _OUTLIVED_S:
        _head_may_be_away_s = given * 2 / 3
        os.environ[_RECONNECT_VARIABLE] = f"{_OUTLIVED_S:.0f}"


def needed_processes(joined: bool) -> list[RayProcess]:
    """Return the processes that the connected driver needs; none where Ray Client stands between."""
    import ray

    if ray.util.client.ray.is_connected():
        return []
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    own = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    patience = _head_may_be_away_s if joined else _OWN_PROCESS_S
    head = (
        f"The head of the Ray cluster at {context.gcs_address} does not answer any more. {_NOTHING_LOST}: start the "
        "cluster again, and give the same command again."
        if joined
        else f"Ray's head process on this machine (gcs_server) ended. {_NOTHING_LOST}: give the same command again."
    )
    return [
        RayProcess((host.strip("[]"), int(port)), patience, head),
        RayProcess(
            (own["NodeManagerAddress"], own["NodeManagerPort"]),
            _OWN_PROCESS_S,
            "Ray's process on this machine (raylet) ended; most often the system does that when memory runs out. "
            f"{_NOTHING_LOST}: give the same command again. With --set concurrency=1 it needs the least memory.",
        ),
    ]


_watched: list[RayProcess] = []


def is_lost() -> bool:
    """Return whether a process that was watched is away."""
    return any(not process.answers() for process in _watched)


class RayWatch:
    """Within the block, watch some processes of Ray, and the signals that Tune does not get round to.

    Parameters
    ----------
    processes
        What to watch.
    end_process
        Called in the watch's thread if the main thread hangs in Ray: with the error that stops the study, or None
        after a signal. It must end the process.
    """

    def __init__(
        self, processes: list[RayProcess], end_process: Callable[[StudyStopped | None], None]
    ) -> None:
        self._away_since: dict[RayProcess, float | None] = dict.fromkeys(processes)
        self._end_process = end_process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ray-watch", daemon=True)
        self.stopped: StudyStopped | None = None

    def __enter__(self) -> Self:
        """Start to watch."""
        _watched[:] = self._away_since
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop watching."""
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raise KeyboardInterrupt if a process was lost: like a signal, it leaves Tune no time to tidy."""
        if self.stopped is not None:
            raise KeyboardInterrupt

    def look(self) -> StudyStopped | None:
        """Look at every process once; return the error that stops the study if one has been away for too long."""
        for process in self._away_since:
            if process.answers():
                self._away_since[process] = None
                continue
            now = time.monotonic()
            since = self._away_since[process] = self._away_since[process] or now
            if now - since >= process.patience_s:
                return StudyStopped(process.lost)
        return None

    def loss_behind(self, error: BaseException) -> StudyStopped | None:
        """Return the error that stops the study, where an error of Ray comes of the loss of a process.

        Ray notices a loss before the watch has seen a process away for long enough.
        """
        if isinstance(error, KeyboardInterrupt):
            return None
        away = [process for process in self._away_since if not process.answers()]
        return StudyStopped(away[0].lost) if away else None

    def _watch(self) -> None:
        lost_at = 0.0
        while not self._over.wait(_EVERY_S):
            # A signal may go to a whole group of processes; that Ray's end by it, too, is no loss.
            if self.stopped is None and ENDING_SIGNALS.received is None:
                self.stopped, lost_at = self.look(), time.monotonic()
            hangs = self.stopped is not None and time.monotonic() - lost_at > _STEP_OF_TUNE_S
            if hangs or ENDING_SIGNALS.waited_s > _STEP_OF_TUNE_S:
                self._end_process(self.stopped)
