"""MLflow shows what the ledger says."""

from __future__ import annotations

import json
import math
import re

import pytest

from study.record.ledger import Ledger
from study.tracking.addition import Addition, verdict_of
from study.tracking.tracker import Tracker
from study.tracking.uri import artifact_folder, default_tracking_uri, open_client
from study.verdict.comparison import build_comparison, load_study
from study.verdict.statistics import paired_gain
from study.verdict.verdict_words import arm_sentence
from tests.study.confirmed_study import confirm
from tests.study.tracked import CORPUS, launch, replicate, runs_of, small_study

# ---- what MLflow shows --------------------------------------------------------------------------------------


def test_a_study_is_an_experiment_with_one_parent_and_a_run_for_every_trial(tmp_path, uri):
    ledger = small_study(tmp_path)
    Tracker(uri, launch(), ledger).close()
    runs = runs_of(uri)
    parent = runs.pop(None)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["study_id"] == "one"
    assert "val/gain_macro_f1" in parent.data.tags["mlflow.note.content"]
    assert runs.keys() == {"v", "t", "u"}
    tags = runs["t"].data.tags
    assert tags["mlflow.parentRunId"] == parent.info.run_id
    assert {key: tags[key] for key in ("arm", "phase", "imbalance_ratio", "replicates", "state")} == {
        "arm": "prefinetune",
        "phase": "search",
        "imbalance_ratio": "0.1",
        "replicates": "3",
        "state": "complete",
    }
    assert {"config_digest", "corpus_digest", "git_commit"} <= tags.keys()
    assert runs["t"].data.params == {"operator": "aeda", "strength": "0.1"}
    for run in (parent, *runs.values()):
        assert [d.dataset.digest for d in run.inputs.dataset_inputs] == [CORPUS["digest"]]


def test_the_table_shows_means_and_the_gain_over_vanilla_with_vanilla_at_zero(tmp_path, uri):
    ledger = small_study(tmp_path)
    Tracker(uri, launch(), ledger).close()
    runs = runs_of(uri)
    gain = paired_gain(ledger.trials["t"].values("val/macro_f1"), ledger.trials["v"].values("val/macro_f1"))
    shown = runs["t"].data.metrics
    assert shown["val/macro_f1"] == pytest.approx((0.50 + 0.55 + 0.61) / 3)
    assert shown["val/gain_macro_f1"] == pytest.approx(gain.mean)
    assert shown["val/gain_ci_low"] == pytest.approx(gain.ci_low)
    assert shown["val/gain_ci_high"] == pytest.approx(gain.ci_high)
    assert runs["v"].data.metrics["val/gain_macro_f1"] == 0
    assert runs["u"].data.metrics["val/gain_macro_f1"] == pytest.approx(-0.1)
    assert shown["val/macro_f1_ci_low"] < shown["val/macro_f1"] < shown["val/macro_f1_ci_high"]
    assert "val/gain_ci_low" not in runs["u"].data.metrics, "one pair has no interval"
    history = open_client(uri).get_metric_history(runs["t"].info.run_id, "values/val/macro_f1")
    assert {(p.step, p.value) for p in history} == {(0, 0.50), (1, 0.55), (2, 0.61)}


def test_vanilla_does_not_claim_the_stage_1_settings_that_it_did_not_use(tmp_path, uri):
    Tracker(uri, launch(), small_study(tmp_path)).close()
    assert runs_of(uri)["v"].data.params == {"arm": "vanilla", "batch_size": "16"}


def test_a_confirmed_trial_is_compared_with_the_vanilla_confirmed_on_the_same_replicates(tmp_path, uri):
    ledger = small_study(tmp_path)
    for trial_id, arm, value in (("cv", "vanilla", 0.6), ("ct", "prefinetune", 0.7)):
        ledger.start_trial(trial_id, "confirmation", arm, 0.1, {})
        for index in (0, 100):
            ledger.add_replicate(trial_id, replicate(index, value, **{"test/macro_f1": value - 0.2}))
        ledger.finish_trial(trial_id, "complete")
    Tracker(uri, launch(), ledger).close()
    shown = runs_of(uri)["ct"].data.metrics
    assert shown["val/gain_macro_f1"] == pytest.approx(0.1)
    assert shown["test/gain_macro_f1"] == pytest.approx(0.1)


def test_the_run_of_a_confirmed_arm_holds_the_verdict_and_the_interval_that_decides(
    tmp_path, uri, make_study
):
    ledger = confirm(make_study(ratios=(0.1,), failed=False))
    facts, ledger = load_study(tmp_path, "adme")
    comparison = build_comparison(ledger, facts)
    [found] = comparison.confirmation.ratios
    tracker = Tracker(uri, launch(), ledger)
    for arm in found.arms:
        tracker.add_to_run(arm.record.trial_id, verdict_of(arm, arm_sentence(arm, found, comparison)))
    tracker.close()
    Tracker(uri, launch(), ledger).close()  # it stays
    run = runs_of(uri)[found.winner.record.trial_id]
    assert run.data.tags["verdict"] == "better" and run.data.tags["role"] == "winner"
    shown, gain = run.data.metrics, found.winner.gain
    assert [shown[f"verdict/{name}"] for name in ("gain", "ci_low", "ci_high")] == [
        gain.mean,
        gain.ci_low,
        gain.ci_high,
    ]
    assert shown["verdict/p_value_holm"] == found.verdict.p_adjusted
    control = runs_of(uri)[found.arms[-1].record.trial_id]
    assert run.data.tags["mlflow.note.content"].startswith(
        "On the test split, pre-finetuning beats vanilla in"
    )
    described = control.data.tags["mlflow.note.content"]
    assert "gain over vanilla in macro F1 " in described and "A control: no verdict" in described
    for metric in ("test/macro_f1", "val/macro_f1", "test/balanced_accuracy", "test/minority_auprc"):
        low, mean, high = (shown[metric + end] for end in ("_ci_low", "", "_ci_high"))
        assert low < mean < high
    assert not any(name.startswith("test/recall/") and "_ci_" in name for name in shown), "the few, not all"
    assert "verdict" not in control.data.tags and control.data.metrics["verdict/winner_minus_this"] > 0


@pytest.mark.parametrize("notice", ["", "results mean nothing"])
def test_a_description_follows_the_verdict_but_for_one_that_a_user_wrote(tmp_path, uri, notice):
    ledger, client = small_study(tmp_path), open_client(uri)
    of_sample = launch(corpus=CORPUS | {"is_sample": bool(notice), "notice": notice})

    def describe(note):
        tracker = Tracker(uri, of_sample, ledger)
        tracker.add_to_run("t", Addition({}, note=note))
        tracker.close()
        return runs_of(uri)["t"].data.tags["mlflow.note.content"]

    before = f"**{notice}**\n\n" if notice else ""
    assert describe("not shown") == f"{before}not shown"
    assert describe("better") == f"{before}better"
    client.set_tag(runs_of(uri)["t"].info.run_id, "mlflow.note.content", "my own words")
    assert describe("worse") == "my own words"


def test_the_saved_view_sorts_by_gain_and_its_columns_exist(tmp_path, uri):
    tracker = Tracker(uri, launch(), small_study(tmp_path))
    tracker.close()
    key = re.search(r"viewStateShareKey=([\w-]+)", tracker.address("http://127.0.0.1:5000/")).group(1)
    experiment = open_client(uri).get_experiment_by_name("adme")
    state = json.loads(json.loads(experiment.tags[f"mlflow.sharedViewState.{key}"])["state"])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`val/gain_macro_f1`", False)
    data = runs_of(uri)["t"].data
    for column in state["selectedColumns"]:
        kind, name = re.fullmatch(r"(\w+)\.`(.+)`", column).groups()
        if kind != "params" and not name.startswith("verdict"):  # those are of confirmed runs alone
            assert name in getattr(data, kind)


def test_a_sample_corpus_is_marked_on_every_run(tmp_path, uri):
    Tracker(
        uri,
        launch(corpus=CORPUS | {"is_sample": True, "notice": "results mean nothing"}),
        small_study(tmp_path),
    ).close()
    for run in runs_of(uri).values():
        assert run.data.tags["sample_corpus"] == "true"
        assert "mean nothing" in run.data.tags["mlflow.note.content"]


def test_remarks_on_the_texts_stand_in_the_note_of_the_parent_run(tmp_path, uri):
    Tracker(uri, launch(remarks=("Read as cp1252.",)), small_study(tmp_path)).close()
    assert "Note: Read as cp1252." in runs_of(uri)[None].data.tags["mlflow.note.content"]


def test_artifacts_land_on_the_parent_and_a_newer_report_replaces_the_older(tmp_path, uri):
    tracker = Tracker(uri, launch(artifacts=artifact_folder(uri, tmp_path)), small_study(tmp_path))
    report = tmp_path / "report.html"
    for text in ("old", "new"):
        report.write_text(text)
        tracker.log_artifacts([report])
    tracker.close()
    logged = list((tmp_path / "mlflow-artifacts").rglob("report.html"))
    assert [path.read_text() for path in logged] == ["new"]
    assert runs_of(uri)[None].info.run_id in str(logged[0])
    with pytest.raises(FileNotFoundError):
        tracker.log_artifacts([tmp_path / "missing.html"])


def test_nothing_is_printed_while_all_is_well(tmp_path, capfd):
    Tracker(default_tracking_uri(tmp_path), launch(), small_study(tmp_path)).close()
    assert capfd.readouterr() == ("", "")


# ---- a projection of the ledger -----------------------------------------------------------------------------


def test_nothing_stays_running_and_an_interrupted_trial_is_reopened(tmp_path, uri):
    ledger = small_study(tmp_path)
    Tracker(uri, launch(), ledger).close("KILLED")
    before = runs_of(uri)
    assert {run.info.status for run in before.values()} == {"FINISHED", "KILLED"}
    assert before["u"].data.tags["state"] == "interrupted"
    tracker = Tracker(uri, launch(), ledger)
    during = runs_of(uri)
    assert during[None].info.status == during["u"].info.status == "RUNNING"
    ledger.add_replicate("u", replicate(1, 0.4))
    ledger.finish_trial("u", "raced_out")
    tracker.update(ledger.trials["u"])
    tracker.close()
    after = runs_of(uri)
    assert {run.info.status for run in after.values()} == {"FINISHED"}
    assert after["u"].data.tags["state"] == "raced_out"
    assert {k: r.info.run_id for k, r in after.items()} == {k: r.info.run_id for k, r in before.items()}


def test_a_failed_trial_says_why(tmp_path, uri):
    ledger = small_study(tmp_path)
    ledger.finish_trial("u", "failed", "TrialFailed: loss is not a number at step 12")
    Tracker(uri, launch(), ledger).close()
    run = runs_of(uri)["u"]
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].endswith("step 12")


def test_a_trial_that_succeeds_when_tried_again_shows_no_error(tmp_path, uri):
    ledger = small_study(tmp_path)
    ledger.finish_trial("u", "failed", "out of memory")
    tracker = Tracker(uri, launch(), ledger)
    ledger.start_trial("u", "search", "prefinetune", 0.1, {})
    tracker.update(ledger.trials["u"])
    ledger.finish_trial("u", "complete")
    tracker.update(ledger.trials["u"])
    tracker.close()
    run = runs_of(uri)["u"]
    assert run.info.status == "FINISHED"
    assert not run.data.tags["error"]


def test_a_note_that_a_user_wrote_stays(tmp_path, uri):
    ledger = small_study(tmp_path)
    Tracker(uri, launch(), ledger).close()
    client = open_client(uri)
    client.set_tag(runs_of(uri)[None].info.run_id, "mlflow.note.content", "mine")
    Tracker(uri, launch(), ledger).close()
    assert runs_of(uri)[None].data.tags["mlflow.note.content"] == "mine"


def test_a_driver_killed_between_two_writes_is_repaired_without_a_point_logged_twice(tmp_path, uri):
    ledger = small_study(tmp_path)
    Tracker(uri, launch(), ledger)  # never closed
    ledger.add_replicate("u", replicate(2, 0.5))
    ledger.add_replicate("u", replicate(1, 0.4))
    resumed = Ledger(ledger.path)
    Tracker(uri, launch(), resumed).close()
    run = runs_of(uri)["u"]
    history = open_client(uri).get_metric_history(run.info.run_id, "values/val/macro_f1")
    assert sorted((p.step, p.value) for p in history) == [(0, 0.3), (1, 0.4), (2, 0.5)]


def test_a_fresh_study_gets_runs_of_its_own(tmp_path, uri):
    ledger = small_study(tmp_path)
    Tracker(uri, launch(), ledger).close()
    Tracker(uri, launch(study_id="two"), ledger).close()
    client = open_client(uri)
    experiment = client.get_experiment_by_name("adme").experiment_id
    assert len(client.search_runs([experiment])) == 8
    assert len(client.search_runs([experiment], "tags.study_id = 'two'")) == 4


def test_a_change_of_the_reference_reaches_the_trials_compared_with_it(tmp_path, uri):
    ledger = small_study(tmp_path)
    ledger.add_replicate("u", replicate(3, 0.5))
    tracker = Tracker(uri, launch(), ledger)
    ledger.add_replicate("v", replicate(3, 0.6))
    tracker.close()
    shown = runs_of(uri)["u"].data.metrics
    assert shown["val/gain_macro_f1"] == pytest.approx(-0.1)
    assert "val/gain_ci_low" in shown


def test_undefined_and_infinite_metrics_are_logged_once(tmp_path, uri):
    ledger = small_study(tmp_path)
    ledger.add_replicate("u", replicate(1, math.nan, **{"val/nll": math.inf}))
    Tracker(uri, launch(), ledger).close()
    Tracker(uri, launch(), ledger).close()
    client, run = open_client(uri), runs_of(uri)["u"]
    assert math.isnan(run.data.metrics["val/macro_f1"])
    for key in ("val/macro_f1", "val/nll", "values/val/nll"):
        assert len(client.get_metric_history(run.info.run_id, key)) == 1


def test_more_values_than_one_batch_takes(tmp_path, uri):
    ledger = small_study(tmp_path)
    many = {f"val/f1/class {c}": 0.5 for c in range(450)}
    for index in (1, 2):
        ledger.add_replicate("u", replicate(index, 0.4, **many))
    Tracker(uri, launch(), ledger).close()
    run = runs_of(uri)["u"]
    assert many.keys() <= run.data.metrics.keys()
    assert {f"values/{name}" for name in many} <= run.data.metrics.keys()


def test_a_deleted_experiment_is_restored(tmp_path, uri):
    ledger = small_study(tmp_path)
    Tracker(uri, launch(), ledger).close()
    client = open_client(uri)
    client.delete_experiment(client.get_experiment_by_name("adme").experiment_id)
    Tracker(uri, launch(), ledger).close()
    assert runs_of(uri)[None].info.status == "FINISHED"
