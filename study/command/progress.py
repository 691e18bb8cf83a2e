"""What a launch shows while it runs: a live view on a terminal, plain lines elsewhere. Standard error only."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from study.config.study import StudyConfig
from study.plan.deadline import Expected
from study.plan.tracks import tracks_of
from study.record.gains import gains_of, leading_prefinetuning
from study.record.ledger import Ledger, TrialRecord
from study.verdict.statistics import mean_gain, metric_mean
from study.verdict.words import duration

PHASE_TITLES = {
    "reference_tuning": "tuning vanilla",
    "reference": "reference vanilla",
    "search": "search",
    "control_search": "tuning controls",
    "control": "controls",
    "screening": "screening",
    "confirmation": "confirmation",
}
_LINE_EVERY_S = 30.0
_REFRESH_S = 0.5
_QUICK_S = 0.005


class ProgressView:
    """Show trials done and running, the best gain and the time left.

    Parameters
    ----------
    config
        The study.
    ledger
        Its ledger.
    console
        Where to show it.
    expected
        The study's runs, as planned.
    """

    def __init__(self, config: StudyConfig, ledger: Ledger, console: Console, expected: Expected) -> None:
        self._config = config
        self._ledger = ledger
        self._console = console
        self._expected = expected
        self._searched: dict[str, int] = {}
        for track in tracks_of(config):
            self._searched[track.phase] = self._searched.get(track.phase, 0) + track.trials
        self._started = time.monotonic()
        self._last_line = self._started
        self._progress = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        # Escape codes belong on a screen alone: a dumb terminal shows them, and a forced colour sends them to files.
        self._on_screen = console.is_interactive and console.file.isatty()
        self._tasks: dict[str, TaskID] = {}
        self._live: Live | None = None
        self._rendered = -math.inf
        self._waits = ""
        self._failures_told: set[tuple[str, float | None]] = set()
        self._summary_said, self._summary_holds_until = "", -math.inf

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the live view for as long as the block runs."""
        if not self._on_screen:
            yield
            return
        with Live(self._render(), console=self._console, refresh_per_second=1 / _REFRESH_S) as self._live:
            try:
                yield
            finally:
                self._live.update(self._render())
        self._live = None

    def on_change(self, trial: TrialRecord) -> None:
        """Show that a trial changed: a line when it fails, and without a terminal one when it ends in any way."""
        if self._live is not None:
            end = trial.trial_id, trial.finished
            if trial.state == "failed" and end not in self._failures_told:
                self._failures_told.add(end)
                # It stands above the live view, and stays there.
                self._console.print(self._failure(trial), highlight=False, markup=False, soft_wrap=True)
            self._refresh(self._live)
        elif trial.state != "running" and not self._on_screen:
            self._console.print(self._sentence(trial), highlight=False, markup=False, soft_wrap=True)
            self._last_line = time.monotonic()

    def tick(self, waits: str = "") -> None:
        """Show a sign of life when nothing has changed for a while.

        Parameters
        ----------
        waits
            Why trials wait; empty where they do not.
        """
        self._waits = waits
        if self._live is not None:
            self._refresh(self._live)
        elif time.monotonic() - self._last_line > _LINE_EVERY_S:
            self._console.print(self._summary(), highlight=False, soft_wrap=True)
            self._last_line = time.monotonic()

    def _refresh(self, live: Live) -> None:
        """Update the view as often as the screen shows it; Tune makes many more steps than that."""
        now = time.monotonic()
        if now - self._rendered >= _REFRESH_S:
            self._rendered = now
            live.update(self._render())

    def _render(self) -> Group:
        for phase, title in PHASE_TITLES.items():
            trials = self._ledger.of_phase(phase)
            if not trials:
                continue
            if phase not in self._tasks:
                self._tasks[phase] = self._progress.add_task(title)
            done = sum(trial.state != "running" for trial in trials)
            total = max(len(trials), self._searched.get(phase, 0))
            self._progress.update(self._tasks[phase], completed=done, total=total)
        return Group(self._progress, Text(self._summary()))

    def _sentence(self, trial: TrialRecord) -> str:
        if trial.state == "failed":
            return self._failure(trial)
        parts = [self._heading(trial)]
        metric = self._config.objective
        parts.append(f"{metric} {metric_mean(trial.values(metric).values(), metric).text()}")
        if trial.arm != "vanilla":
            gains = gains_of(self._ledger, trial, metric)
            parts.append(f"gain {mean_gain(gains.values(), metric).text(signed=True)}")
        parts.append(f"{trial.state.replace('_', ' ')} after {len(trial.replicates)} replicates")
        parts += [trial.error] if trial.state == "infeasible" and trial.error else []
        parts += self._shortage(trial)
        return ", ".join(parts) + f", {trial.seconds:.0f} s. {self._summary()}"

    def _heading(self, trial: TrialRecord) -> str:
        return f"{PHASE_TITLES[trial.phase]}: {trial.arm} at ratio {trial.imbalance_ratio}"

    def _failure(self, trial: TrialRecord) -> str:
        return f"{self._heading(trial)} failed: {trial.error or 'no message'}"

    def _shortage(self, trial: TrialRecord) -> list[str]:
        """Say that memory ran out, and what was done about it."""
        at_once = [
            value
            for record in trial.replicates.values()
            for name, value in record.diagnostics.items()
            if name.endswith("_micro_batch")
        ]
        whole = -(-int(trial.config.get("batch_size", 0)) // self._config.workers_per_trial)
        if not at_once or min(at_once) >= whole:
            return []
        return [f"out of memory: {min(at_once):.0f} of {whole} rows at a time, same effective batch"]

    def _summary(self) -> str:
        """Return where the study stands.

        That looks at every trial. In a study of thousands, a sentence holds for a while, so that not more than a
        twentieth of the time goes into it.
        """
        asked = time.monotonic()
        if asked >= self._summary_holds_until:
            self._summary_said = self._summed_up()
            took = time.monotonic() - asked
            self._summary_holds_until = asked + (20 * took if took > _QUICK_S else 0.0)
        return "; ".join(filter(None, (self._summary_said, self._waits)))

    def _summed_up(self) -> str:
        parts = [duration(time.monotonic() - self._started)]
        for phase, title in PHASE_TITLES.items():
            trials = [
                trial for trial in self._ledger.of_phase(phase) if trial.seconds or trial.state == "running"
            ]
            total = self._searched.get(phase, len(trials))
            if trials:
                parts.append(f"{title} {sum(trial.state != 'running' for trial in trials)}/{total}")
        for ratio in self._config.imbalance_ratios:
            best = leading_prefinetuning(self._ledger, ratio, self._config.objective)
            if best is not None:
                metric = self._config.objective
                gain = mean_gain(gains_of(self._ledger, best, metric).values(), metric)
                parts.append(f"best gain at {ratio}: {gain.text(signed=True)}")
        if left := self._expected.seconds_left(self._ledger):
            parts.append(f"about {duration(left)} left")
        return "; ".join(parts)
