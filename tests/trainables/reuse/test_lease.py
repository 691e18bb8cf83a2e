"""One process makes an entry, the others wait; a dead holder is replaced; no lease is better than no result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from trainables.reuse.lease import lease, lease_file

MAKER = """
import os, pathlib, sys, time
from trainables.reuse.lease import lease
entry, log, seconds = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
with lease(entry) as mine:
    if mine:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(seconds)
        part = entry.with_name(f"part-{os.getpid()}")
        part.write_text("made")
        os.replace(part, entry)
    assert entry.read_text() == "made"
"""


def start(entry, log, seconds):
    """Start a process that makes the entry when told to."""
    command = [sys.executable, "-c", MAKER, str(entry), str(log), str(seconds)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_of_many_processes_one_makes_the_entry(tmp_path):
    entry, log = tmp_path / "deep" / "folder" / "entry", tmp_path / "log"
    makers = [start(entry, log, 0.3) for _ in range(4)]
    for maker in makers:
        go(maker)
    assert [maker.wait(30) for maker in makers] == [0] * 4
    assert len(log.read_text().splitlines()) == 1
    assert [path.name for path in entry.parent.iterdir()] == ["entry"]


def test_a_killed_holder_is_replaced_at_once_on_its_own_machine(tmp_path):
    entry, log = tmp_path / "entry", tmp_path / "log"
    first = start(entry, log, 60)
    go(first)
    wait_for(lambda: log.exists() and log.read_text())
    second = start(entry, log, 0)
    go(second)
    first.send_signal(signal.SIGKILL)
    first.wait()
    started = time.monotonic()
    assert second.wait(20) == 0
    assert time.monotonic() - started < 5
    assert len(log.read_text().splitlines()) == 2
    assert not lease_file(entry).exists()


def test_a_holder_elsewhere_is_replaced_when_its_heartbeat_stops(tmp_path):
    entry = tmp_path / "entry"
    lease_file(entry).write_text('{"machine": "elsewhere", "process": 1, "token": "a", "beats": 3}')
    started = time.monotonic()
    with lease(entry, stale_s=0.3) as mine:
        assert mine
        assert "elsewhere" not in lease_file(entry).read_text()
    assert 0.3 <= time.monotonic() - started < 5


@pytest.mark.parametrize("content", ["", "{", "[]", '{"machine": 1}'])
def test_a_lease_that_says_nothing_is_replaced_as_well(tmp_path, content):
    entry = tmp_path / "entry"
    lease_file(entry).write_text(content)
    with lease(entry, stale_s=0.1) as mine:
        assert mine


def test_a_slow_holder_that_beats_is_not_replaced(tmp_path):
    entry, makers = tmp_path / "entry", []

    def make(seconds):
        with lease(entry, stale_s=0.4, heartbeat_s=0.05) as mine:
            if mine:
                makers.append(threading.get_ident())
                time.sleep(seconds)
                entry.write_text("made")

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(make, [1.2, 1.2, 1.2]))
    assert len(makers) == 1


def test_a_waiter_takes_over_from_a_holder_that_fails(tmp_path):
    entry = tmp_path / "entry"
    holding = threading.Event()

    def fail():
        with pytest.raises(ZeroDivisionError), lease(entry) as mine:
            assert mine
            holding.set()
            time.sleep(0.1)
            raise ZeroDivisionError

    with ThreadPoolExecutor(1) as threads:
        failed = threads.submit(fail)
        assert holding.wait(10)
        with lease(entry) as mine:
            assert mine
        failed.result()


def test_the_entry_is_enough_for_a_waiter(tmp_path):
    """Its holder may be killed between the entry and the end of the lease."""
    entry = tmp_path / "entry"
    lease_file(entry).write_text('{"machine": "elsewhere", "process": 1}')
    entry.write_text("made")
    with lease(entry) as mine:
        assert not mine


def test_a_holder_that_was_replaced_leaves_the_new_lease_alone(tmp_path):
    entry = tmp_path / "entry"
    with lease(entry):
        lease_file(entry).unlink()
        lease_file(entry).write_text("somebody else's")
    assert lease_file(entry).read_text() == "somebody else's"


@pytest.mark.parametrize("error", [PermissionError, OSError(95, "not supported")])
def test_without_a_lease_everybody_makes_the_entry(tmp_path, monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(os, "open", refuse)
    with lease(tmp_path / "entry") as mine:
        assert mine
    assert list(tmp_path.iterdir()) == []


def test_a_dead_holders_lease_that_cannot_be_removed_is_not_waited_for(tmp_path, monkeypatch):
    entry = tmp_path / "entry"
    lease_file(entry).write_text('{"machine": "elsewhere", "process": 1, "token": "a", "beats": 3}')

    def refuse(path, missing_ok=False):
        raise PermissionError

    with monkeypatch.context() as refused:
        refused.setattr("pathlib.Path.unlink", refuse)
        with lease(entry, stale_s=0.1) as mine:
            assert mine
    assert "elsewhere" in lease_file(entry).read_text()


def test_a_lease_that_cannot_be_read_is_waited_for_no_longer_than_a_dead_holder(tmp_path, monkeypatch):
    entry = tmp_path / "entry"
    lease_file(entry).write_text('{"machine": "elsewhere", "process": 1, "token": "a", "beats": 3}')

    def refuse(path, **how):
        raise PermissionError

    started = time.monotonic()
    with monkeypatch.context() as refused:
        refused.setattr("pathlib.Path.read_text", refuse)
        with lease(entry, stale_s=0.3) as mine:
            assert mine
    assert 0.3 <= time.monotonic() - started < 5
    assert lease_file(entry).exists()
