"""The ledger: an append-only JSON Lines file in the study's folder, the only source of truth about what was done.

One driver writes it. Everything else (MLflow, comparison, report, resuming) is read from it, so that a
driver killed at any moment loses at most the line it was writing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.record.lines import DamagedLine, UnreadableLine, event_of, line_of
from trainables.method.conditions import unread_settings
from trainables.trial import ReplicateRecord

PHASES = ("reference_tuning", "reference", "search", "control_search", "control", "screening", "confirmation")
# Phases whose trials a search proposes and which race: those of vanilla, of pre-finetuning and of tuned controls.
SEARCH_PHASES = ("reference_tuning", "search", "control_search")
# Phases whose trials run on replicates that no search has seen.
FRESH_PHASES = ("screening", "confirmation")
FINISHED = ("complete", "raced_out", "infeasible", "failed")
MATCHED_TO = "matched_to"
_TOLD = "damage_told"


@dataclass
class TrialRecord:
    """Everything known about one trial.

    Attributes
    ----------
    trial_id
        Identity that survives a restart: phase, arm and a digest of the configuration.
    phase
        One of :data:`PHASES`.
    state
        ``running`` or one of :data:`FINISHED`.
    config
        Its settings.
    matched_to
        The trial whose settings or number of steps a control takes; None if it takes neither.
    replicates
        Records by replicate index.
    error
        What went wrong, for a failed trial, or why it is infeasible.
    can_pass
        Whether that cause may be gone at a later launch.
    training_seconds
        Of a replicate on average, for a trial of a search that has ended, see :mod:`study.plan.training_time`; None
        where an earlier version wrote its end.
    """

    trial_id: str
    phase: str
    arm: str
    imbalance_ratio: float | str
    config: dict[str, Any]
    state: str = "running"
    replicates: dict[int, ReplicateRecord] = field(default_factory=dict)
    error: str | None = None
    can_pass: bool = False
    started: float = 0.0
    finished: float | None = None
    matched_to: str | None = None
    training_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of work over all replicates."""
        return sum(record.seconds for record in self.replicates.values())

    @property
    def read(self) -> dict[str, Any]:
        """Its settings but for those that its other values leave without effect."""
        unread = unread_settings(self.config)
        return {name: value for name, value in self.config.items() if name not in unread}

    def values(self, metric: str) -> dict[int, float]:
        """Return one metric by replicate."""
        return {r: rec.metrics[metric] for r, rec in sorted(self.replicates.items()) if metric in rec.metrics}


def stored_config(config: Mapping[str, Any], matched_to: str | None) -> dict[str, Any]:
    """Return settings in the form used in ledger lines and trial identities: with the trial they are matched to."""
    return {**config, **({} if matched_to is None else {MATCHED_TO: matched_to})}


class Ledger:
    """Read, fold and append the events of one study.

    Parameters
    ----------
    path
        The file; created with its folder at the first append.

    Attributes
    ----------
    trials
        Everything known, by trial.
    looks
        Numbers of confirmed replicates at which verdicts were given.
    damaged
        The lines that cannot be read and of which no launch has told; what they recorded is missing.
    trial_limit
        Number of trials that each search may still have at a ratio, where time ran short; None: as many as planned.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials: dict[str, TrialRecord] = {}
        self._by_phase: dict[str, list[TrialRecord]] = {}
        self.looks: set[int] = set()
        self.trial_limit: int | None = None
        self._earlier_s = 0.0  # what launches before the last one took
        self._began: float | None = None
        self._last = 0.0
        self._budget: float | None = None
        self._launch: Mapping[str, Any] | None = None  # not written yet
        self.damaged: list[DamagedLine] = []
        told: set[int] = set()
        for number, line in enumerate(self._lines(), start=1):
            try:
                event = event_of(line)
                self._fold(event)
                told |= {*event["lines"]} if event["event"] == _TOLD else set()
            except UnreadableLine as damage:
                self.damaged.append(DamagedLine(number, str(damage), line))
            except (ValueError, KeyError, TypeError, AttributeError):
                self.damaged.append(DamagedLine(number, "it holds no event", line))
        self.damaged = [line for line in self.damaged if line.number not in told]

    def _lines(self) -> Iterator[bytes]:
        if self.path.exists():
            with self.path.open("rb") as file:
                yield from file

    def note_told(self) -> None:
        """Record that the damaged lines were told, so that only this launch tells of them."""
        self.append(_TOLD, lines=[line.number for line in self.damaged])
        self.damaged = []

    def _fold(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "trial_started":
            known = self.trials.get(event["trial_id"])
            if known is None:
                config = dict(event["config"])
                trial = self.trials[event["trial_id"]] = TrialRecord(
                    trial_id=event["trial_id"],
                    phase=event["phase"],
                    arm=event["arm"],
                    imbalance_ratio=event["imbalance_ratio"],
                    matched_to=config.pop(MATCHED_TO, None),
                    config=config,
                    started=event["time"],
                )
                self._by_phase.setdefault(trial.phase, []).append(trial)
            else:
                known.state, known.error, known.finished, known.can_pass = "running", None, None, False
        elif kind == "replicate":
            self._begun(event["trial_id"]).replicates[event["replicate"]] = ReplicateRecord(
                event["replicate"],
                event["metrics"],
                event["seconds"],
                event["diagnostics"],
                event["posthoc"],
                event.get("gpu", ""),
            )
        elif kind == "trial_finished":
            trial = self._begun(event["trial_id"])
            trial.state, trial.error, trial.finished = event["state"], event.get("error"), event["time"]
            trial.can_pass = event.get("can_pass", False)
            trial.training_seconds = event.get("training_seconds")
        elif kind == "look":
            self.looks.add(int(event["replicates"]))
        elif kind == "trial_limit":
            self.trial_limit = event["trials"]
        elif kind == "launched":
            self._earlier_s, self._began = self.seconds_taken(), float(event["began"])
            if event["budget_s"] != self._budget:
                self.trial_limit = None  # what there was no time for in another budget
            self._budget = event["budget_s"]
        self._last = event.get("time", self._last)

    def seconds_taken(self, now: float | None = None) -> float:
        """Return how long the launches took together, the last one until its last event, or until now.

        The time between two launches does not count. Launches of earlier versions did not record when they began.
        """
        if self._began is None:
            return 0.0
        return self._earlier_s + max(0.0, (self._last if now is None else now) - self._began)

    def _begun(self, trial_id: str) -> TrialRecord:
        if trial_id not in self.trials:
            raise UnreadableLine("no line before it says what that trial is")
        return self.trials[trial_id]

    def launch(self, began: float, budget_s: float | None) -> None:
        """Record that a launch began.

        That is written with the first thing that the launch does: one that has nothing to do leaves no trace, and takes
        none of the study's time.

        Parameters
        ----------
        began
            When, as :func:`time.time` tells it.
        budget_s
            Seconds that the study may take over all launches; None: as many as it takes.
        """
        self._launch = {"event": "launched", "time": began, "began": began, "budget_s": budget_s}
        self._fold(self._launch)

    def end_launch(self) -> None:
        """Record that the launch ended, if it did anything."""
        if self._launch is None:
            self.append("ended")

    def append(self, event: str, **values: Any) -> None:
        """Append one event and fold it into memory."""
        record = {"event": event, "time": time.time(), **values}
        self._write(*([] if self._launch is None else [self._launch]), record)
        self._launch = None
        self._fold(record)

    def _write(self, *records: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer, which would be written once more when the file is closed.
        with self.path.open("ab+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            content = b"".join(map(line_of, records))
            if size > 0:
                file.seek(-1, os.SEEK_END)
                content = content if file.read(1) == b"\n" else b"\n" + content
            try:
                while content:
                    content = content[file.write(content) :]
                # What a killed driver wrote is safe anyway; fsync protects against a machine that goes down.
                if records[-1]["event"] == "trial_finished":
                    os.fsync(file.fileno())
            except OSError:
                # A full disk takes the beginning of a line; what was not recorded as a whole is not recorded at all.
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise

    def start_trial(
        self,
        trial_id: str,
        phase: str,
        arm: str,
        imbalance_ratio: float | str,
        config: Mapping[str, Any],
        matched_to: str | None = None,
    ) -> None:
        """Record that a trial starts, or starts again after a restart."""
        self.append(
            "trial_started",
            trial_id=trial_id,
            phase=phase,
            arm=arm,
            imbalance_ratio=imbalance_ratio,
            config=stored_config(config, matched_to),
        )

    def restart_trial(self, trial: TrialRecord) -> None:
        """Record that a trial which had ended starts again; it keeps its replicates."""
        self.start_trial(
            trial.trial_id, trial.phase, trial.arm, trial.imbalance_ratio, trial.config, trial.matched_to
        )

    def add_replicate(self, trial_id: str, record: ReplicateRecord) -> None:
        """Record one finished replicate."""
        on = {"gpu": record.gpu} if record.gpu else {}
        self.append(
            "replicate",
            trial_id=trial_id,
            replicate=record.replicate,
            metrics=record.metrics,
            seconds=record.seconds,
            diagnostics=record.diagnostics,
            posthoc=record.posthoc,
            **on,
        )

    def finish_trial(
        self,
        trial_id: str,
        state: str,
        error: str | None = None,
        can_pass: bool = False,
        training_seconds: float | None = None,
    ) -> None:
        """Record the end of a trial; ``state`` is one of :data:`FINISHED`."""
        known = {} if training_seconds is None else {"training_seconds": training_seconds}
        self.append("trial_finished", trial_id=trial_id, state=state, error=error, can_pass=can_pass, **known)

    def of_phase(self, *phases: str) -> list[TrialRecord]:
        """Return the trials of some phases in the order in which they started."""
        if len(phases) == 1:
            return list(self._by_phase.get(phases[0], ()))
        return [trial for trial in self.trials.values() if trial.phase in phases]

    def anchor(self, imbalance_ratio: float | str) -> TrialRecord | None:
        """Return the first trial of vanilla's search at a ratio, or None before it exists.

        The others are compared with it, on the same replicates, until the search has found the reference.
        """
        for trial in self.of_phase("reference_tuning"):
            if trial.imbalance_ratio == imbalance_ratio:
                return trial
        return None

    def reference(self, imbalance_ratio: float | str) -> TrialRecord | None:
        """Return the reference vanilla of a ratio, or None before it exists."""
        for trial in self.of_phase("reference"):
            if trial.arm == "vanilla" and trial.imbalance_ratio == imbalance_ratio:
                return trial
        return None
