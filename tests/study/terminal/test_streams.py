"""Standard streams as shells and terminals hand them over: other encodings, readers that leave, full disks, none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from study.terminal import streams

ROOT = Path(__file__).parents[3]

# A command that writes a result and messages, and says in a file how far it came.
COMMAND = r"""
import argparse, pathlib, sys
from rich.console import Console
from study.command.cli import run_command
from study.terminal.streams import output_console

def command(args):
    Console(stderr=True).print("a message: \u22120.5 \u2026 \u0142")
    print("a message: \u2212", file=sys.stderr, flush=True)
    output_console().print("a result: \u22120.034 [\u22120.7, +0.2] \U0001f600 " + args.path)
    print("x" * args.size)
    pathlib.Path(args.done).touch()
    return 0

parser = argparse.ArgumentParser(prog="a command")
parser.add_argument("path")
parser.add_argument("done")
parser.add_argument("--size", type=int, default=3)
sys.exit(run_command(command, parser))
"""


def shell(
    line: str, tmp_path: Path, path: str = "ü", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash, in which $COMMAND is the command, and return what came of it."""
    values = {"PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment}
    program = [sys.executable, "-c", COMMAND, path, str(tmp_path / "done")]
    words = " ".join(f'"${{W{number}}}"' for number in range(len(program)))
    values |= {f"W{number}": word for number, word in enumerate(program)}
    return subprocess.run(
        ["bash", "-c", line.replace("$COMMAND", words)],
        env={**os.environ, **values},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "ascii:strict"])
def test_what_an_encoding_lacks_is_written_plainly(tmp_path, encoding):
    done = shell("$COMMAND", tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    said, messages = done.stdout.decode("latin-1"), done.stderr.decode("latin-1")
    assert "a result: -0.034 [-0.7, +0.2] \\U0001f600" in said or "−0.034".encode(encoding) in done.stdout
    assert "a message: -0.5 ... \\u0142" in messages or encoding == "cp1252"


def test_a_plain_c_locale_is_enough(tmp_path):
    """Python would use ASCII there; file names that are no ASCII then come as surrogates."""
    done = shell("$COMMAND", tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"a result: -0.034")


def test_utf_8_is_written_as_it_is_also_in_a_c_locale(tmp_path):
    done = shell("$COMMAND", tmp_path, LC_ALL="C")
    assert done.returncode == 0 and "−0.034".encode() in done.stdout and "ü".encode() in done.stdout


def test_a_file_name_that_is_no_unicode_is_shown_as_an_escape(tmp_path):
    done = shell("$COMMAND", tmp_path, path=os.fsdecode(b"\xff.csv"))
    assert done.returncode == 0 and b"\\udcff.csv" in done.stdout


@pytest.mark.parametrize("size", [3, 200_000])
def test_a_reader_that_leaves_ends_the_command_as_shells_report_it(tmp_path, size):
    done = shell(f"$COMMAND --size {size} | true; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr and b"BrokenPipe" not in done.stderr


def test_help_for_a_reader_that_leaves(tmp_path):
    done = shell("$COMMAND --help | true; exit ${PIPESTATUS[0]}", tmp_path)
    assert done.returncode in (0, 141) and done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_result_that_a_full_disk_does_not_take_is_told(tmp_path):
    done = shell("$COMMAND > /dev/full", tmp_path)
    assert done.returncode == 1
    assert b"a command: Standard output cannot be written: No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("line", ["$COMMAND 2>&-", "$COMMAND 2>/dev/full", "$COMMAND 2> >(true)"])
def test_messages_that_nobody_takes_cost_no_result(tmp_path, line):
    done = shell(line, tmp_path)
    assert done.returncode == 0 and "a result: −0.034".encode() in done.stdout


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_failure(tmp_path, closed):
    done = shell(f"$COMMAND {closed}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "done").exists()


def test_a_file_that_is_opened_never_takes_the_place_of_a_closed_stream(tmp_path):
    """Or the database that is opened next would get what libraries write to standard output."""
    opened = "import os; from study.terminal.streams import take_any_output as take; take(); "
    opened += f"n = os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY); os.system('echo x'); assert n > 2"
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" >&- 2>&- <&-', sys.executable, opened], cwd=ROOT, check=False
    )
    assert done.returncode == 0 and (tmp_path / "file").read_bytes() == b""


def test_json_stays_json_whatever_the_encoding(tmp_path, make_study):
    make_study(classes={"größe ł 😀": 30, "other": 400})
    command = [sys.executable, "-m", "study.compare", "adme", "--storage", str(tmp_path), "--format", "json"]
    found = [
        json.loads(subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": encoding},
                                  capture_output=True, check=True).stdout)
        for encoding in ("ascii", "utf-8")
    ]  # fmt: skip
    assert found[0] == found[1] and "größe ł 😀" in found[0]["corpus"]["classes"]


def test_the_result_is_as_wide_as_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "61")
    assert streams.output_console().width == 61
    monkeypatch.setenv("COLUMNS", "0")
    assert streams.output_console().width > 0
