"""A rate limit that all processes of a machine keep together: its state stands in a locked file."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import time
from pathlib import Path

from trainables.settings import digest_of


def pace_file(host: str) -> Path:
    """Return where the processes of one user on this machine keep the pace of an endpoint.

    It is in the machine's own temporary folder: not every network mount can lock a file, and a cache evicts.
    """
    return Path(tempfile.gettempdir()) / f"imbalance-study-{os.getuid()}" / f"pace-{digest_of(host)}"


class RateLimit:
    """Moments at which requests may start, evenly spaced.

    Parameters
    ----------
    path
        File that the processes share; its folder is created.
    per_minute
        Requests a minute, above 0.
    """

    def __init__(self, path: Path, per_minute: float) -> None:
        self._path = path
        self._interval = 60.0 / per_minute

    def wait(self, stopped: threading.Event) -> None:
        """Return when the next request may start, or at once when ``stopped`` is set."""
        moment = self._update(reserve=self._interval)
        while (rest := moment - time.time()) > 0 and not stopped.wait(rest):
            moment = self._update()

    def hold(self, seconds: float) -> None:
        """Let no request start for a while, those that wait already included."""
        self._update(hold=seconds)

    def _update(self, reserve: float = 0.0, hold: float = 0.0) -> float:
        """Return the moment reserved, or else the end of the hold; seconds since the epoch."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            stored = file.read().split()
            free, held = (float(stored[0]), float(stored[1])) if len(stored) == 2 else (0.0, 0.0)
            now = time.time()
            if hold:
                held = max(held, now + hold)
            mine = max(now, free, held) if reserve else held
            if reserve:
                free = mine + reserve
            file.seek(0)
            file.truncate()
            file.write(f"{free!r} {held!r}")
        return mine
