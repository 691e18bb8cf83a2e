"""What runs next, from the ledger alone: vanilla's search, the reference that it finds, the other searches, controls.

The plan knows neither Ray nor MLflow. It hands out jobs, receives their reports, and writes the ledger.
Everything it decides follows from the ledger, so a launch that was killed goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from study.config.study import StudyConfig
from study.plan.confirmation import Confirmation, Decided
from study.plan.deadline import Deadline
from study.plan.failures import Death, Losses, SameFault
from study.plan.fruitless import Ends, fruitless, no_reference, vanilla_failed
from study.plan.owed import Owed, Planned, reopen_owed
from study.plan.posthoc import PosthocTrials
from study.plan.search import GainSearch
from study.plan.tracks import Track, first_values, tracks_of, trial_settings, wanted_trials
from study.plan.training_time import TrainingTimes, searched_end, too_long
from study.record.gains import compared_with
from study.record.ledger import SEARCH_PHASES, Ledger, TrialRecord
from trainables.errors import StudyStopped, TrialFailed
from trainables.settings import TrialSettings
from trainables.trial import ReplicateRecord, TrialJob

# The test sets on which a confirmation is scored: at the corpus's own class shares, and balanced.
CONFIRMED_ON = ("test", "test_balanced")


class Plan:
    """Hand out jobs and receive their reports.

    Parameters
    ----------
    config
        The study.
    ledger
        Its ledger; only this object writes it.
    search
        The search, already replayed from the ledger.
    notify
        Called with a trial's record after each of its changes.
    decided
        At which ratios the confirmation has nothing left to show, see :data:`study.plan.confirmation.Decided`.
    deadline
        The end of the study's time; None: as long as it takes.
    """

    def __init__(
        self,
        config: StudyConfig,
        ledger: Ledger,
        search: GainSearch,
        notify: Callable[[TrialRecord], None] = lambda trial: None,
        decided: Decided = lambda replicates: frozenset(),
        deadline: Deadline | None = None,
    ) -> None:
        self.config, self._deadline = config, deadline
        self.ledger = ledger
        self._search, self._notify = search, notify
        self._owed = Owed(config, ledger)
        self._posthoc = PosthocTrials(ledger, notify)
        self._confirmation = Confirmation(
            config, ledger, self._owed, lambda: self._search_is_settled(*SEARCH_PHASES), decided
        )
        self._tracks = {track.key: track for track in tracks_of(config)}
        self._running: set[tuple[str, int]] = set()
        self._reopened = [t for t in self._searched() if t.state == "running" and not self._is_anchor(t)]
        self._ends, self._times = Ends(self._searched()), TrainingTimes(ledger)
        self.stopped: StudyStopped | None = None
        self.fault: Exception | None = None  # of this code, for whoever runs the plan
        self._losses, self._same_fault = Losses(), SameFault()
        for phase in ("reference", "control", "screening", "confirmation"):
            reopen_owed(self._of_phase(phase), ledger)
        self._take_up_what_a_kill_left()
        if self.complete:
            self._close_superseded()
        self.stopped = self._fruitless_search()

    def _take_up_what_a_kill_left(self) -> None:
        """Do what follows from recorded replicates where a driver died after recording them but before doing it."""
        for phase in ("reference_tuning", "reference", "control", "screening", "confirmation"):
            for planned in self._of_phase(phase):
                trial = self.ledger.trials.get(planned.trial_id)
                if trial is None:
                    continue
                self._adopt(planned)
                if PosthocTrials.belong_to(trial):
                    for record in list(trial.replicates.values()):
                        self._posthoc.add(trial, record)
                if trial.state == "complete" and PosthocTrials.belong_to(trial):
                    self._posthoc.finish(trial)
                self._finish_if_complete(trial, planned)

    def _of_phase(self, phase: str) -> Iterator[Planned]:
        """Return what is owed in a phase apart from what its search proposes."""
        if phase == "screening":
            return self._confirmation.screening()
        return self._confirmation.confirmed() if phase == "confirmation" else self._owed.of_phase(phase)

    # ---- what runs next -------------------------------------------------------------------------------------

    def next_job(self) -> TrialJob | None:
        """Return the next job; None while the plan waits for running jobs, or is :attr:`finished`."""
        if self.stopped is not None:
            return None
        job, settled = self._replicate_job(self._owed.anchors())
        if settled:
            job, settled = self._search_job("reference_tuning")
        if settled:
            job, settled = self._replicate_job(self._owed.reference())
        if not settled:
            return job
        for ratio in self.config.imbalance_ratios:
            self._reference(ratio)  # or the study ends
        job, settled = self._search_job("search", "control_search")
        # Controls that do not depend on the search use the slots left free while its last trials run.
        if job is None:
            job, _ = self._replicate_job(self._owed.controls())
        if job is None and settled:
            confirmation = self._confirmation
            for owed in (self._owed.matched(), confirmation.screening(), confirmation.confirmed()):
                job, all_done = self._replicate_job(owed)
                settled &= all_done
                if job is not None:
                    return job
            if settled and not self._running:
                self._close_superseded()
        return job

    def _close_superseded(self) -> None:
        """End controls that an earlier launch began and that are no longer wanted."""
        owed = {planned.trial_id for planned in self._owed.of_phase("control")}
        for trial in self.ledger.of_phase("control"):
            if trial.state == "running" and trial.trial_id not in owed:
                reason = "begun by an earlier launch; neither the arms nor the leading trials of this one ask for it"
                self._finish(trial, "failed", TrialFailed(reason, can_pass=True))

    @property
    def finished(self) -> bool:
        """True when nothing runs and nothing is owed."""
        return not self._running and (self.stopped is not None or self.complete)

    @property
    def complete(self) -> bool:
        """True when every phase is settled."""
        reference = list(self._owed.reference())
        return (
            all(map(self._owed.is_settled, self._owed.anchors()))
            and len(reference) == len(self.config.imbalance_ratios)
            and all(map(self._owed.is_settled, reference))
            and self._search_is_settled(*SEARCH_PHASES)
            and all(map(self._owed.is_settled, self._owed.of_phase("control")))
            and self._confirmation.is_complete
        )

    def _replicate_job(self, owed: Iterator[Planned]) -> tuple[TrialJob | None, bool]:
        """Return a job for the next missing replicate, and whether all that is owed is settled."""
        settled, met = True, set()
        for planned in owed:
            met.add(planned.trial_id)
            twin = self._twin(planned)
            # One that an earlier launch left, and that nobody runs now, is not waited for.
            if twin and twin.state == "running" and (twin.phase in SEARCH_PHASES or twin.trial_id in met):
                settled = False
                continue
            trial = self._ensure_started(planned)
            if trial.state != "running":
                continue
            settled = False
            missing = tuple(
                replicate
                for replicate in planned.missing(trial)
                if (trial.trial_id, replicate) not in self._running
            )
            # A worker group is slow to start, so it gets all missing replicates in one job.
            replicates = missing if self.config.workers_per_trial > 1 else missing[:1]
            if replicates:
                self._running |= {(trial.trial_id, replicate) for replicate in replicates}
                return self._job(trial, replicates), False
        return None, settled

    def _ensure_started(self, planned: Planned) -> TrialRecord:
        trial = self.ledger.trials.get(planned.trial_id)
        if trial is None:
            self._start(planned)
        elif planned.phase == "confirmation" and trial.state == "complete" and planned.missing(trial):
            self.ledger.restart_trial(trial)  # further replicates were added
            self._notify(trial)
        elif trial.state != "running":
            return trial
        self._adopt(planned)
        trial = self.ledger.trials[planned.trial_id]
        self._finish_if_complete(trial, planned)
        return trial

    def _start(self, planned: Planned) -> None:
        self.ledger.start_trial(
            planned.trial_id,
            planned.phase,
            planned.settings.arm,
            planned.settings.imbalance_ratio,
            planned.settings.to_config(),
            planned.matched_to,
        )
        trial = self.ledger.trials[planned.trial_id]
        if planned.phase in SEARCH_PHASES:
            self._search.opened(trial)
        self._notify(trial)

    def _adopt(self, planned: Planned) -> None:
        """Take over the replicates that the same training already ran under another name.

        The reference takes those of its search; the paper's recipe, those of a search trial with its settings; and a
        trial of the second search for vanilla, those of the reference.
        """
        same = self._twin(planned)
        known = self.ledger.trials[planned.trial_id].replicates
        for record in same.replicates.values() if same is not None else ():
            if record.replicate in planned.indices and record.replicate not in known:
                # Its seconds are already counted there.
                self._add_replicate(planned.trial_id, replace(record, seconds=0.0))

    def _twin(self, planned: Planned) -> TrialRecord | None:
        """Return the trial that is the same training under another name, if there is one."""
        twin = planned.twin
        return None if twin is None else self.ledger.trials.get(twin.trial_id)

    def _search_job(self, *phases: str) -> tuple[TrialJob | None, bool]:
        for trial in self._reopened:
            if trial.phase in phases:
                self._reopened.remove(trial)
                return self._job_of_search(trial), False
        if (planned := self._next_proposal(*phases)) is not None:
            self._start(planned)
            self._adopt(planned)
            return self._job_of_search(self.ledger.trials[planned.trial_id]), False
        return None, self._search_is_settled(*phases)

    def _next_proposal(self, *phases: str) -> Planned | None:
        """Return a new trial of the track with the fewest so far, so that arms and ratios are covered evenly."""
        due = [track for track in self._tracks.values() if track.phase in phases and self._is_due(track)]
        if not due:
            return None
        track = min(due, key=lambda track: self._search.opened_trials(track.key))
        if self._deadline and self._deadline.gives_up(self.ledger, self._search.opened_trials(track.key)):
            return None
        reference = {} if track.arm == "vanilla" else self._reference(track.imbalance_ratio).config
        values = self._search.propose(track.key, first_values(self.config, track, reference))
        settings = trial_settings(self.config, track, reference, values)
        return Planned(track.phase, settings, self.config.replicates)

    def _is_due(self, track: Track) -> bool:
        """Return whether a track gets more trials."""
        return (
            not self._search.is_exhausted(track.key)
            and self._search.opened_trials(track.key) < wanted_trials(track, self.ledger.trial_limit)
            and not (track.phase == "control_search" and self._ends.all_failed(track))
            # What a later launch would add could not replace the reference any more.
            and not (track.phase == "reference_tuning" and self.ledger.reference(track.imbalance_ratio))
        )

    def _searched(self, *phases: str) -> list[TrialRecord]:
        """Return the trials of this study's searches: of all of them, or of those in some phases."""
        return [
            trial
            for trial in self.ledger.of_phase(*(phases or SEARCH_PHASES))
            if (trial.arm, trial.imbalance_ratio) in self._tracks
        ]

    def _reference(self, ratio: float | str) -> TrialRecord:
        if (reference := self.ledger.reference(ratio)) is None:
            raise no_reference(ratio, self.ledger.of_phase("reference_tuning"))
        return reference

    def _is_anchor(self, trial: TrialRecord) -> bool:
        """Return whether a trial is the first of vanilla's search, whose replicates are handed out one by one."""
        return trial is self.ledger.anchor(trial.imbalance_ratio)

    def _job_of_search(self, trial: TrialRecord) -> TrialJob:
        self._running.add((trial.trial_id, 0))
        objective = self.config.objective
        reference = compared_with(self.ledger, trial) or self._reference(trial.imbalance_ratio)
        return self._job(
            trial,
            tuple(range(self.config.replicates)),
            reference=reference.values(objective),
            known=trial.values(objective),
        )

    def _job(
        self, trial: TrialRecord, replicates: tuple[int, ...], **compared: Mapping[int, float]
    ) -> TrialJob:
        return TrialJob(
            trial_id=trial.trial_id,
            phase=trial.phase,
            settings=TrialSettings.from_config(trial.config),
            replicates=replicates,
            objective=self.config.objective,
            threads=max(1, int(self.config.cpus_per_trial)),
            test_sets=CONFIRMED_ON if trial.phase == "confirmation" else tuple(self.config.test_sets),
            keeps_scores=trial.phase == "confirmation",
            **compared,
        )

    def _search_is_settled(self, *phases: str) -> bool:
        tracks = [track for track in self._tracks.values() if track.phase in phases]
        return not any(map(self._is_due, tracks)) and all(
            trial.state != "running" for trial in self._searched(*phases)
        )

    # ---- what comes back ------------------------------------------------------------------------------------

    def trains_too_long(self, job: TrialJob, *more: ReplicateRecord) -> bool:
        """Return whether a trial of a search is infeasible by what it has run: its record, and what that lacks yet."""
        limit, trial = self.config.max_seconds_per_trial, self.ledger.trials[job.trial_id]
        return job.phase in SEARCH_PHASES and too_long(self._times.of(trial, *more), limit) is not None

    def on_replicate(self, job: TrialJob, record: ReplicateRecord) -> None:
        """Record a finished replicate."""
        self._same_fault.is_over()
        self._losses.forget((job.trial_id, job.replicates[-1]))
        self._add_replicate(job.trial_id, record)

    def on_end(self, job: TrialJob, failure: TrialFailed | None) -> None:
        """Record the end of a job: done, stopped by its race, or failed."""
        self._running -= {(job.trial_id, replicate) for replicate in job.replicates}
        trial = self.ledger.trials[job.trial_id]
        if failure is not None:
            self._fail(trial, failure)
        elif job.phase not in SEARCH_PHASES or self._is_anchor(trial):
            for planned in self._of_phase(job.phase):
                if planned.trial_id == job.trial_id:
                    self._finish_if_complete(trial, planned)
        else:
            raced_out = len(trial.replicates) < self.config.replicates
            self._finish(trial, "raced_out" if raced_out else "complete")
            self._search.tell(trial, self.ledger)
            if trial.state == "infeasible":
                self.stopped = self.stopped or self._fruitless_search()

    def on_lost(self, job: TrialJob, death: Death) -> None:
        """Record that a job's process died; what it did not finish is handed out again, a limited number of times."""
        failure = self._losses.failure((job.trial_id, job.replicates[-1]), death)
        trial = self.ledger.trials[job.trial_id]
        if failure is None and job.phase in SEARCH_PHASES and not self._is_anchor(trial):
            self._running -= {(job.trial_id, replicate) for replicate in job.replicates}
            self._reopened.append(trial)
        else:  # what is missing is owed; if it died after its last replicate, nothing is, and it has ended
            self.on_end(job, failure)

    def _add_replicate(self, trial_id: str, record: ReplicateRecord) -> None:
        self.ledger.add_replicate(trial_id, record)
        trial = self.ledger.trials[trial_id]
        self._times.note(trial, record)
        self._notify(trial)
        if PosthocTrials.belong_to(trial):
            self._posthoc.add(trial, record)

    def _finish_if_complete(self, trial: TrialRecord, planned: Planned) -> None:
        if trial.state == "running" and not planned.missing(trial):
            if PosthocTrials.belong_to(trial):
                self._posthoc.finish(trial)
            self._finish(trial, "complete")
            if self._is_anchor(trial):
                self._search.tell(trial, self.ledger)

    def _finish(self, trial: TrialRecord, state: str, failure: TrialFailed | None = None) -> None:
        end: dict[str, Any] = {}
        if failure is not None:
            end = {"error": str(failure), "can_pass": failure.can_pass}
        elif trial.phase in SEARCH_PHASES:
            state, end = searched_end(state, self._times.of(trial), self.config.max_seconds_per_trial)
        self.ledger.finish_trial(trial.trial_id, state, **end)
        if trial.phase in SEARCH_PHASES:
            self._ends.add(trial)
        self._notify(trial)

    def _fail(self, trial: TrialRecord, failure: TrialFailed) -> None:
        if trial.state == "running":
            self._finish(trial, "failed", failure)
            if trial.phase in SEARCH_PHASES:
                self._search.tell(trial, self.ledger)
        same = self._same_fault.stops(trial, failure)
        stopped = (self._fruitless_search(early=True) if trial.phase == "search" else None) or same
        if stopped is None and (PosthocTrials.belong_to(trial) or self._is_anchor(trial)):
            stopped = vanilla_failed(trial, failure)
        self.stopped = self.stopped or stopped

    def _fruitless_search(self, early: bool = False) -> StudyStopped | None:
        """Return that no trial of pre-finetuning is of use: of all that there will be or, early, of the first ones."""
        rivals = [track for track in self._tracks.values() if track.phase == "search"]
        trials = self._searched("search")
        if not any(map(self._is_due, rivals)) and all(trial.state != "running" for trial in trials):
            return fruitless(trials, "All") if self._ends.none_is_of_use(*rivals) else None
        return fruitless(trials, "The first") if early and self._ends.all_failed(*rivals) else None
