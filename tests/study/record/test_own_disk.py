"""SQLite files of a network mount are written on the machine's own disk: what is copied, fetched, and never lost."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from study.record import own_disk
from study.record.folder import StudyFolder, own_disk_faults
from study.record.own_disk import (
    OWN_DISK_VARIABLE,
    CopiedDatabase,
    copied,
    databases_folder,
    databases_sentence,
    network_mount,
)
from study.record.sqlite import sqlite_uri
from study.tracking.uri import default_tracking_uri
from trainables.errors import StudyStopped

USES = """
import sys, time
from pathlib import Path
from study.record.own_disk import CopiedDatabase
with CopiedDatabase(Path(sys.argv[1]), Path(sys.argv[2])).fetched(print):
    print("in use", flush=True)
    sys.stdin.read()
"""


# Ends in the middle of a transaction of which parts are in the file already.
DIES = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size = 1")
connection.executemany("INSERT INTO run VALUES (?)", [("x" * 1000,)] * 500)
os._exit(9)
"""


def mount(monkeypatch, **points):
    """Make a table of mounts up, of points to file systems; what none names lies on ext4."""
    table = [("/", "ext4"), *((str(point), kind) for point, kind in points.items())]
    parts = [SimpleNamespace(mountpoint=point, fstype=kind) for point, kind in table]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)


def write(path, *values):
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS run (name TEXT)")
        database.executemany("INSERT INTO run VALUES (?)", [(value,) for value in values])
        database.commit()


def read(path):
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("SELECT name FROM run")]


@pytest.fixture
def machines(tmp_path):
    """The file of one storage folder as each of two machines sees it."""
    kept = tmp_path / "storage" / "mlflow.db"
    return [CopiedDatabase(tmp_path / name / "mlflow.db", kept) for name in ("one", "two")]


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "NFS4", "cifs", "smb3", "lustre", "fuse.sshfs", "fuse", "9p", "virtiofs"]
)
def test_a_network_mount_is_recognised(tmp_path, monkeypatch, kind):
    mount(monkeypatch, **{str(tmp_path): kind})
    assert network_mount(tmp_path / "not" / "there" / "yet") == kind.lower()
    assert network_mount(tmp_path.parent) is None


def test_the_innermost_mount_decides(tmp_path, monkeypatch):
    mount(monkeypatch, **{str(tmp_path): "nfs4", str(tmp_path / "scratch"): "xfs"})
    assert network_mount(tmp_path / "scratch" / "results") is None
    assert network_mount(tmp_path / "scratches") == "nfs4"


def test_of_two_mounts_at_one_point_the_later_one_is_seen(tmp_path, monkeypatch):
    parts = [SimpleNamespace(mountpoint=str(tmp_path), fstype=kind) for kind in ("autofs", "nfs4")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)
    assert network_mount(tmp_path) == "nfs4"


def test_this_machines_real_table_of_mounts_is_read():
    assert "/proc" in {part.mountpoint for part in psutil.disk_partitions(all=True)}
    assert network_mount(Path("/proc/self")) is None


def test_on_a_disk_of_the_machine_the_storage_folder_holds_the_files(tmp_path, monkeypatch):
    mount(monkeypatch)
    assert databases_folder(tmp_path) == tmp_path
    assert databases_sentence(tmp_path, "MLflow's") is None
    assert default_tracking_uri(tmp_path) == sqlite_uri(tmp_path / "mlflow.db")
    folder = StudyFolder(tmp_path, "adme")
    assert folder.optuna_written == folder.optuna


def test_files_of_a_network_mount_are_written_in_the_users_state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    storage = tmp_path / "shared"
    mount(monkeypatch, **{str(storage): "nfs4"})
    folder = databases_folder(storage)
    assert folder.is_relative_to(tmp_path / "state")
    assert databases_folder(tmp_path / "shared" / "other") != folder
    assert "network mount (nfs4)" in str(databases_sentence(storage, "MLflow's"))
    assert str(folder) in default_tracking_uri(storage)
    assert StudyFolder(storage, "adme").optuna_written == folder / "adme" / "optuna.db"


def test_a_home_on_the_network_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    mount(monkeypatch, **{str(tmp_path): "nfs4"})
    assert databases_folder(tmp_path / "results").is_relative_to("/var/tmp")


def test_a_folder_that_another_user_made_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    mount(monkeypatch, **{str(tmp_path / "home"): "nfs4"})
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: theirs.stat().st_uid + 1)
    monkeypatch.setattr(own_disk, "_own_folders", lambda: [theirs, tmp_path / "mine"])
    assert databases_folder(tmp_path / "home").is_relative_to(tmp_path / "mine")


def test_nobody_else_may_look_into_the_folder(machines):
    one, _ = machines
    with copied([one], pytest.fail):
        assert one.written.parent.stat().st_mode & 0o777 == 0o700


def test_a_machine_without_a_disk_says_so(tmp_path, monkeypatch):
    mount(monkeypatch, **{"/": "nfs"})
    assert databases_folder(tmp_path) == tmp_path
    assert OWN_DISK_VARIABLE in str(databases_sentence(tmp_path, "MLflow's"))


def test_the_folder_that_the_environment_names_is_taken(tmp_path, monkeypatch):
    mount(monkeypatch)
    monkeypatch.setenv(OWN_DISK_VARIABLE, str(tmp_path / "own"))
    assert databases_folder(tmp_path / "results").parent == tmp_path / "own"
    assert f"because {OWN_DISK_VARIABLE} says so" in str(databases_sentence(tmp_path / "results", "Optuna's"))
    assert own_disk_faults() == []
    (tmp_path / "own").write_text("a file")
    [fault] = own_disk_faults()
    assert "is no folder" in fault


def test_another_machine_goes_on_from_the_copy(machines):
    one, two = machines
    write(one.written, "a")
    with copied([one], pytest.fail):
        write(one.written, "b")
    assert read(one.kept) == ["a", "b"]
    with copied([two], pytest.fail):
        assert read(two.written) == ["a", "b"]
        write(two.written, "c")
    assert read(one.kept) == ["a", "b", "c"]


def test_what_no_copy_has_yet_survives_a_driver_that_was_killed(machines):
    one, _ = machines
    with copied([one], pytest.fail):
        write(one.written, "a")
    write(one.written, "b")  # and the driver is killed before it copies
    with copied([one], pytest.fail):
        assert read(one.written) == ["a", "b"]
    assert read(one.kept) == ["a", "b"]


def test_what_another_machine_wrote_is_taken_over_and_nothing_is_lost(machines):
    one, two = machines
    with copied([one], pytest.fail):
        write(one.written, "a")
    write(one.written, "never copied")
    with copied([two], pytest.fail):
        write(two.written, "b")
    said = []
    with copied([one], said.append):
        assert read(one.written) == ["a", "b"]
    [sentence] = said
    [aside] = one.written.parent.glob("mlflow.db.until-*")
    assert str(aside) in sentence
    assert read(aside) == ["a", "never copied"]


def test_what_was_written_into_the_copy_itself_is_taken_over(machines):
    one, _ = machines
    with copied([one], pytest.fail):
        write(one.written, "a")
    write(one.kept, "an edit")
    said = []
    with copied([one], said.append):
        write(one.written, "b")
    assert read(one.kept) == ["a", "an edit", "b"]
    assert len(said) == 1


def test_a_driver_that_was_killed_while_it_copied_goes_on_from_its_own_file(machines, monkeypatch):
    one, _ = machines
    with copied([one], pytest.fail):
        write(one.written, "a")
    write(one.written, "b")
    real = own_disk._copy
    for put_in_place in (False, True):

        def die(*both, put_in_place=put_in_place):
            if put_in_place:
                real(*both)
            raise KeyboardInterrupt

        with monkeypatch.context() as dying:
            dying.setattr(own_disk, "_copy", die)
            with pytest.raises(KeyboardInterrupt):
                one.copy()
        with copied([one], pytest.fail):
            assert read(one.written) == ["a", "b"]
    assert read(one.kept) == ["a", "b"]


def test_a_storage_folder_that_was_deleted_does_not_come_back(machines):
    one, _ = machines
    with copied([one], pytest.fail):
        write(one.written, "a")
    one.kept.unlink()
    said = []
    with copied([one], said.append):
        assert not one.written.exists()
    assert "is no longer there" in said[0]


def test_a_copy_whose_writer_was_killed_is_rolled_back(machines):
    one, _ = machines
    write(one.kept, "a")
    killed = subprocess.run([sys.executable, "-c", DIES, str(one.kept)], check=False)
    assert killed.returncode == 9 and one.kept.with_name("mlflow.db-journal").exists()
    with copied([one], pytest.fail):
        assert read(one.written) == ["a"]


def test_a_copy_that_cannot_be_read_stops_the_study(machines):
    one, _ = machines
    one.kept.mkdir(parents=True)
    with pytest.raises(StudyStopped, match="cannot be fetched"), copied([one], pytest.fail):
        pass


def test_two_machines_at_once_do_not_write_over_each_other(machines, monkeypatch):
    one, two = machines
    monkeypatch.setattr(socket, "gethostname", lambda: "host")
    said = []
    with copied([one], said.append):
        with copied([two], pytest.fail):
            write(two.written, "b")
        write(one.written, "a")
    assert read(one.kept) == ["b"]
    assert read(one.kept.with_name("mlflow-host.db")) == ["a"]
    [sentence] = said
    assert "mlflow-host.db" in sentence and "--tracking-uri" in sentence


def test_a_launch_beside_another_on_the_same_machine_leaves_its_file(machines):
    one, two = machines
    write(one.written, "a")
    command = [sys.executable, "-c", USES, str(one.written), str(one.kept)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "in use\n"
        with copied([two], pytest.fail):
            write(two.written, "b")
        with one.fetched(pytest.fail):
            assert read(one.written) == ["a"]
    finally:
        other.communicate("", timeout=60)
    with one.fetched(lambda sentence: None):
        assert read(one.written) == ["b"]


def test_a_file_that_is_made_anew_replaces_its_copy(tmp_path):
    database = CopiedDatabase(tmp_path / "own" / "optuna.db", tmp_path / "optuna.db", is_remade=True)
    write(database.kept, "old")
    with copied([database], pytest.fail):
        assert not database.written.exists()
        write(database.written, "new")
    assert read(database.kept) == ["new"]


def test_a_copy_is_made_at_intervals(machines):
    one, _ = machines
    write(one.written, "a")
    with copied([one], pytest.fail, every_s=0.01):
        for _ in range(1000):
            if one.kept.exists():
                break
            own_disk.time.sleep(0.01)
        assert read(one.kept) == ["a"]


def test_a_copy_that_cannot_be_made_is_told_once_and_stops_nothing(machines, monkeypatch):
    def full(*both):
        raise OSError(errno.ENOSPC, "No space left on device")

    one, _ = machines
    write(one.written, "a")
    monkeypatch.setattr(own_disk, "_copy", full)
    said = []
    with copied([one], said.append, every_s=0.01):
        own_disk.time.sleep(0.2)
    [sentence] = said
    assert str(one.written) in sentence and "No space left" in sentence
    assert read(one.written) == ["a"]
