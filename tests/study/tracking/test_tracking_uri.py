"""Where MLflow's store is, and why it cannot be used."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from study.tracking.uri import (
    artifact_folder,
    default_tracking_uri,
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
        (lambda folder: "http://127.0.0.1:9", "no connection"),
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
