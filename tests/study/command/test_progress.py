"""Where progress is a live view, and where it is lines."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from study.command.progress import ProgressView
from study.plan.deadline import NOTHING_EXPECTED
from tests.study.simulation import run_to_the_end, small_config


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "variables", "is_live"),
    [
        (Screen, {"TERM": "xterm"}, True),
        (Screen, {"TERM": "dumb"}, False),
        (io.StringIO, {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_only_a_screen_gets_a_live_view_all_else_gets_lines(tmp_path, monkeypatch, file, variables, is_live):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    study = run_to_the_end(tmp_path, small_config(trials=1))
    written = file()
    view = ProgressView(study.config, study.ledger, Console(file=written, width=200), NOTHING_EXPECTED)
    with view.shown():
        view.on_change(study.ledger.of_phase("search")[0])
    lines = written.getvalue()
    assert ("\x1b[?25l" in lines) == is_live  # hides the cursor
    assert ("search: prefinetune at ratio" in lines) == (not is_live)


def test_a_failure_is_told_once_with_its_cause_above_the_live_view(tmp_path, monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    study = run_to_the_end(tmp_path, small_config(trials=1))
    [trial] = study.ledger.of_phase("search")
    study.ledger.finish_trial(trial.trial_id, "failed", "OSError: no room [/here]")
    written = Screen()
    view = ProgressView(study.config, study.ledger, Console(file=written, width=200), NOTHING_EXPECTED)
    with view.shown():
        view.on_change(trial)
        view.on_change(trial)
    assert written.getvalue().count("failed: OSError: no room [/here]") == 1


def test_every_phase_is_told(tmp_path):
    study = run_to_the_end(tmp_path, small_config(confirmation_replicates=2, finalists=1))
    written = io.StringIO()
    view = ProgressView(study.config, study.ledger, Console(file=written, width=400), NOTHING_EXPECTED)
    for trial in study.ledger.trials.values():
        view.on_change(trial)
    lines = written.getvalue()
    for title in ("tuning vanilla", "reference vanilla", "search", "screening", "confirmation"):
        assert f"{title}: " in lines
    assert re.search(r"screening \d+/\d+; confirmation \d+/\d+", lines)


def test_what_trials_wait_for_is_part_of_the_sign_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr("study.command.progress._LINE_EVERY_S", -1.0)
    study = run_to_the_end(tmp_path, small_config(trials=1))
    written = io.StringIO()
    view = ProgressView(study.config, study.ledger, Console(file=written, width=400), NOTHING_EXPECTED)
    for waits in ("waiting for nodes: a trial asks for 1 x (4 CPUs), and there is no node", ""):
        view.tick(waits)
    first, second = written.getvalue().splitlines()
    assert first == f"{second}; waiting for nodes: a trial asks for 1 x (4 CPUs), and there is no node"
