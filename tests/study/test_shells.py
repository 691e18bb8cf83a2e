"""Launches from shells and folders as users have them, as far as the plan: nothing is started, and nothing changes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = ("--preset", "smoke", "--data", "sample", "--set", "encoder_layers=null", "--set", "max_length=32")


def dry_run(encoder, storage, *more, shell=":", unset=(), cwd=ROOT, **environment):
    """Return what became of a dry run that a line of bash begins."""
    left_out = ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", *unset)
    values = {name: value for name, value in os.environ.items() if name not in left_out}
    values |= {"PYTHONPATH": str(ROOT), "COLUMNS": "160", **environment}
    command = [
        sys.executable, "-m", "study.launch", "adme", *SETTINGS, "--encoder", str(encoder),
        "--storage", str(storage), "--dry-run", *more,
    ]  # fmt: skip
    return subprocess.run(
        ["bash", "-c", f'{shell}; exec "$0" "$@"', *command],
        cwd=cwd,
        env=values,
        capture_output=True,
        text=True,
        check=False,
    )


def everything_below(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"unset": ("HOME", "TMPDIR"), "shell": "ulimit -n 64"},
        {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "LANG": "tr_TR.UTF-8"},
        {"TERM": "dumb", "NO_COLOR": "1", "shell": "umask 077; exec <&-", "TZ": "Nowhere/Land"},
        {"HOME": "/nonexistent", "FORCE_COLOR": "1", "COLUMNS": "20", "PYTHONWARNINGS": "error"},
        {"MLFLOW_EXPERIMENT_NAME": "other", "PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "1"},
    ],
    ids=lambda options: " ".join(options),
)
def test_a_plan_is_shown_whatever_the_shell_and_nothing_is_created(encoder, tmp_path, options):
    done = dry_run(encoder, tmp_path / "new" / "what?now 100%", **options)
    assert done.returncode == 0, done.stderr
    assert "About" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_dry_run_leaves_an_older_store_and_study_as_they_are(encoder, tmp_path, empty_mlflow_store):
    (tmp_path / "mlflow.db").write_bytes(empty_mlflow_store)
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        store.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    store.close()
    before = everything_below(tmp_path)
    done = dry_run(encoder, tmp_path)
    assert done.returncode == 0, done.stderr
    assert everything_below(tmp_path) == before


def test_a_folder_that_was_deleted_under_the_shell_is_no_traceback(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = dry_run("minilm", "results", shell=f"cd {gone}; rmdir {gone}")
    assert done.returncode == 2, done.stderr
    assert "The folder in which this command was given cannot be used" in done.stderr
