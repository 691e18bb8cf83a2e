"""What is done after a failure never hides it, though every writer may meet the full disk that was the failure."""

from __future__ import annotations

import errno
import io
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from study.command import conduct as conducting
from study.command import ending as endings
from study.command.conduct import CheckedStudy, Times, conduct
from study.command.ending import Ending
from study.plan.deadline import NOTHING_EXPECTED
from study.record.folder import StudyFolder
from study.record.ledger import Ledger
from study.verdict.comparison import build_comparison, load_study
from tests.study.conftest import write_study
from tests.study.simulation import small_config
from trainables.errors import StudyStopped


def full(*args, **values):
    raise OSError(errno.ENOSPC, "No space left on device")


class FakeTracker:
    def __init__(self, refuses=False):
        self.behind = False
        self.refuses = refuses
        self.did = []
        self.logged = {}

    def log_artifacts(self, paths):
        self.did.append("artifacts")
        self.logged.update({path.name: path for path in paths})

    def close(self, status):
        self.did.append(status)
        if self.refuses:
            full()


@pytest.fixture
def make_ending(tmp_path):
    def make(**options):
        ledger = write_study(tmp_path)
        folder = StudyFolder(tmp_path, "adme")
        said = []
        return Ending(
            folder,
            load_study(tmp_path, "adme")[0],
            ledger,
            FakeTracker(**options),
            said.append,
        ), said

    return make


@pytest.mark.parametrize(
    ("failure", "status"),
    [(StudyStopped("No space left"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (ValueError(), "FAILED")],
)
def test_after_a_failure_mlflow_is_closed_and_the_report_written(make_ending, failure, status):
    ending, said = make_ending()
    ending.after(failure)
    assert ending.tracker.did == [status, "artifacts"]
    assert (ending.folder.root / "report.html").exists()
    assert said == (["Interrupted: the same command goes on where it stopped."] if status == "KILLED" else [])


def test_writers_that_fail_after_a_failure_are_told_in_a_line_each(make_ending, monkeypatch):
    ending, said = make_ending(refuses=True)
    monkeypatch.setattr(os, "fsync", full)
    ending.after(StudyStopped("the first fault"))
    assert len(said) == 2 and said[0].startswith("MLflow could not be brought up to date: [Errno 28]")
    assert said[1].startswith("The report could not be written: ") and "No space left" in said[1]


def test_a_report_that_cannot_be_written_stops_a_launch_that_was_done(make_ending, monkeypatch):
    ending, _ = make_ending()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudyStopped, match=r"No space left.*same command again"):
        ending.finish(build_comparison(ending.ledger, ending.facts))
    assert ending.tracker.did == ["FINISHED"]


def test_a_launch_that_was_done_gives_mlflow_the_report_and_its_figures(make_ending):
    ending, _ = make_ending()
    ending.finish(build_comparison(ending.ledger, ending.facts))
    assert ending.tracker.did[-1] == "FINISHED", "the figures come before MLflow is closed"
    assert ending.tracker.logged.keys() == {"report.html", "study.json", "figures"}
    figures = {path.name for path in ending.tracker.logged["figures"].iterdir()}
    assert {"gain.svg", "cost-0.1.svg", "search-0.1.svg"} <= figures


def test_a_driver_that_hangs_is_ended_with_a_last_word(make_ending, monkeypatch):
    class Ended(BaseException):
        pass

    def exit_process(code):
        raise Ended(code)

    monkeypatch.setattr(endings.os, "_exit", exit_process)
    ending, said = make_ending()
    with pytest.raises(Ended, match="1"):
        ending.at_once(StudyStopped("The raylet ended: give the same command again."))
    assert said[-1] == "Stopped: The raylet ended: give the same command again."
    with pytest.raises(Ended, match="130"):
        ending.at_once(None)
    assert ending.tracker.did == ["FAILED", "artifacts", "KILLED", "artifacts"]


@pytest.fixture
def conducted(tmp_path, monkeypatch):
    """Return a function that conducts a study whose disk is full at one writer."""

    class Trackers(FakeTracker):
        def __init__(self, *args):
            super().__init__()
            made.append(self)

    made = []
    monkeypatch.setattr(conducting, "Tracker", Trackers)
    monkeypatch.setattr(conducting, "_launch_of", lambda study: None)

    def run(owner, name):
        write_study(tmp_path, trials=0)
        folder = StudyFolder(tmp_path, "adme")
        facts = load_study(tmp_path, "adme")[0]
        monkeypatch.setattr(owner, name, full)
        config = small_config(name="adme", reference_space={"stage2_learning_rate": (3e-5, 1e-4)})
        study = CheckedStudy(
            config,
            folder,
            facts,
            SimpleNamespace(digest="0"),
            None,
            None,
            None,
            Times(time.time(), NOTHING_EXPECTED, 0.0, 0.0),
        )
        console = Console(file=io.StringIO())
        with pytest.raises(StudyStopped) as stopped:
            conduct(study, console)
        return str(stopped.value), made

    return run


@pytest.mark.parametrize(
    ("owner", "name", "opened"),
    [
        (os, "fsync", False),  # study.json
        (Ledger, "append", False),  # a trial of an earlier launch is reopened
        (conducting, "GainSearch", True),  # Optuna's storage
        (conducting, "Plan", True),  # what a killed driver left
        (conducting, "run_plan", True),  # Tune's own files
    ],
)
def test_a_full_disk_is_told_whoever_writes_first(conducted, monkeypatch, owner, name, opened):
    if owner is Ledger:
        monkeypatch.setattr(conducting, "reopen_searched", lambda config, ledger: ledger.append("x"))
    said, trackers = conducted(owner, name)
    assert "No space left on device" in said and "give the same command again" in said
    assert [tracker.did[0] for tracker in trackers] == (["FAILED"] if opened else [])


def test_a_lock_is_taken_on_a_full_disk(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path, "adme")
    folder.root.mkdir()
    real = Path.open

    def open_full(self, *args, **options):
        file = real(self, *args, **options)
        return file if self.name != "lock" else Full(file)

    class Full:
        def __init__(self, file):
            self._file = file
            self.fileno = file.fileno

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self._file.close()

        def truncate(self, size):
            full()

    monkeypatch.setattr(Path, "open", open_full)
    with folder.locked():
        pass


def test_a_folder_that_is_gone_read_only_is_told_at_the_lock(tmp_path, monkeypatch):
    def read_only(*args, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(StudyStopped, match="Read-only file system"), StudyFolder(tmp_path, "adme").locked():
        raise AssertionError


def test_the_facts_of_the_study_are_whole_or_the_old_ones(tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path, "adme")
    folder.write_facts({"study_id": "one"})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder.write_facts({"study_id": "two"})
    assert json.loads(folder.facts.read_text()) == {"study_id": "one"}
    assert [path.name for path in folder.root.iterdir()] == ["study.json"]
