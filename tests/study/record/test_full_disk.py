"""A disk that is full: what is recorded stays whole, a clear stop, and going on when there is room again."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import time

import optuna
import pytest

from study.record.folder import unwritable
from study.record.ledger import Ledger
from study.tracking import tracker as tracking
from study.tracking.tracker import Tracker
from tests.study.simulation import SimulatedStudy, run_to_the_end, small_config
from tests.study.tiny_launch import ROOT, command, environment
from tests.study.tracked import launch, replicate, runs_of, small_study
from tests.tiny_encoder import write_tiny_encoder
from trainables.errors import StudyStopped
from trainables.reuse.cache import ContentCache


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that mounts a disk of so many kB."""
    disk = tmp_path / "disk"

    def mount(kilobytes):
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no disk can be mounted here")
        return disk

    yield mount
    if os.path.ismount(disk):
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk):
    """Take all the room that is left; returns the file to remove."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


def test_a_line_of_the_ledger_is_written_whole_or_not_at_all(small_disk):
    disk = small_disk(64)
    ledger = Ledger(disk / "ledger.jsonl")
    ledger.start_trial("t", "search", "prefinetune", 0.1, {"strength": 0.1})
    filler = fill(disk)
    # The page that the file has begun takes some lines more, and the beginning of one.
    written, long = 0, {f"val/recall/{i}": 1 / 3 for i in range(30)}
    with pytest.raises(OSError, match="No space left"):
        for written in range(100):
            ledger.add_replicate("t", replicate(written, 0.5, **long))
    assert 0 < written < 99 and len(ledger.trials["t"].replicates) == written
    read = Ledger(ledger.path)
    assert not read.damaged and len(read.trials["t"].replicates) == written
    filler.unlink()
    ledger.add_replicate("t", replicate(written, 0.5, **long))
    ledger.finish_trial("t", "complete")
    read = Ledger(ledger.path)
    assert not read.damaged and len(read.trials["t"].replicates) == written + 1
    assert read.trials["t"].state == "complete"


def test_the_stop_says_what_is_full_how_much_is_needed_and_what_may_be_removed(small_disk):
    disk = small_disk(256)
    folder = disk / "adme"
    folder.mkdir()
    (folder / "study.json").write_text(json.dumps({"disk_bytes": 400_000_000}))
    ContentCache(disk / "cache").put("stage1", "ab" * 16, b"w" * 40_000)
    fill(disk)
    with pytest.raises(StudyStopped) as stopped, unwritable(folder):
        Ledger(folder / "ledger.jsonl").append("look", replicates=1)
    said = str(stopped.value)
    assert f"The study's folder {folder} cannot be written: [Errno 28] No space left on device" in said
    assert "make room for 400.0 MB (0 bytes are free)" in said
    assert f"{disk / 'cache' / 'stage1'} holds 40.0 kB that are trained again where they are missing" in said
    assert said.endswith("and give the same command again.")


def test_without_facts_the_stop_says_what_it_knows(tmp_path):
    said = r"quota exceeded\. .*: make room \([\d.]+ .B are free\), and give"
    with pytest.raises(StudyStopped, match=said), unwritable(tmp_path):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_a_cache_on_a_full_disk_keeps_what_it_has_and_nothing_half_written(small_disk):
    disk = small_disk(256)
    cache = ContentCache(disk / "cache")
    cache.put("stage1", "ab" * 16, b"before")
    fill(disk)
    cache.offer("stage1", "cd" * 16, b"w" * 100_000)
    assert cache.unwritten == 1 and cache.get("stage1", "ab" * 16) == b"before"
    assert [path.name for path in cache.root.rglob("*") if path.is_file()] == ["ab" * 16]


def test_a_search_goes_on_without_optunas_storage_and_writes_it_anew_when_there_is_room(small_disk, tmp_path):
    disk = small_disk(1024)
    config, said = small_config(imbalance_ratios=(0.1,), trials=4), []
    study = SimulatedStudy(tmp_path, config)
    search = type(study.search)(config, disk / "optuna.db", said.append)
    study.plan._search = search
    filler = fill(disk)
    study.run()
    assert study.plan.complete and len(said) == 1
    assert f"Optuna's storage {disk / 'optuna.db'} cannot be written (" in said[0] and "full" in said[0]
    filler.unlink()
    search.catch_up(study.ledger)
    stored = optuna.load_study(study_name="toy", storage=f"sqlite:///{disk / 'optuna.db'}")
    assert len(stored.trials) == 4 and len(said) == 1


def test_mlflow_on_a_full_disk_gets_everything_once_when_there_is_room(small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "_FIRST_PAUSE_S", 0.0)
    disk, said = small_disk(8192), []
    uri = f"sqlite:///{disk / 'mlflow.db'}"
    ledger = small_study(tmp_path)
    tracker = Tracker(uri, launch(), ledger, say=said.append)
    tracker.update(ledger.trials["v"])
    filler = fill(disk)
    for trial in ledger.trials.values():
        tracker.update(trial)
    tracker.close("KILLED")
    assert any("database or disk is full" in line and "The study goes on" in line for line in said)
    filler.unlink()
    again = Tracker(uri, launch(), ledger, say=said.append)
    for trial in ledger.trials.values():
        again.update(trial)
    again.close("FINISHED")
    assert not again.behind
    runs = runs_of(uri)
    assert set(runs) >= {"v", "t", "u"}


def test_a_study_that_a_full_disk_stopped_goes_on_as_if_nothing_had_been(small_disk, tmp_path):
    config = small_config(imbalance_ratios=(0.1,), trials=3)
    whole = run_to_the_end(tmp_path / "whole", config)
    disk = small_disk(16)
    study = SimulatedStudy(disk, config)
    filler = fill(disk)
    with pytest.raises(OSError, match="No space left"):
        study.run()
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
    again = SimulatedStudy(disk, config)
    assert not again.ledger.damaged
    again.run()
    ends = [
        {t: (r.state, r.values("val/macro_f1")) for t, r in of.ledger.trials.items()} for of in (again, whole)
    ]
    assert again.plan.complete and ends[0] == ends[1]
    # What had ended but could not be recorded is computed again, and nothing else.
    assert len({*study.computed} & {*again.computed}) <= 1


@pytest.mark.slow
def test_a_launch_on_a_disk_that_fills_up_stops_clearly_and_the_same_command_ends_the_study(
    small_disk, tmp_path
):
    disk = small_disk(400_000)
    encoder = write_tiny_encoder(tmp_path / "encoder")
    argv, path = command(encoder, disk), disk / "adme" / "ledger.jsonl"
    given = {
        "cwd": ROOT,
        "env": environment(),
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    driver = subprocess.Popen(argv, **given)
    deadline = time.monotonic() + 300
    while not (path.exists() and b'"event": "replicate"' in path.read_bytes()):
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    filler = fill(disk)
    _, complained = driver.communicate(timeout=300)
    assert driver.returncode == 1 and "Traceback" not in complained, complained
    assert f"{disk / 'adme'} cannot be written" in complained and "No space left on device" in complained
    assert "make room for" in complained and "give the same command again" in complained
    stopped = Ledger(path)
    assert not stopped.damaged
    filler.unlink()
    finished = subprocess.run(argv, **given, timeout=500, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "cannot be read" not in finished.stderr
    events = [json.loads(line) for line in path.read_text().splitlines()]
    computed = [(e["trial_id"], e["replicate"]) for e in events if e["event"] == "replicate"]
    assert len(computed) == len(set(computed))
    assert {trial.state for trial in Ledger(path).trials.values()} <= {"complete", "raced_out"}
