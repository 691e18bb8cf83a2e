"""What runs next, from the ledger alone: reference tuning, reference, search, controls.

The plan knows neither Ray nor MLflow. It hands out jobs, takes in what they report, and writes the ledger.
Everything it decides follows from the ledger, so a launch that was killed goes on where it stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from study.config import StudyConfig
from study.gains import best_trial, gains_of, mean_of
from study.ledger import Ledger, ReplicateRecord, TrialRecord
from study.search import GainSearch
from trainables.errors import StudyStopped
from trainables.settings import POSTHOC_ARM, TrialSettings, digest_of

LOSSES_THAT_FAIL = 2  # times that a trial's process may die before the trial counts as failed
FAILURES_THAT_STOP = 3  # search trials that fail before the first one succeeds


@dataclass(frozen=True)
class Job:
    """One unit of work: some replicates of one trial.

    Attributes
    ----------
    trial_id, phase
        The trial in the ledger.
    settings
        Its configuration.
    replicates
        Indices to run, in order.
    reference
        The objective of the reference vanilla per replicate, where the job's gain is raced.
    known
        The objective of replicates that are done already.
    """

    trial_id: str
    phase: str
    settings: TrialSettings
    replicates: tuple[int, ...]
    reference: Mapping[int, float]
    known: Mapping[int, float]


@dataclass(frozen=True)
class Planned:
    """A trial that a phase owes: its configuration and the replicates that it needs."""

    phase: str
    settings: TrialSettings
    replicates: int
    matched_to: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as the ledger keeps it."""
        extra = {} if self.matched_to is None else {"matched_to": self.matched_to}
        return {**self.settings.to_config(), **extra}

    @property
    def trial_id(self) -> str:
        """Identity that a restart reproduces."""
        return f"{self.phase}-{digest_of(self.config, 10)}"


class Plan:
    """Hand out jobs and take in their reports.

    Parameters
    ----------
    config
        The study.
    ledger
        Its ledger; written by this object alone.
    search
        The search, already replayed from the ledger.
    notify
        Called with a trial's record after every change of it.
    """

    def __init__(
        self,
        config: StudyConfig,
        ledger: Ledger,
        search: GainSearch,
        notify: Callable[[TrialRecord], None] = lambda trial: None,
    ) -> None:
        self.config = config
        self.ledger = ledger
        self._search = search
        self._notify = notify
        self._running: set[tuple[str, int]] = set()
        self._reopened = [trial for trial in ledger.of_phase("search") if trial.state == "running"]
        self.stopped: StudyStopped | None = None
        self.exhausted = False
        self._losses: dict[str, int] = {}
        for trial in ledger.of_phase("reference_tuning", "reference"):
            if trial.state == "failed":  # nothing can be told without it, so a new launch tries it again
                ledger.start_trial(
                    trial.trial_id, trial.phase, trial.arm, trial.imbalance_ratio, trial.config
                )
        self._take_up_what_a_kill_left()

    def _take_up_what_a_kill_left(self) -> None:
        """Do what follows from recorded replicates, where a driver died between the one and the other."""
        for planned in (*self._owed_tuning(), *self._owed_reference(), *self._owed_controls()):
            trial = self.ledger.trials.get(planned.trial_id)
            if trial is None:
                continue
            if planned.phase == "reference":
                known = self._posthoc_trial(trial).replicates
                for record in list(trial.replicates.values()):
                    if record.replicate not in known:
                        self._add_posthoc(trial, record)
                self._finish_if_complete(self._posthoc_trial(trial), planned.replicates)
            self._finish_if_complete(trial, planned.replicates)

    # ---- what runs next -------------------------------------------------------------------------------------

    def next_job(self) -> Job | None:
        """Return the next job, or None while it waits for running ones (or is :attr:`finished`)."""
        if self.stopped is not None:
            return None
        for owed in (self._owed_tuning, self._owed_reference):
            job, settled = self._replicate_job(owed())
            if job is not None or not settled:
                return job
        job, settled = self._search_job()
        if job is not None or not settled:
            return job
        job, _ = self._replicate_job(self._owed_controls())
        return job

    @property
    def finished(self) -> bool:
        """True when nothing runs and nothing is owed."""
        return not self._running and (self.stopped is not None or self.complete)

    @property
    def complete(self) -> bool:
        """True when every phase is settled."""
        tuning, reference = list(self._owed_tuning()), list(self._owed_reference())
        return (
            all(map(self._is_settled, tuning))
            and len(reference) == len(self.config.imbalance_ratios)
            and all(map(self._is_settled, reference))
            and self._search_is_settled()
            and all(map(self._is_settled, self._owed_controls()))
        )

    def _owed_tuning(self) -> Iterator[Planned]:
        grid = list(self._reference_grid())
        if len(grid) == 1:
            return
        for ratio, values in itertools.product(self.config.imbalance_ratios, grid):
            yield Planned(
                "reference_tuning", self._vanilla(ratio, values), self.config.reference_tuning_replicates
            )

    def _owed_reference(self) -> Iterator[Planned]:
        for ratio in self.config.imbalance_ratios:
            settings = self._chosen_reference(ratio)
            if settings is not None:
                yield Planned("reference", settings, self.config.replicates)

    def _owed_controls(self) -> Iterator[Planned]:
        for ratio in self.config.imbalance_ratios:
            best = best_trial(self.ledger, ratio, self.config.objective)
            reference = self.ledger.reference(ratio)
            if best is None or reference is None:
                continue
            diagnostics = next(iter(best.replicates.values())).diagnostics
            steps = round(diagnostics["stage1_steps"] + diagnostics["stage2_steps"])
            settings = TrialSettings.from_config(
                {**reference.config, "arm": "vanilla_matched", "stage2_steps": steps}
            )
            yield Planned("control", settings, len(best.replicates), matched_to=best.trial_id)

    def _reference_grid(self) -> Iterator[dict[str, Any]]:
        names = list(self.config.reference_space)
        for values in itertools.product(*self.config.reference_space.values()):
            yield dict(zip(names, values, strict=True))

    def _vanilla(self, ratio: float | str, values: Mapping[str, Any]) -> TrialSettings:
        return TrialSettings.from_config(
            {**self.config.fixed, **values, "arm": "vanilla", "imbalance_ratio": ratio}
        )

    def _chosen_reference(self, ratio: float | str) -> TrialSettings | None:
        """Return the reference vanilla's settings: the only recipe, or the best of the finished tuning."""
        candidates = [p for p in self._owed_tuning() if p.settings.imbalance_ratio == ratio]
        if not candidates:
            return self._vanilla(ratio, next(self._reference_grid()))
        if not all(map(self._is_settled, candidates)):
            return None
        finished = [
            (mean_of(self.ledger.trials[p.trial_id].values(self.config.objective)), -place, p.settings)
            for place, p in enumerate(candidates)
            if self.ledger.trials[p.trial_id].state == "complete"
        ]
        return max(finished, key=lambda item: item[:2])[2] if finished else None

    def _is_settled(self, planned: Planned) -> bool:
        trial = self.ledger.trials.get(planned.trial_id)
        return trial is not None and trial.state != "running"

    def _replicate_job(self, owed: Iterator[Planned]) -> tuple[Job | None, bool]:
        """Return a job of one replicate, and whether all that is owed is settled."""
        settled = True
        for planned in owed:
            trial = self._ensure_started(planned)
            if self._is_settled(planned):
                continue
            settled = False
            missing = tuple(
                replicate
                for replicate in range(planned.replicates)
                if replicate not in trial.replicates and (trial.trial_id, replicate) not in self._running
            )
            # A worker group is slow to start, so there one job takes them all.
            replicates = missing if self.config.workers_per_trial > 1 else missing[:1]
            if replicates:
                self._running |= {(trial.trial_id, replicate) for replicate in replicates}
                return Job(trial.trial_id, planned.phase, planned.settings, replicates, {}, {}), False
        return None, settled

    def _ensure_started(self, planned: Planned) -> TrialRecord:
        trial = self.ledger.trials.get(planned.trial_id)
        if trial is None:
            self._start(planned)
            if planned.phase == "reference":
                self._adopt_tuning(planned)
            trial = self.ledger.trials[planned.trial_id]
            self._finish_if_complete(trial, planned.replicates)
        return trial

    def _start(self, planned: Planned) -> None:
        self.ledger.start_trial(
            planned.trial_id,
            planned.phase,
            planned.settings.arm,
            planned.settings.imbalance_ratio,
            planned.config,
        )
        self._notify(self.ledger.trials[planned.trial_id])

    def _adopt_tuning(self, planned: Planned) -> None:
        """Take over the replicates that the reference's settings already ran in their tuning."""
        tuned = self.ledger.trials.get(Planned("reference_tuning", planned.settings, 0).trial_id)
        for record in tuned.replicates.values() if tuned is not None else ():
            if record.replicate < planned.replicates:
                # Its seconds were spent, and are counted, in the tuning.
                self._add_replicate(planned.trial_id, replace(record, seconds=0.0))

    def _search_job(self) -> tuple[Job | None, bool]:
        while self._reopened:
            trial = self._reopened.pop(0)
            config = {k: v for k, v in trial.config.items() if k != "matched_to"}
            return self._job_of_search(trial.trial_id, TrialSettings.from_config(config)), False
        if not self.exhausted and len(self.ledger.of_phase("search")) < self.config.trials:
            settings = self._search.propose()
            if settings is None:
                self.exhausted = True
            else:
                planned = Planned("search", settings, self.config.replicates)
                self._start(planned)
                self._search.opened(planned.trial_id, settings)
                return self._job_of_search(planned.trial_id, settings), False
        return None, self._search_is_settled()

    def _job_of_search(self, trial_id: str, settings: TrialSettings) -> Job:
        reference = self.ledger.reference(settings.imbalance_ratio)
        if reference is None:
            raise StudyStopped(f"There is no reference vanilla at ratio {settings.imbalance_ratio}.")
        self._running.add((trial_id, 0))
        return Job(
            trial_id,
            "search",
            settings,
            tuple(range(self.config.replicates)),
            reference.values(self.config.objective),
            self.ledger.trials[trial_id].values(self.config.objective),
        )

    def _search_is_settled(self) -> bool:
        trials = self.ledger.of_phase("search")
        return (self.exhausted or len(trials) >= self.config.trials) and all(
            trial.state != "running" for trial in trials
        )

    # ---- what comes back ------------------------------------------------------------------------------------

    def on_outcome(self, job: Job, outcome: Mapping[str, Any]) -> None:
        """Take in a finished replicate, as :func:`trainables.worker.run_trial` reports it."""
        record = ReplicateRecord(
            outcome["replicate"],
            dict(outcome["metrics"]),
            outcome["seconds"],
            dict(outcome["diagnostics"]),
            dict(outcome["posthoc_metrics"]),
        )
        self._add_replicate(job.trial_id, record)

    def on_end(self, job: Job, failure: str | None) -> None:
        """Take in the end of a job: done, stopped by its race, or failed."""
        self._running -= {(job.trial_id, replicate) for replicate in job.replicates}
        trial = self.ledger.trials[job.trial_id]
        if failure is not None:
            self._fail(trial, failure)
        elif job.phase != "search":
            wanted = next(p.replicates for p in self._owed(job.phase) if p.trial_id == job.trial_id)
            self._finish_if_complete(trial, wanted)
        else:
            raced_out = len(trial.replicates) < self.config.replicates
            self._finish(trial, "raced_out" if raced_out else "complete")
            gains = gains_of(self.ledger, trial, self.config.objective)
            self._search.tell(trial, mean_of(gains))

    def on_lost(self, job: Job, message: str) -> None:
        """Take in that a job's process died: what it did not finish is handed out again, a few times."""
        self._losses[job.trial_id] = self._losses.get(job.trial_id, 0) + 1
        if self._losses[job.trial_id] > LOSSES_THAT_FAIL:
            self.on_end(
                job, f"its process died {self._losses[job.trial_id]} times, the last time with: {message}"
            )
            return
        self._running -= {(job.trial_id, replicate) for replicate in job.replicates}
        if job.phase == "search":
            self._reopened.append(self.ledger.trials[job.trial_id])

    def _owed(self, phase: str) -> Iterator[Planned]:
        return {
            "reference_tuning": self._owed_tuning,
            "reference": self._owed_reference,
            "control": self._owed_controls,
        }[phase]()

    def _add_replicate(self, trial_id: str, record: ReplicateRecord) -> None:
        self.ledger.add_replicate(trial_id, record)
        trial = self.ledger.trials[trial_id]
        self._notify(trial)
        if trial.phase == "reference":
            self._add_posthoc(trial, record)

    def _posthoc_trial(self, vanilla: TrialRecord) -> TrialRecord:
        """Return the trial of post-hoc logit adjustment beside a vanilla; started where it is not yet."""
        config = {**vanilla.config, "arm": POSTHOC_ARM}
        trial_id = f"reference-{digest_of(config, 10)}"
        if trial_id not in self.ledger.trials:
            self.ledger.start_trial(trial_id, "reference", POSTHOC_ARM, vanilla.imbalance_ratio, config)
        return self.ledger.trials[trial_id]

    def _add_posthoc(self, vanilla: TrialRecord, record: ReplicateRecord) -> None:
        """Score post-hoc logit adjustment from vanilla's logits as an arm of its own, at no cost."""
        trial = self._posthoc_trial(vanilla)
        self.ledger.add_replicate(trial.trial_id, ReplicateRecord(record.replicate, record.posthoc, 0.0))
        self._notify(trial)
        self._finish_if_complete(trial, self.config.replicates)

    def _finish_if_complete(self, trial: TrialRecord, wanted: int) -> None:
        if trial.state == "running" and len(trial.replicates) >= wanted:
            self._finish(trial, "complete")

    def _finish(self, trial: TrialRecord, state: str, error: str | None = None) -> None:
        self.ledger.finish_trial(trial.trial_id, state, error)
        self._notify(trial)

    def _fail(self, trial: TrialRecord, failure: str) -> None:
        if trial.state == "running":
            self._finish(trial, "failed", failure)
        if trial.phase == "search":
            self._search.tell(trial, None)
            finished = [t for t in self.ledger.of_phase("search") if t.state != "running"]
            if len(finished) >= FAILURES_THAT_STOP and all(t.state == "failed" for t in finished):
                self.stopped = StudyStopped(
                    f"The first {len(finished)} trials of the search all failed, the last one with: {failure}. "
                    "Mend the cause; --fresh starts over, --trials with a larger number goes on."
                )
        elif trial.phase == "reference" or self._all_tuning_failed(trial):
            self.stopped = StudyStopped(
                f"The reference vanilla at imbalance ratio {trial.imbalance_ratio} failed: {failure}. Without it "
                "no gain can be told. Mend the cause and give the same command again: it tries what failed anew."
            )

    def _all_tuning_failed(self, trial: TrialRecord) -> bool:
        rivals = [p for p in self._owed_tuning() if p.settings.imbalance_ratio == trial.imbalance_ratio]
        states = [self.ledger.trials[p.trial_id].state for p in rivals if p.trial_id in self.ledger.trials]
        return len(states) == len(rivals) and all(state == "failed" for state in states)
