"""Kill a benchmark, or a launch: nothing of it is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tiny_encoder import write_tiny_encoder

ROOT = Path(__file__).parents[2]
MARK = "STUDY_TEST_OF_CHILDREN"  # in the environment, which children inherit
BENCHMARK = """
import os, sys, time
from benchmarks.processes import process_pool

def work(how):
    print(os.getpid(), flush=True)
    if how == "busy":
        while True:
            pass

if __name__ == "__main__":
    with process_pool(1) as idle, process_pool(1) as busy:
        idle.submit(work, "idle").result()
        busy.submit(work, "busy").result()
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds children in /proc")


def left_of(driver):
    """Return the processes with the driver's mark, zombies left aside."""
    mark, found = f"{MARK}={driver.mark}".encode(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):  # it has just ended, or is another user's
            continue
    return found


def start(command, folder):
    mark = str(folder)
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_"))}
    driver = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**ours, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    driver.mark = mark
    return driver


def kill_and_wait(driver, sent, seconds):
    """Kill the driver alone; return what is left of it after at most so many seconds, and see to its end."""
    driver.send_signal(sent)
    deadline = time.monotonic() + seconds
    while (left := left_of(driver)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        os.kill(process, signal.SIGKILL)
    driver.wait()
    return left


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_idle_and_busy_processes_end_with_a_killed_benchmark(sent, tmp_path):
    script = tmp_path / "benchmark.py"
    script.write_text(BENCHMARK)
    driver = start([sys.executable, str(script)], tmp_path)
    children = [int(driver.stdout.readline()) for _ in range(2)]
    assert set(left_of(driver)) >= {driver.pid, *children}
    assert kill_and_wait(driver, sent, seconds=10) == {}


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_of_a_killed_launch_is_left(sent, tmp_path):
    encoder = write_tiny_encoder(tmp_path / "encoder")
    command = [
        sys.executable, "-m", "study.launch", "adme", "--data", "sample", "--preset", "smoke",
        "--encoder", str(encoder), "--storage", str(tmp_path), "--set=encoder_layers=null", "--set=max_length=32",
    ]  # fmt: skip
    driver = start(command, tmp_path)
    ledger, deadline = tmp_path / "adme" / "ledger.jsonl", time.monotonic() + 300
    while not (ledger.exists() and '"replicate"' in ledger.read_text()):
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    names = left_of(driver).values()
    assert any("raylet" in name for name in names) and any("ray::" in name for name in names)
    assert kill_and_wait(driver, sent, seconds=30) == {}
