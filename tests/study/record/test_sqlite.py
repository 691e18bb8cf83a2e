"""The address of a SQLite file, whatever its path; and who has locked it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from study.record import sqlite
from study.record.sqlite import locked_by, open_to_read, sqlite_uri

HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_the_address_of_a_path_is_read_back_as_that_path(name):
    path = f"/storage/{name}/mlflow.db"
    assert sqlalchemy.make_url(sqlite_uri(Path(path))).database == str(Path(path))


def test_a_path_without_special_characters_is_written_as_it_is():
    assert sqlite_uri(Path("/my results/ü#1&2/mlflow.db")) == "sqlite:////my results/ü#1&2/mlflow.db"


def test_what_is_opened_to_read_cannot_be_written(tmp_path):
    path = tmp_path / "what?now 100%.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE a (b)")
    connection.close()
    opened = open_to_read(path, 0.1)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        opened.execute("CREATE TABLE c (d)")
    opened.close()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs /proc/locks")
def test_the_process_that_locked_a_file_is_named(tmp_path):
    path = tmp_path / "a.db"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        assert f"process {holder.pid}, python" in locked_by(path)
    finally:
        holder.communicate()
    assert locked_by(path) == "another program"


def test_a_system_that_tells_no_locks_names_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "_LOCKS", tmp_path / "none")
    assert locked_by(tmp_path) == "another program"
