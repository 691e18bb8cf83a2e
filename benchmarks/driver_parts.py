"""Where the driver's seconds go: a clock around the calls that a study really makes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

# The parts that are watched, beside the rest of the driver, which is Ray Tune for the most part.
SEARCHER, LEDGER, MLFLOW = WATCHED = ("searcher", "ledger", "mlflow")
REST = "rest"


class DriverParts:
    """Seconds that the driver spent in each of its parts, waits for a disk or a server included.

    Parameters
    ----------
    clock
        A clock, in seconds.

    Attributes
    ----------
    seconds
        By part. What a call makes of calls to another part counts there alone.

    Examples
    --------
    >>> ticks = iter(range(10))
    >>> parts, list_ = DriverParts(lambda: next(ticks)), [3, 1]
    >>> parts.timed("searcher", sorted)(list_)
    [1, 3]
    >>> parts.seconds["searcher"]
    1.0
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = dict.fromkeys(WATCHED, 0.0)
        self._clock = clock
        self._in_calls = 0.0  # of the call that is under way

    def watch(self, part: str, owner: Any, *names: str) -> None:
        """Put some methods of an object under the clock."""
        for name in names:
            setattr(owner, name, self.timed(part, getattr(owner, name)))

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function under the clock."""

        @wraps(call)
        def clocked(*args: Any, **kwargs: Any) -> Any:
            began, around = self._clock(), self._in_calls
            self._in_calls = 0.0
            try:
                return call(*args, **kwargs)
            finally:
                spent = self._clock() - began
                self.seconds[part] += spent - self._in_calls
                self._in_calls = around + spent

        return clocked
