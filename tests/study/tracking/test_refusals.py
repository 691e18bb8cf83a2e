"""What MLflow refuses for ever is told once and holds up nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from study.record.ledger import Ledger
from study.tracking import tracker as tracking
from study.tracking.projection import VALUES, metric_name
from study.tracking.tracker import Tracker
from study.tracking.uri import open_client
from tests.study.tracked import CORPUS, FakeClient, launch, replicate, runs_of, small_study

LONG = "The customer complains about " + "a very long thing " * 20
NAMES = [
    LONG + "in the north",
    LONG + "in the south",
    "N/A – unknown",
    "a\nb\tc",
    "\u202eabc",
    "..",
    "<b>",
    "x" * 230,
]


def study_with_classes(path, names):
    ledger = small_study(path)
    for index, value in enumerate((0.4, 0.5, 0.6)):
        scores = {f"val/{kind}/{name}": value for name in names for kind in ("recall", "precision", "f1")}
        ledger.add_replicate("u", replicate(index, value, **scores))
    ledger.finish_trial("u", "complete")
    return ledger


@pytest.fixture
def uri(tmp_path):
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_every_class_name_reaches_mlflow_under_a_name_of_its_own(tmp_path, uri):
    lines = []
    corpus = {**CORPUS, "classes": dict.fromkeys(NAMES, 5)}
    tracker = Tracker(uri, launch(corpus=corpus), study_with_classes(tmp_path, NAMES), say=lines.append)
    tracker.close()
    run = runs_of(uri)["u"]
    recalls = {key for key in run.data.metrics if key.startswith("val/recall/")}
    assert len(recalls) == len(NAMES)
    assert {VALUES + key for key in recalls} <= run.data.metrics.keys()
    assert {found.info.status for found in runs_of(uri).values()} == {"FINISHED"}
    [line] = lines
    assert "7 of 8 classes are written otherwise there" in line and len(line) < 350
    assert line in runs_of(uri)[None].data.tags["mlflow.note.content"]


def test_a_name_and_its_place_among_single_replicates_both_fit():
    from mlflow.utils.validation import _validate_metric_name

    for name in (f"val/recall/{LONG}", f"diagnostics/{LONG}", "val/f1/" + "ä(" * 200, "val/f1/" + "./" * 200):
        _validate_metric_name(VALUES + metric_name(name))
        assert len(VALUES + metric_name(name)) <= 250


class Refusing(FakeClient):
    """An MLflow that refuses some keys, as one whose limits are lower does."""

    refused = ("values/seconds", "error", "strength")

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        from mlflow.exceptions import MlflowException

        if self.runs[run_id].status == "DELETED" or any(
            entity.key in self.refused for entity in (*metrics, *params, *tags)
        ):
            raise MlflowException("a key of 14 bytes, 10 are allowed", error_code=1000)
        super().log_batch(run_id, metrics, params, tags)

    def log_artifact(self, run_id, path):
        raise PermissionError(13, "Permission denied", "/mlruns")


@pytest.fixture
def refusing(monkeypatch):
    client = Refusing()
    monkeypatch.setattr(tracking, "open_client", lambda uri: client)
    monkeypatch.setattr(tracking, "_WRITE_EVERY_S", 0.0)
    return client


def test_what_is_refused_is_told_once_and_the_rest_arrives(tmp_path, refusing):
    ledger, lines = small_study(tmp_path), []
    report = tmp_path / "report.html"
    report.write_text("report")
    tracker = Tracker("http://server", launch(), ledger, say=lines.append)
    tracker.log_artifacts([report])
    tracker.close()
    assert not tracker.behind
    [line] = lines
    assert "holds all but what it refused for good" in line and str(tmp_path) in line
    assert "Metric values/seconds (a key of 14 bytes, 10 are allowed)" in line
    assert "Param strength" in line and "the artifact report.html" in line and "Permission denied" in line
    by_trial = {run.tags.get("trial_id"): run for run in refusing.runs.values()}
    assert by_trial[None].status == "FINISHED" and by_trial["u"].status == "KILLED"
    assert {"values/val/macro_f1", "val/gain_macro_f1", "seconds"} <= by_trial["t"].metrics.keys()
    assert "operator" in by_trial["t"].params and by_trial["t"].tags["state"] == "complete"


def test_a_run_that_a_user_deleted_is_made_again_and_not_taken_for_refused_values(tmp_path, uri):
    ledger, lines = Ledger(tmp_path / "ledger.jsonl"), []
    ledger.start_trial("t", "search", "prefinetune", 0.1, {"operator": "aeda", "strength": 0.1})
    tracker = Tracker(uri, launch(), ledger, say=lines.append)
    open_client(uri).delete_run(runs_of(uri)["t"].info.run_id)
    ledger.add_replicate("t", replicate(0, 0.5))
    ledger.finish_trial("t", "complete")
    tracker.update(ledger.trials["t"])
    tracker.close()
    assert runs_of(uri)["t"].info.status == "FINISHED"
    assert runs_of(uri)["t"].data.metrics["val/macro_f1"] == 0.5
    assert not any("refused" in line for line in lines)


def test_an_mlflow_that_refuses_its_user_is_not_said_to_be_away(tmp_path, monkeypatch):
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    def refuse(name):
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(tracking, "open_client", lambda uri: SimpleNamespace(get_experiment_by_name=refuse))
    lines = []
    Tracker("http://server", launch(), small_study(tmp_path), say=lines.append).close()
    assert "refuses the study (Permission denied)" in lines[0]
    assert "when MLflow lets the study in" in lines[-1] and str(tmp_path) in lines[-1]


def test_texts_that_mlflow_cuts_say_so(tmp_path, uri):
    ledger = small_study(tmp_path)
    ledger.finish_trial("u", "failed", error="line\n" * 3000)
    Tracker(uri, launch(remarks=("a remark " * 2000,)), ledger).close()
    assert "(15000 characters" in runs_of(uri)["u"].data.tags["error"]
    assert len(runs_of(uri)[None].data.tags["mlflow.note.content"]) == 5000
