"""Whether there is time for one more trial: what is left, at the pace so far, against what has to follow the search.

A search that runs late gives up trials, never the confirmation.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from study.config.arms import MATCHED
from study.record.ledger import SEARCH_PHASES, Ledger, TrialRecord
from trainables.method.arms import LINEAR_ARMS, PAPER_ARM

# Replicates that have to be done before their pace counts.
_TELLING = 3


@dataclass(frozen=True)
class ExpectedRuns:
    """Runs of an arm in a phase at a ratio, as planned.

    Attributes
    ----------
    phase, arm, ratio
        Which.
    trials, replicates
        Number of trials, and of replicates over all of them.
    each
        Seconds of one replicate, at typical values of the arm's settings.
    """

    phase: str
    arm: str
    ratio: float | str
    trials: int
    replicates: float
    each: float


@dataclass(frozen=True)
class Expected:
    """All runs of a study, as planned.

    Attributes
    ----------
    runs
        The runs.
    concurrency
        Number of trials at a time.
    at_settings
        Returns the seconds of one replicate of given runs at the settings of a trial; None: as at typical ones.
    """

    runs: Sequence[ExpectedRuns]
    concurrency: int
    at_settings: Callable[[ExpectedRuns, Mapping[str, Any]], float] | None = None
    _at_trials: dict[tuple[str, str, str], float] = field(default_factory=dict, compare=False, repr=False)

    def known(self, ledger: Ledger) -> Expected:
        """Return the same with what follows the searches at the settings that these have found.

        A search's trials may take several times as long as each other, so what an arm's best ones take is seldom what
        typical ones do. Those that were not raced out stand for them, and for the controls that run at their settings:
        at the leading trial's where they are matched to it, else at vanilla's.
        """
        found: dict[tuple[str, float | str], list[TrialRecord]] = {}
        for trial in ledger.of_phase(*SEARCH_PHASES):
            if trial.state == "complete":
                found.setdefault((trial.arm, trial.imbalance_ratio), []).append(trial)

        def each(run: ExpectedRuns) -> float:
            if run.phase in SEARCH_PHASES or run.arm in (*LINEAR_ARMS, PAPER_ARM):
                return run.each
            others = "prefinetune" if run.arm in ("prefinetune", *MATCHED) else "vanilla"
            trials = found.get((run.arm, run.ratio)) or found.get((others, run.ratio)) or []
            return statistics.fmean(self._planned(run, trial) for trial in trials) if trials else run.each

        return replace(self, runs=[replace(run, each=each(run)) for run in self.runs])

    def _planned(self, run: ExpectedRuns, trial: TrialRecord) -> float:
        """Return the seconds of a replicate of some runs, as planned at the settings of a trial."""
        if self.at_settings is None:
            return run.each
        key = (run.phase, run.arm, trial.trial_id)
        if key not in self._at_trials:
            self._at_trials[key] = self.at_settings(run, trial.config)
        return self._at_trials[key]

    def seconds(self, *phases: str) -> float:
        """Return the wall-clock time of some phases, or of all.

        At the end of a phase processes wait for the last job: on average half a job, on all but one of them. A job of a
        search is a trial, elsewhere a replicate.
        """
        runs = [run for run in self.runs if not phases or run.phase in phases]
        work = sum(run.replicates * run.each for run in runs)
        waits = 0.0
        for phase in {run.phase for run in runs}:
            of_phase = [run for run in runs if run.phase == phase and run.replicates]
            jobs = [
                run.each * (run.replicates / max(1, run.trials) if phase in SEARCH_PHASES else 1.0)
                for run in of_phase
            ]
            waits += max(jobs, default=0.0) / 2
        return (work + (self.concurrency - 1) * waits) / self.concurrency

    def trial_seconds(self, arm: str, ratio: float | str) -> float:
        """Return the seconds of one trial of a search, of which some are raced out."""
        for run in self.runs:
            if run.phase in SEARCH_PHASES and (run.arm, run.ratio) == (arm, ratio):
                return run.replicates * run.each / max(1, run.trials)
        return 0.0

    def pace(self, ledger: Ledger) -> float:
        """Return how many times as long as planned, at their settings, the replicates so far took.

        The median, because the first replicate of a process also loads what the later ones find there.
        """
        runs = {(run.phase, run.arm, run.ratio): run for run in self.runs}
        found = []
        for trial in ledger.trials.values():
            run = runs.get((trial.phase, trial.arm, trial.imbalance_ratio))
            planned = self._planned(run, trial) if run else 0.0
            taken = [record.seconds for record in trial.replicates.values() if record.seconds > 0]
            found += [seconds / planned for seconds in taken if planned]
        return statistics.median(found) if len(found) >= _TELLING else 1.0

    def seconds_left(self, ledger: Ledger) -> float:
        """Return what the runs that are not done yet take, at the pace so far."""
        done: dict[tuple[str, str, float | str], int] = {}
        ended: dict[tuple[str, str, float | str], int] = {}
        for trial in ledger.trials.values():
            arm = trial.arm
            if trial.phase == "screening" and arm == PAPER_ARM:
                arm = "prefinetune"  # beside whose candidates it is planned
            key = (trial.phase, arm, trial.imbalance_ratio)
            done[key] = done.get(key, 0) + sum(r.seconds > 0 for r in trial.replicates.values())
            ended[key] = ended.get(key, 0) + (trial.state != "running")
        left = 0.0
        for run in self.known(ledger).runs:
            key = (run.phase, run.arm, run.ratio)
            replicates = run.replicates - done.get(key, 0)
            if run.phase in SEARCH_PHASES:
                limit = ledger.trial_limit
                wanted = run.trials if limit is None else min(run.trials, limit)
                # Those that were raced out owe nothing more.
                replicates = (wanted - ended.get(key, 0)) * run.replicates / max(1, run.trials)
            elif ended.get(key, 0) >= run.trials:
                replicates = 0.0
            left += max(0.0, replicates) * run.each
        return self.pace(ledger) * left / self.concurrency


NOTHING_EXPECTED = Expected((), 1)


@dataclass(frozen=True)
class Deadline:
    """The end of a study's time.

    Attributes
    ----------
    budget
        Seconds that the study may take, over all launches.
    spent
        Returns the seconds that it has taken.
    expected
        Its runs, as planned.
    ending
        Seconds that the models and the report take after the last run.
    """

    budget: float
    spent: Callable[[], float]
    expected: Expected
    ending: float

    def gives_up(self, ledger: Ledger, opened: int) -> bool:
        """Return whether no search gets a further trial; that is recorded, and every later launch keeps to it.

        Parameters
        ----------
        ledger
            The study's ledger.
        opened
            Trials of the search that has had the fewest of those that are not done.
        """
        in_time = self.trials_in_time(ledger)
        if opened < in_time:
            return False
        ledger.append("trial_limit", trials=opened)
        return True

    def trials_in_time(self, ledger: Ledger) -> int:
        """Return how many trials each search may have, so that all that follows them ends in time; at least 1."""
        pace, expected = self.expected.pace(ledger), self.expected.known(ledger)
        left = self.budget - self.spent() - self.ending
        left -= pace * expected.seconds("screening", "confirmation", "control", "reference")
        searched = [run for run in expected.runs if run.phase in SEARCH_PHASES]
        opened: dict[tuple[str, float | str], int] = {}
        running = 0.0
        for trial in ledger.of_phase(*SEARCH_PHASES):
            key = (trial.arm, trial.imbalance_ratio)
            opened[key] = opened.get(key, 0) + 1
            if trial.state == "running":
                whole = expected.trial_seconds(*key)
                running += max(0.0, whole - trial.seconds / pace)
        for trials in range(max((run.trials for run in searched), default=1), 1, -1):
            more = sum(
                max(0, min(trials, run.trials) - opened.get((run.arm, run.ratio), 0))
                * run.replicates
                * run.each
                / max(1, run.trials)
                for run in searched
            )
            if pace * (more + running) / expected.concurrency <= left:
                return trials
        return 1
