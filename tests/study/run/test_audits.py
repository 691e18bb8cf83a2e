"""The audit of a ratio's leading trial: made once, read by report and MLflow, from training rows of its draw."""

from __future__ import annotations

import dataclasses
import json

import pytest

from study.audits.stored import audit_folder, audit_metrics, load_audit
from study.audits.view import MEANINGS
from study.record.ledger import Ledger
from study.run import audit_leading as audits
from study.run.audit_leading import audit_leading
from study.tracking.addition import Addition
from study.tracking.tracker import Tracker
from study.tracking.uri import artifact_folder, open_client
from study.verdict.comparison import build_comparison, load_study
from study.verdict.report import render_report
from tests.study.tracked import launch, replicate, runs_of, small_study
from tests.study.verdict.test_report import HOSTILE, Page, comparison_of
from tests.tiny_encoder import write_tiny_encoder
from tests.trainables.augment.toy_operator import FACTORY, NAME
from trainables.augment.registry import OPERATORS
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.errors import ConfigurationError, TrialFailed
from trainables.prepared import RunSettings, prepare
from trainables.replicate import draw_rows
from trainables.settings import EncoderSettings, TrialSettings


@pytest.fixture(autouse=True)
def marking(monkeypatch):
    monkeypatch.setitem(OPERATORS, NAME, FACTORY)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    encoder = EncoderSettings(
        name=str(write_tiny_encoder(tmp_path_factory.mktemp("encoder"))), max_length=32, device="cpu"
    )
    corpus = generate_sample(500)
    ready = prepare(corpus, encoder, study_seed=0, max_validation_rows=None)
    run = RunSettings(
        study_seed=0, encoder=encoder, profile="step", n_max=30, max_train_rows=None, cache_dir="none"
    )
    return corpus, ready, run


def study_of(path, make_study, **changes):
    """A study with one complete trial at one ratio, and its comparison."""
    make_study(trials=0, ratios=(0.2,), replicates=1)
    facts, ledger = load_study(path, "adme")
    settings = TrialSettings(**{"imbalance_ratio": 0.2, "operator": NAME, "strength": 0.3, **changes})
    ledger.start_trial("search-a", "search", "prefinetune", 0.2, settings.to_config())
    ledger.add_replicate("search-a", replicate(0, 0.9))
    ledger.finish_trial("search-a", "complete")
    return build_comparison(Ledger(ledger.path), facts)


def test_it_is_stored_with_examples_from_the_draw_and_never_made_twice(
    tmp_path, make_study, data, monkeypatch
):
    corpus, ready, run = data
    comparison = study_of(tmp_path, make_study)
    said = []
    assert audit_leading(comparison, corpus, ready, run, said.append) == ["search-a"]
    stored = load_audit(tmp_path / "adme", "search-a")
    assert (stored["audit"]["operator"], stored["audit"]["strength"]) == (NAME, 0.3)
    drawn = {ready.train_texts[row] for row in draw_rows(ready, run, 0.2, 0)}
    assert len(stored["examples"]) == 20 and {e["source"] for e in stored["examples"]} <= drawn
    assert stored["audit"]["rows"] == min(200, len(drawn)) and len(said) == 1

    monkeypatch.setattr(audits, "Auditor", None)
    assert audit_leading(comparison, corpus, ready, run, said.append) == ["search-a"] and len(said) == 1


@pytest.mark.parametrize("spoil", ["other options", "a damaged file"])
def test_it_is_made_anew_when_it_no_longer_fits(tmp_path, make_study, data, spoil):
    corpus, ready, run = data
    comparison = study_of(tmp_path, make_study)
    said = []
    audit_leading(comparison, corpus, ready, run, said.append)
    if spoil == "other options":
        run = dataclasses.replace(run, n_max=20)
    else:
        (audit_folder(tmp_path / "adme", "search-a") / "audit.json").write_text("{")
    audit_leading(comparison, corpus, ready, run, said.append)
    assert len(said) == 2 and load_audit(tmp_path / "adme", "search-a") is not None


@pytest.mark.parametrize("recipe", ["duplicated_balanced", "duplicated_natural"])
def test_duplicated_rows_have_no_augmentation_to_audit(tmp_path, make_study, data, recipe):
    comparison = study_of(tmp_path, make_study, stage1_data=recipe)
    assert audit_leading(comparison, *data, print) == []


def test_what_is_paid_for_is_never_asked_for_unasked(tmp_path, make_study, data, monkeypatch):
    monkeypatch.setitem(OPERATORS, NAME, dataclasses.replace(FACTORY, caches=True))
    monkeypatch.setattr(audits, "make_operator", None)
    said = []
    assert audit_leading(study_of(tmp_path, make_study), *data, said.append) == []
    assert len(said) == 1 and f"study.augment adme --operator {NAME} --strength 0.3" in said[0]
    assert load_audit(tmp_path / "adme", "search-a") is None


@pytest.mark.parametrize(
    "error", [TrialFailed("out of memory."), ConfigurationError("no endpoint."), OSError("disk full.")]
)
def test_one_that_fails_is_said_and_made_by_the_next_launch(tmp_path, make_study, data, monkeypatch, error):
    comparison = study_of(tmp_path, make_study)
    said = []

    def fails(*arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(audits, "make_operator", fails)
        assert audit_leading(comparison, *data, said.append) == []
    assert f"search-a could not be audited ({error})" in said[-1]
    assert load_audit(tmp_path / "adme", "search-a") is None
    assert audit_leading(comparison, *data, said.append) == ["search-a"]


def test_its_cache_keeps_to_the_studys_size(tmp_path, make_study, data, monkeypatch):
    corpus, ready, run = data
    sizes = []
    make = audits.make_operator

    def spy(*arguments):
        sizes.append(arguments[-1].max_bytes)
        return make(*arguments)

    monkeypatch.setattr(audits, "make_operator", spy)
    run = dataclasses.replace(run, cache_max_bytes=12_345)
    audit_leading(study_of(tmp_path, make_study), corpus, ready, run, print)
    assert sizes == [12_345]


def test_the_report_shows_it_and_needs_no_corpus(tmp_path, make_study, data):
    comparison = study_of(tmp_path, make_study)
    assert "What the augmentation does" not in Page(render_report(comparison)).text
    audit_leading(comparison, *data, lambda line: None)
    html = render_report(comparison_of(tmp_path))
    page = Page(html)
    assert "What the augmentation does" in page.text and "marking, 30 %" in page.text
    assert "numerals kept" in page.text and "100.0 % [" in page.text
    assert html.count("<ins>") > 5 and "<del>" in html


def test_nothing_of_a_stored_audit_becomes_markup(tmp_path, make_study, data):
    comparison = study_of(tmp_path, make_study)
    audit_leading(comparison, *data, lambda line: None)
    file = audit_folder(tmp_path / "adme", "search-a") / "audit.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    stored["examples"] = [{"source": HOSTILE, "augmentation": "<b>" + HOSTILE, "label": 0}]
    stored["classes"] = [HOSTILE]
    file.write_text(json.dumps(stored))
    page = Page(render_report(comparison_of(tmp_path)))
    assert page.tags.count("script") == 1 and "b" not in page.tags


def test_mlflow_gets_metrics_and_files_on_the_trials_run_once(tmp_path, uri):
    ledger = small_study(tmp_path)
    folder = tmp_path / "audits" / "t"
    folder.mkdir(parents=True)
    (folder / "audit.json").write_text("{}")
    facts = launch(artifacts=artifact_folder(uri, tmp_path))
    measure = {"mean": 0.75, "low": 0.5, "high": None, "n": 4}
    metrics = audit_metrics({"audit": dict.fromkeys(MEANINGS, measure)})
    for _ in range(2):
        tracker = Tracker(uri, facts, ledger)
        tracker.add_to_run("t", Addition(metrics, folder=folder, artifact="audit"))
        tracker.close()
    run = runs_of(uri)["t"]
    assert run.data.metrics["audit/numerals_kept"] == 0.75
    assert run.data.metrics["audit/numerals_kept_ci_low"] == 0.5
    client = open_client(uri)
    assert [file.path for file in client.list_artifacts(run.info.run_id, "audit")] == ["audit/audit.json"]
    assert len(client.get_metric_history(run.info.run_id, "audit/numerals_kept")) == 1
    assert "audit/numerals_kept" not in runs_of(uri)["v"].data.metrics
