"""Where MLflow's store is, and why it cannot be used."""

from __future__ import annotations

import http.server
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from study.tracking import uri as uris
from study.tracking.uri import (
    artifact_folder,
    default_tracking_uri,
    open_client,
    tracking_faults,
    tracking_uri,
    ui_command,
)


def test_the_store_is_the_one_given_else_the_environment_s_else_beside_the_study(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000")
    assert tracking_uri(tmp_path) == "http://there:5000"
    assert tracking_uri(tmp_path, "http://given:5000") == "http://given:5000"
    assert artifact_folder("http://there:5000", tmp_path) is None
    assert ui_command("http://there:5000") == "http://there:5000"


def test_a_store_that_can_be_used_has_no_faults_and_is_not_created(tmp_path, uri):
    assert tracking_faults(uri) == []
    assert tracking_faults(default_tracking_uri(tmp_path / "new" / "folder")) == []
    assert not (tmp_path / "new").exists()


def not_a_database(folder: Path) -> str:
    (folder / "broken.db").write_text("this is no database, and long enough to be read as one" * 20)
    return f"sqlite:///{folder}/broken.db"


def below_a_file(folder: Path) -> str:
    (folder / "file").touch()
    return f"sqlite:///{folder}/file/mlflow.db"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda folder: "http://[127.0.0.1:9", "http://[127"),
        (not_a_database, "not a database"),
        (below_a_file, "not a folder"),
        (lambda folder: str(folder / "mlruns"), "sqlite"),
        (lambda folder: "postgresql+nodriver://me:secret@127.0.0.1:9/db", "nodriver"),
    ],
)
def test_an_unusable_store_is_named_quickly_with_what_to_do(tmp_path, make, expected):
    started = time.monotonic()
    (fault,) = tracking_faults(make(tmp_path))
    assert time.monotonic() - started < 10
    assert expected in fault
    assert "MLFLOW_TRACKING_URI" in fault
    assert "secret" not in fault


def test_a_server_that_is_away_is_no_fault(tmp_path):
    """The study goes on without it: tests/study/tracking/test_tracking_outage.py."""
    assert tracking_faults("http://127.0.0.1:9") == []


def test_a_server_of_another_kind_is_a_fault():
    class Other(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_error(404)

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        (fault,) = tracking_faults(f"http://127.0.0.1:{server.server_port}")
        assert "404" in fault and "correct the address" in fault
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "name", ["what?now", "100%", "a%20b", "#1 & ü;@:", "my results", "ä" * 100 + "x" * 40]
)
def test_the_store_lies_in_the_storage_folder_whatever_its_name(tmp_path, empty_mlflow_store, name):
    storage = tmp_path / name
    storage.mkdir()
    (storage / "mlflow.db").write_bytes(empty_mlflow_store)
    uri = default_tracking_uri(storage)
    assert tracking_faults(uri) == []
    client = open_client(uri)
    experiment = client.create_experiment("a", artifact_location=(storage / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    (tmp_path / "file.txt").write_text("text")
    client.log_artifact(run, str(tmp_path / "file.txt"))
    assert [file.path for file in client.list_artifacts(run)] == ["file.txt"]
    assert list(storage.rglob("file.txt"))
    with sqlite3.connect(storage / "mlflow.db") as written:
        assert written.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    written.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "file.txt"])


def with_schema(uri: str, version: str) -> Path:
    """Give a store the schema's version of another MLflow, and return its file."""
    path = Path(uri.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as store:
        store.execute("UPDATE alembic_version SET version_num = ?", (version,))
    store.close()
    return path


def test_looking_at_an_older_store_does_not_upgrade_it(uri):
    path = with_schema(uri, "451aebb31d03")  # of MLflow 1
    before = path.read_bytes()
    assert tracking_faults(uri) == []
    assert path.read_bytes() == before and [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_store_of_a_newer_mlflow_is_refused_and_left_alone(uri):
    path = with_schema(uri, "fedcba987654")
    before = path.read_bytes()
    (fault,) = tracking_faults(uri)
    assert "'fedcba987654'" in fault and "newer MLflow" in fault and "Install the MLflow" in fault
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused(tmp_path):
    import optuna

    optuna.create_study(storage=f"sqlite:///{tmp_path}/optuna.db")
    (fault,) = tracking_faults(f"sqlite:///{tmp_path}/optuna.db")
    assert "another program made it" in fault


def test_who_locks_the_store_is_told(uri, monkeypatch):
    monkeypatch.setattr(uris, "_LOCKED_S", 0.1)
    holder = sqlite3.connect(uri.removeprefix("sqlite:///"))
    holder.execute("BEGIN EXCLUSIVE")
    (fault,) = tracking_faults(uri)
    holder.close()
    assert "is locked by another program" in fault and "Wait until that program is done" in fault
    assert "Start the database" not in fault
    assert tracking_faults(uri) == []


def test_a_store_that_is_locked_in_mid_study_is_told_with_its_file_and_its_holder(tmp_path):
    error = RuntimeError("(sqlite3.OperationalError) database is locked\n[SQL: UPDATE runs]")
    said = uris.reason(default_tracking_uri(tmp_path), error)
    assert said == f"{tmp_path}/mlflow.db is locked by another program"
    assert uris.reason("http://there:5000", error) == "(sqlite3.OperationalError) database is locked"


def test_the_line_that_says_what_is_wrong_is_told():
    advice = "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block)"
    said = uris.first_line(
        ValueError(f"{advice}\n(sqlite3.OperationalError) database or disk is full\n[SQL: …]")
    )
    assert said == "(sqlite3.OperationalError) database or disk is full"
