"""What ends a command, ends it in order; a second signal ends it at once. Each case is a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.default_signals import default_signals

ROOT = Path(__file__).parents[3]
COMMAND = """
import argparse, sys, time
from study.command.cli import run_command
from study.run.signals import ENDING_SIGNALS

def wait(args):
    print("ready", flush=True)
    time.sleep(60)

def work_in_steps(args):
    with ENDING_SIGNALS.held():
        print("ready", flush=True)
        try:
            time.sleep(0.4)
            print("the step is done", flush=True)
            ENDING_SIGNALS.check()
        except KeyboardInterrupt:
            print("left", flush=True)
            raise

def never_end(args):
    try:
        wait(args)
    except KeyboardInterrupt:
        print("closing", flush=True)
        time.sleep(60)

def load(args):
    exec("wait(None)", globals())

def start_ray(args):
    import signal
    with ENDING_SIGNALS.kept():
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
        if args.early:
            print("ready", flush=True)
            time.sleep(60)
    wait(args)

parser = argparse.ArgumentParser(prog="command")
parser.add_argument("--early", action="store_true")
parser.add_argument("what")
sys.exit(run_command(lambda args: globals()[args.what](args), parser))
"""


@pytest.fixture
def start(tmp_path):
    """Start the command as a module, since `python -m` ends otherwise than `python -c`."""
    (tmp_path / "command_to_end.py").write_text(COMMAND)

    def run(*what, **options):
        process = subprocess.Popen(
            [sys.executable, "-m", "command_to_end", *what],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"preexec_fn": default_signals, **options},
        )
        assert process.stdout.readline() == "ready\n"
        return process

    return run


def end(process):
    said, complained = process.communicate(timeout=20)
    assert "Traceback" not in complained
    return process.returncode, said.split("\n"), complained


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_the_signal_is_told_and_gives_the_exit_code(start, number, code, said):
    process = start("wait")
    process.send_signal(number)
    ended = end(process)
    assert ended[0] == code and f"command: {said}" in ended[2]


def test_the_exit_code_is_kept_where_modules_were_loading(start):
    process = start("load")
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 143


def test_a_step_is_finished_before_the_signal_counts(start):
    process = start("work_in_steps")
    process.send_signal(signal.SIGTERM)
    assert end(process)[:2] == (143, ["the step is done", "left", ""])


def test_signals_that_come_together_are_one(start):
    """A closed terminal, `timeout` and systemd each send two."""
    process = start("never_end")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        process.send_signal(number)
    assert process.stdout.readline() == "closing\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1.2)
    process.send_signal(signal.SIGTERM)
    code, _, complained = end(process)
    assert (
        code == 143 and "Ended at once by a second signal (SIGTERM): the same command goes on" in complained
    )


def test_nohup_is_respected(start):
    process = start("wait", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 143


@pytest.mark.parametrize("when", [["--early"], []])
def test_a_handler_that_ray_sets_does_not_stay(start, when):
    process = start("start_ray", *when)
    process.send_signal(signal.SIGTERM)
    code, _, complained = end(process)
    assert code == 143 and "ended by SIGTERM" in complained
