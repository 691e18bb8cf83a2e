"""A path means the same whatever folder it is read in, and however it is written."""

from __future__ import annotations

import pytest

from study.command.launch_arguments import build_parser, overrides_of
from study.config.encoders import trial_encoder
from study.config.files import load_study_file
from study.config.places import with_absolute_paths
from study.record.folder import StudyFolder
from study.run.resuming import resume_faults
from study.tracking.uri import tracking_uri


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a model and a table, in which commands are given."""
    folder = tmp_path / "héré, with spaces"
    (folder / "models" / "bert").mkdir(parents=True)
    (folder / "dev.csv").write_text("text,label\n")
    monkeypatch.chdir(folder)
    return folder


def study(*argv):
    args = build_parser().parse_args(["tabular", *argv])
    return load_study_file("tabular", "smoke", overrides_of(args))


@pytest.mark.parametrize("given", ["models/bert", "./models/bert", "models/../models/bert/"])
def test_a_relative_encoder_is_found_from_any_folder(here, monkeypatch, given):
    config = study("--encoder", given)
    monkeypatch.chdir("/")
    assert trial_encoder(config).source == str(here / "models" / "bert")


def test_so_is_the_model_of_an_operator(here):
    options = (
        '{"contextual_substitution": {"model": "models/bert", "top_k": 5}, "eda": {"directory": "models"}}'
    )
    config = study("--set", f"operator_options={options}")
    assert config.operator_options == {
        "contextual_substitution": {"model": str(here / "models" / "bert"), "top_k": 5},
        "eda": {"directory": str(here / "models")},
    }


def test_names_that_are_no_paths_here_stay_as_they_are(here):
    (here / "minilm").mkdir()  # the packaged encoder's name
    assert study("--encoder", "minilm").encoder == "minilm"
    assert study("--encoder", "org/bert@abc").encoder == "org/bert"
    assert study("--encoder", "models/absent").encoder == "models/absent"
    assert with_absolute_paths({"encoder": 3, "operator_options": {"eda": 4}, "corpus_options": None}) == {
        "encoder": 3,
        "operator_options": {"eda": 4},
        "corpus_options": None,
    }


def test_a_folder_whose_name_holds_an_at_sign_is_no_revision(here):
    (here / "me@host").mkdir()
    config = study("--encoder", "me@host")
    assert (config.encoder, config.encoder_revision) == (str(here / "me@host"), None)


def test_the_home_folder_is_known_without_a_shell(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    config = study("--encoder=~/models/bert", "--data=~/my.csv", "--validation-data=~/dev.csv")
    assert config.encoder == str(here / "models" / "bert")
    assert (config.data, config.corpus_options["validation_data"]) == (f"{here}/my.csv", f"{here}/dev.csv")
    assert build_parser().parse_args(["adme", "--storage=~/out"]).storage == f"{here}/out"


def test_the_same_files_under_other_names_are_the_same_study(here, tmp_path, monkeypatch):
    folder = StudyFolder(tmp_path / "storage", "tabular")
    before = study("--encoder", "models/bert", "--validation-data", "dev.csv")
    facts = {
        "study_id": "x",
        "config": before.identity(),
        "corpus": {"digest": "d", "source": ""},
        "numerics": {},
    }
    folder.write_facts(facts)
    (here / "link").symlink_to(here / "models")
    again = study("--encoder", f"{here}/link/bert", "--validation-data", f"{here}/dev.csv")
    assert resume_faults(folder, again, "d", {}) == []
    (here / "models" / "other").mkdir()
    (fault,) = resume_faults(folder, study("--encoder", "models/other"), "d", {})
    assert "encoder was" in fault and "models/other" in fault


def test_a_relative_sqlite_file_gets_an_address_that_holds_anywhere(here, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(here, "sqlite:///runs/mlflow.db") == f"sqlite:///{here}/runs/mlflow.db"
    for uri in ("sqlite:////data/mlflow.db", "sqlite:///:memory:", "http://server:5000", "bogus"):
        assert tracking_uri(here, uri) == uri
