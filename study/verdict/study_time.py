"""How long a study took, against what was planned when it began and what it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from study.record.ledger import Ledger
from study.verdict.words import counted, duration

FACT = "time"  # in study.json
PLANNED, BUDGET, TRIALS = "planned_s", "budget_s", "trials_a_ratio"


@dataclass(frozen=True)
class StudyTime:
    """A study's time, in seconds.

    Attributes
    ----------
    taken_s
        What its launches took together, from the start of each until its last record.
    planned_s
        What was planned before its first trial; None for a study of an earlier version.
    budget_s
        What it was given; None: as long as it takes.
    trials_planned, trials_kept
        Trials of each search at a ratio, as planned, and as many as there was time for; None where all were kept.
    """

    taken_s: float
    planned_s: float | None
    budget_s: float | None
    trials_planned: int | None = None
    trials_kept: int | None = None

    def to_json(self) -> dict[str, float | int | None]:
        """Return the numbers by name."""
        return asdict(self)

    def in_words(self) -> str:
        """Return the times in a sentence.

        Examples
        --------
        >>> StudyTime(558.0, 540.0, 600.0).in_words()
        'It took 9.3 min of a budget of 10 min; 9.0 min were planned.'
        >>> StudyTime(558.0, 540.0, None).in_words()
        'It took 9.3 min; 9.0 min were planned.'
        >>> StudyTime(301.0, 270.0, 300.0).in_words()
        'It took 5.0 min of a budget of 5.0 min; 4.5 min were planned.'
        >>> StudyTime(330.0, 270.0, 300.0).in_words()
        'It took 5.5 min, more than its budget of 5.0 min; 4.5 min were planned.'
        """
        if self.taken_s <= 0.0:
            return ""
        taken, budget = duration(self.taken_s), "" if self.budget_s is None else duration(self.budget_s)
        given = f" of a budget of {budget}" if budget else ""
        if self.budget_s is not None and self.taken_s > self.budget_s and taken != budget:
            given = f", more than its budget of {budget}"
        planned = "" if self.planned_s is None else f"; {duration(self.planned_s)} were planned"
        return f"It took {taken}{given}{planned}."

    def cut_in_words(self) -> str:
        """Return that the search was cut short; empty where it was not.

        Examples
        --------
        >>> StudyTime(558.0, 540.0, 600.0, 4, 2).cut_in_words()
        'Time ran short: each search had 2 trials a ratio instead of 4, so that the confirmation could be run in full.'
        """
        if self.trials_kept is None:
            return ""
        return (
            f"Time ran short: each search had {counted(self.trials_kept, 'trial')} a ratio instead of "
            f"{self.trials_planned}, so that the confirmation could be run in full."
        )


NO_TIME = StudyTime(0.0, None, None)  # nothing is known of it


def study_time(ledger: Ledger, study: Mapping[str, Any]) -> StudyTime:
    """Return how long a study took.

    Parameters
    ----------
    ledger, study
        Its ledger, and what ``study.json`` says.
    """
    facts = study.get(FACT, {})
    planned, kept = facts.get(TRIALS), ledger.trial_limit
    if kept is not None and planned is not None and kept < planned:
        return StudyTime(ledger.seconds_taken(), facts.get(PLANNED), facts.get(BUDGET), planned, kept)
    return StudyTime(ledger.seconds_taken(), facts.get(PLANNED), facts.get(BUDGET))
