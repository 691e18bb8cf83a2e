"""How the trials of searches ended, and why a study stops whose search brings nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from study.plan.tracks import Track
from study.record.ledger import FINISHED, TrialRecord
from trainables.errors import StudyStopped, TrialFailed

# When this many trials fail before the first one succeeds, pre-finetuning's stop the study, a control's its search.
FAILURES_THAT_STOP = 3


class Ends:
    """Count how the trials of each track ended."""

    def __init__(self, trials: Iterable[TrialRecord]) -> None:
        self._of = Counter((trial.arm, trial.imbalance_ratio, trial.state) for trial in trials)

    def add(self, trial: TrialRecord) -> None:
        """Count one more trial that has ended."""
        self._of[trial.arm, trial.imbalance_ratio, trial.state] += 1

    def all_failed(self, *tracks: Track, at_least: int = FAILURES_THAT_STOP) -> bool:
        """Return whether enough trials of these tracks have ended, and all of them failed."""
        return self._are_all(("failed",), tracks, at_least)

    def none_is_of_use(self, *tracks: Track) -> bool:
        """Return whether trials of these tracks have ended, and each of them failed or is infeasible."""
        return self._are_all(("failed", "infeasible"), tracks, at_least=1)

    def _are_all(self, states: Sequence[str], tracks: Sequence[Track], at_least: int) -> bool:
        ends = {state: sum(self._of[*track.key, state] for track in tracks) for state in FINISHED}
        return sum(ends[state] for state in states) == sum(ends.values()) >= at_least


def fruitless(trials: Sequence[TrialRecord], which: str) -> StudyStopped:
    """Return what a study is stopped with when no trial of its search is of use: how many, and why.

    Parameters
    ----------
    trials
        The trials of the search.
    which
        ``All`` of them, or ``The first``.
    """
    failed = [trial for trial in trials if trial.state == "failed"]
    if too_slow := [trial for trial in trials if trial.state == "infeasible"]:
        return nothing_feasible(too_slow, "the search")
    last = max(failed, key=lambda trial: trial.finished or 0.0)
    again = (
        "which retries what failed."
        if last.can_pass
        else "with a larger --trials, or with --fresh to start over."
    )
    return StudyStopped(
        f"{which} {len(failed)} trials of the search failed, the last one with: {last.error}. Fix the cause and give "
        f"the same command again, {again}"
    )


def no_reference(ratio: float | str, tuned: Sequence[TrialRecord]) -> StudyStopped:
    """Return what a study is stopped with that has no reference vanilla at a ratio, given the trials of its search."""
    too_slow = [t for t in tuned if t.imbalance_ratio == ratio and t.state == "infeasible"]
    if too_slow:
        return nothing_feasible(too_slow, f"vanilla's search at imbalance ratio {ratio}")
    return StudyStopped(f"There is no reference vanilla at ratio {ratio}.")


def vanilla_failed(trial: TrialRecord, failure: TrialFailed) -> StudyStopped:
    """Return what a study is stopped with whose reference vanilla failed."""
    return StudyStopped(
        f"The reference vanilla at imbalance ratio {trial.imbalance_ratio} failed: {failure}. Without it no gain can "
        "be computed. Fix the cause and give the same command again: it retries what failed."
    )


def nothing_feasible(too_slow: Sequence[TrialRecord], search: str) -> StudyStopped:
    """Return what a study is stopped with when every configuration of a search trains too long."""
    quickest = min(too_slow, key=lambda trial: trial.training_seconds or 0.0)
    return StudyStopped(
        f"No configuration of {search} is feasible; of the quickest one, {quickest.error}. Start over (--fresh) with "
        "more seconds, or with fewer rows (--set max_train_rows=) or a space of shorter stages."
    )
