"""Why a study stops whose search brings nothing."""

from __future__ import annotations

from collections.abc import Sequence

from study.record.ledger import TrialRecord
from trainables.errors import StudyStopped


def fruitless(trials: Sequence[TrialRecord], which: str) -> StudyStopped:
    """Return what a study is stopped with when trials of its search failed: how many, and why the last one did.

    Parameters
    ----------
    trials
        The trials of the search.
    which
        ``All`` of them, or ``The first``.
    """
    failed = [trial for trial in trials if trial.state == "failed"]
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
