"""A study without training: made-up scores go through the real plan, search, race and ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from study.config.study import StudyConfig
from study.plan.confirmation import Decided
from study.plan.deadline import Deadline
from study.plan.owed import reopen_searched
from study.plan.plan import Plan
from study.plan.search import GainSearch
from study.record.ledger import Ledger
from study.run.racing import RatioRacing
from trainables.errors import TrialFailed
from trainables.seeds import generator
from trainables.settings import TrialSettings
from trainables.trial import ReplicateRecord, TrialJob

METRIC = "val/macro_f1"


def small_config(**changes: Any) -> StudyConfig:
    values: dict[str, Any] = {
        "name": "toy",
        "preset": "smoke",
        "corpus": "none",
        "imbalance_ratios": ("natural", 0.1),
        "space": {
            "strength": (0.05, 0.1, 0.2),
            "stage1_epochs": (1.0, 2.0),
            "stage2_learning_rate": (5e-5, 1e-4),
        },
        "first": {"strength": 0.1, "stage1_epochs": 1.0, "stage2_learning_rate": 1e-4},
        "reference_space": {"stage2_learning_rate": (5e-5, 1e-4)},
        "trials": 6,
        "replicates": 3,
    }
    return StudyConfig(**{**values, **changes})


def score(settings: TrialSettings, replicate: int) -> float:
    """A deterministic stand-in for a validation metric: a hump over strength, plus the replicate's luck."""
    luck = generator(1, "luck", replicate).normal() * 0.1
    own = generator(1, f"own/{settings.digest()}", replicate).normal() * 0.01
    gain = 0.0 if settings.arm == "vanilla" else 0.1 - abs(settings.strength - 0.2)
    return float(0.6 + luck + own + gain + 1000 * settings.stage2_learning_rate)


class Killed(Exception):
    """Stands for kill -9: nothing after it is done."""


class MortalLedger(Ledger):
    """A ledger whose driver dies right after a given number of events."""

    def __init__(self, path: Path, events: int) -> None:
        super().__init__(path)
        self._left = events

    def append(self, event: str, **values: Any) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        super().append(event, **values)


class SimulatedStudy:
    """Runs a plan one job at a time, as one Tune slot would, and counts what it computes."""

    def __init__(
        self,
        folder: Path,
        config: StudyConfig,
        kill_after: int | None = None,
        die_after_events: int | None = None,
        fails: Callable[[TrialJob], bool] = lambda job: False,
        failures_can_pass: bool = False,
        stores_optuna: bool = False,
        decided: Decided = lambda replicates: frozenset(),
        deadline: Deadline | None = None,
    ) -> None:
        self.config = config
        path = folder / "ledger.jsonl"
        self.ledger = Ledger(path) if die_after_events is None else MortalLedger(path, die_after_events)
        reopen_searched(config, self.ledger)
        # To make Optuna's file takes a second, which few tests need.
        self.search = GainSearch(config, folder / "optuna.db" if stores_optuna else None)
        self.search.replay(self.ledger)
        self.plan = Plan(config, self.ledger, self.search, decided=decided, deadline=deadline)
        self.racing = RatioRacing(config, lambda job, result: self.plan.trains_too_long(job))
        self.racing.replay(self.ledger, config.objective)
        self.computed: list[tuple[str, int]] = []
        self._kill_after = kill_after
        self._fails = fails
        self._can_pass = failures_can_pass
        self.jobs: list[TrialJob] = []

    def run(self) -> None:
        while (job := self.plan.next_job()) is not None:
            self._run_job(job)

    def _run_job(self, job: TrialJob) -> None:
        trial = SimpleNamespace(
            trial_id=f"tune-{len(self.jobs)}",
            config={"job": job},
        )
        self.jobs.append(job)
        self.racing.on_trial_add(None, trial)
        if self._fails(job):
            self.plan.on_end(job, TrialFailed("made to fail", can_pass=self._can_pass))
            return
        values = []
        for done, replicate in enumerate(job.replicates, start=1):
            if replicate in job.known:
                value = job.known[replicate]
            else:
                value = score(job.settings, replicate)
                self._compute(job, replicate, value)
            values.append(value - job.reference.get(replicate, 0.0))
            result = {
                "replicates": done,
                "objective": sum(values) / done,
                "failure": None,
                "training_iteration": done,
            }
            if self.racing.on_trial_result(None, trial, result) == "STOP":
                break
        self.plan.on_end(job, None)

    def _compute(self, job: TrialJob, replicate: int, value: float) -> None:
        if self._kill_after is not None and len(self.computed) >= self._kill_after:
            raise Killed
        self.computed.append((job.trial_id, replicate))
        metrics = {METRIC: value, "val/recall/a": value}
        metrics |= {f"{name}/{METRIC.partition('/')[2]}": value - 0.1 for name in job.test_sets}
        posthoc = {name: v + 0.01 for name, v in metrics.items()}
        diagnostics = {"stage1_steps": 10.0, "stage2_steps": 20.0}
        diagnostics |= {"stage1_seconds": 5 * job.settings.stage1_epochs, "stage2_seconds": 10.0}
        self.plan.on_replicate(job, ReplicateRecord(replicate, metrics, 1.0, diagnostics, posthoc))


def run_to_the_end(folder: Path, config: StudyConfig, **options: Any) -> SimulatedStudy:
    """Run a simulated study in a folder, which is made where it is not there."""
    folder.mkdir(exist_ok=True)
    study = SimulatedStudy(folder, config, **options)
    study.run()
    return study


def die_and_go_on(
    folder: Path, config: StudyConfig, die_after: int, **both: Any
) -> tuple[SimulatedStudy, list[tuple[str, int]]]:
    """Let a driver die after so many events and a second one go on; return that one, and what both computed."""
    computed = []
    for options in ({"die_after_events": die_after}, {}):
        study = SimulatedStudy(folder, config, **options, **both)
        with contextlib.suppress(Killed):
            study.run()
        computed += study.computed
    return study, computed
