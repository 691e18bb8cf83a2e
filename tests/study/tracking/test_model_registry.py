"""The registered model gives the probabilities of its folder, without this project, and is registered once."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from study.tracking.model_registry import register_model, save_pyfunc
from study.tracking.tracker import Tracker
from study.tracking.uri import open_client
from tests.study.tracked import launch, small_study
from tests.tiny_model import CLASSES, NEW_TEXTS, tiny_model
from trainables.export.labelling import SavedModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("exported"))


def test_a_model_is_registered_once_and_serves_every_class(tmp_path, uri, folder):
    tracker = Tracker(uri, launch(artifacts=tmp_path / "artifacts"), small_study(tmp_path))
    said = register_model(uri, "adme", "one", folder, "Vanilla is as good.")
    assert "models:/adme@champion (version 1)" in said
    assert register_model(uri, "adme", "one", folder, "Vanilla is as good.") == said
    client = open_client(uri)
    version = client.get_model_version_by_alias("adme", "champion")
    assert version.description == "Vanilla is as good." and version.run_id == tracker._parent.run_id
    assert len(client.search_model_versions("name = 'adme'")) == 1

    import mlflow

    mlflow.set_tracking_uri(uri)
    loaded = mlflow.pyfunc.load_model("models:/adme@champion")
    assert [column.name for column in loaded.metadata.signature.outputs.inputs] == list(CLASSES)
    assert loaded.input_example["text"].tolist()
    found = loaded.predict(pd.DataFrame({"text": NEW_TEXTS}))
    assert list(found.columns) == list(CLASSES)
    assert np.abs(found.to_numpy() - SavedModel.load(folder).probabilities(NEW_TEXTS)).max() < 1e-3
    tracker.close()


def test_another_model_takes_the_alias(tmp_path, uri, folder):
    tracker = Tracker(uri, launch(artifacts=tmp_path / "artifacts"), small_study(tmp_path))
    register_model(uri, "adme", "one", folder, "first")
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    about = json.loads((other / "export.json").read_text())
    (other / "export.json").write_text(json.dumps(about | {"digest": "another"}))
    assert "(version 2)" in register_model(uri, "adme", "one", other, "second")
    assert open_client(uri).get_model_version_by_alias("adme", "champion").description == "second"
    tracker.close()


@pytest.mark.parametrize("serves", [True, False])
def test_a_model_that_is_registered_as_the_champion_alone_gets_its_other_name(tmp_path, uri, folder, serves):
    tracker = Tracker(uri, launch(artifacts=tmp_path / "artifacts"), small_study(tmp_path))
    register_model(uri, "adme", "one", folder, "words")
    client = open_client(uri)
    client.delete_registered_model_alias("adme", "winner")
    assert "(version 1)" in register_model(uri, "adme", "one", folder, "words", serves=serves)
    assert len(client.search_model_versions("name = 'adme'")) == 1
    assert client.get_model_version_by_alias("adme", "winner").aliases == ["champion", "winner"]
    tracker.close()


def test_a_store_that_is_away_is_told_and_costs_nothing(tmp_path, folder):
    (tmp_path / "mlflow.db").write_text("no database")
    said = register_model(f"sqlite:///{tmp_path}/mlflow.db", "adme", "one", folder, "words")
    assert "did not take the model" in said and str(folder) in said


def test_a_store_that_lacks_the_study_is_told(uri, folder):
    assert "holds no experiment adme" in register_model(uri, "adme", "one", folder, "words")


SERVE = """
import json, sys
sys.path = [path for path in sys.path if path not in ("", {root!r})]
import mlflow, pandas as pd
found = mlflow.pyfunc.load_model({saved!r}).predict(pd.DataFrame({{"text": {texts!r}}}))
loaded = [name for name in ("torch", "transformers", "study", "trainables") if name in sys.modules]
print(json.dumps([found.to_numpy().tolist(), loaded]))
"""


def test_it_is_served_without_torch_and_without_this_project(tmp_path, folder):
    saved = str(tmp_path / "saved")
    save_pyfunc(folder, CLASSES, tmp_path / "saved")
    script = SERVE.format(saved=saved, texts=NEW_TEXTS, root=str(tmp_path))
    out = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found, loaded = json.loads(out.stdout.splitlines()[-1])
    assert loaded == []
    assert np.abs(np.array(found) - SavedModel.load(folder).probabilities(NEW_TEXTS)).max() < 1e-3
