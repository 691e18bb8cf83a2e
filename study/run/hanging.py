"""Trials that hang: a replicate takes so long that its process cannot be at work any more, and is replaced."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from study.record.ledger import Ledger

# A trial whose process hung this many times is tried again; at the next time it counts as failed.
HANGS_THAT_ARE_RETRIED = 1
_LEAST_S = 600.0
# Where a study has a budget, ten minutes may be all of it: a quarter of it then, but never less than a minute.
_SHARE_OF_BUDGET, _LEAST_OF_BUDGET_S = 0.25, 60.0
_TIMES = 10.0  # the longest replicate that is known
# While the driver itself stood still (stopped, or held up by a disk) it saw no replicate end; that is not the trials'.
_LONGEST_STEP_S = 30.0


class Hanging:
    """Tell which trials hang.

    A replicate may take ten times as long as the longest one of the study so far, or as estimated where that is more,
    and always ten minutes, or a quarter of the study's budget if that is less: what is waited for in vain costs little
    beside a replicate that is ended for nothing. Without an estimate none hangs until the study knows a replicate. Its
    first ones are vanilla's, which train a network as the others do.

    Parameters
    ----------
    expected_s
        Seconds that a replicate is estimated to take; None: there is no estimate; infinity: no trial ever hangs.
    ledger
        The study's ledger, which knows how long replicates took.
    clock
        A monotonic clock, in seconds.
    budget_s
        Seconds that the study may take; None for as long as it takes.
    """

    def __init__(
        self,
        expected_s: float | None,
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
        budget_s: float | None = None,
    ) -> None:
        self._least_s = _LEAST_S
        if budget_s is not None:
            self._least_s = min(_LEAST_S, max(_LEAST_OF_BUDGET_S, _SHARE_OF_BUDGET * budget_s))
        self._expected_s = expected_s
        self._ledger = ledger
        self._clock = clock
        self._looked = clock()
        self._watched = 0.0  # seconds in which the driver looked
        self._waiting: dict[str, tuple[Any, float]] = {}
        self._hung: dict[str, str] = {}

    @property
    def deadline_s(self) -> float:
        """Seconds within which a replicate has to end."""
        longest = max(
            (
                record.seconds
                for trial in self._ledger.trials.values()
                for record in trial.replicates.values()
            ),
            default=0.0,
        )
        if self._expected_s is None and not longest:
            return math.inf
        return max(self._least_s, _TIMES * max(self._expected_s or 0.0, longest))

    def began(self, trial: Any) -> None:
        """Note that a trial of Tune began a replicate."""
        self._waiting[trial.trial_id] = trial, self._watched

    def ended(self, trial: Any) -> str | None:
        """Note that a trial ended; return why its process was ended if it hung."""
        self._waiting.pop(trial.trial_id, None)
        return self._hung.pop(trial.trial_id, None)

    def overdue(self) -> Iterator[Any]:
        """Go through the trials that hang and have not been told yet."""
        now = self._clock()
        self._watched += min(now - self._looked, _LONGEST_STEP_S)
        self._looked = now
        late = [of for of in self._waiting.values() if self._watched - of[1] > self._least_s]
        # How long replicates took is looked up only where one takes long.
        deadline_s = self.deadline_s if late else 0.0
        for trial, since in late:
            if self._watched - since > deadline_s:
                del self._waiting[trial.trial_id]
                self._hung[trial.trial_id] = (
                    f"it hung: no replicate ended within {deadline_s / 60:.3g} minutes, ten times what one needs or "
                    "more; its process was ended"
                )
                yield trial
