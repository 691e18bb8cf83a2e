"""When failures count: a trial whose process dies again and again, and trials that all fail of one cause."""

from __future__ import annotations

import re
from collections import Counter

from study.record.ledger import TrialRecord
from trainables.errors import StudyStopped, TrialFailed

# A trial's process may die this many times; at the next death the trial counts as failed.
LOSSES_THAT_FAIL = 2
# This many trials that fail one after another of the same cause, with no replicate in between, stop the study.
SAME_FAULTS_THAT_STOP = 5
_OF_THIS_TRIAL = re.compile(r"^replicate \d+: |\(traceback: .*\)$|\d+(\.\d+)?(e[+-]?\d+)?")


class Losses:
    """Count how often the process of each trial died."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()

    def failure(self, trial_id: str, message: str, at_most: int) -> TrialFailed | None:
        """Note that a trial's process died; return its failure if that happened more often than it may."""
        self._of[trial_id] += 1
        if self._of[trial_id] <= at_most:
            return None
        lost = f"its process died {self._of[trial_id]} times, most recently with: {message}"
        return TrialFailed(lost, can_pass=True)


class SameFault:
    """Notice that trials fail one after another of the same cause, which then is hardly the trials'."""

    def __init__(self) -> None:
        self._cause = ""
        self._phases: dict[str, str] = {}  # of the trials that failed of it

    def is_over(self) -> None:
        """Note that a replicate ended well."""
        self._phases = {}

    def stops(self, trial: TrialRecord, failure: TrialFailed) -> StudyStopped | None:
        """Note that a trial failed; return what the study is stopped with if too many did so of the same cause.

        The search of a single control ends without stopping the study, so trials of such searches alone do not stop it.
        """
        cause = _OF_THIS_TRIAL.sub("", str(failure)).strip()
        if cause != self._cause:
            self._cause, self._phases = cause, {}
        self._phases[trial.trial_id] = trial.phase
        if len(self._phases) < SAME_FAULTS_THAT_STOP or {*self._phases.values()} == {"control_search"}:
            return None
        again = "retries what failed" if failure.can_pass else "goes on with the trials that are left"
        return StudyStopped(
            f"{len(self._phases)} trials failed one after another of the same cause, the last one with: {failure}. "
            f"Fix the cause and give the same command again: it {again}."
        )
