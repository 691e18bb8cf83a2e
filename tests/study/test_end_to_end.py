"""The whole path on this machine: Ray, Tune, a real (tiny) encoder, MLflow, Optuna, comparison, report."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time

import mlflow
import optuna
import pytest

from study import compare
from study.record.folder import StudyFolder
from study.record.ledger import Ledger
from study.record.sqlite import sqlite_uri
from tests.default_signals import default_signals
from tests.study.tiny_launch import ROOT, command, environment, run
from trainables.errors import StudyStopped
from trainables.method.arms import LINEAR_ARMS


def runs_of(storage):
    client = mlflow.MlflowClient(sqlite_uri(storage / "mlflow.db"))
    experiment = client.get_experiment_by_name("adme")
    return client.search_runs([experiment.experiment_id], max_results=1000)


def test_every_phase_has_run_and_every_trial_has_a_paired_gain(launched):
    storage, _ = launched
    ledger = Ledger(storage / "adme" / "ledger.jsonl")
    assert len(ledger.of_phase("search")) == 4
    confirmed = ledger.of_phase("confirmation")
    assert not ledger.of_phase("control") and ledger.looks == {2}
    arms = ["vanilla", "logit_adjustment_posthoc", "paper", "vanilla_matched", "tfidf_lr", "frozen_lr"]
    for ratio in ("natural", 0.2):
        found = [trial.arm for trial in confirmed if trial.imbalance_ratio == ratio]
        assert sorted(found) in (
            sorted(arms),
            sorted([*arms, "prefinetune"]),
        )  # the recipe itself may have won
    assert {frozenset(trial.replicates) for trial in confirmed} == {frozenset({3, 4})}
    assert {frozenset(trial.replicates) for trial in ledger.of_phase("screening")} == {frozenset({2})}
    controls = [trial for trial in confirmed if trial.arm in ("paper", "vanilla_matched", *LINEAR_ARMS)]
    assert {trial.state for trial in ledger.trials.values()} <= {"complete", "raced_out"}
    for trial in ledger.of_phase("search"):
        reference = ledger.reference(trial.imbalance_ratio)
        assert set(trial.replicates) <= set(reference.replicates)
        diagnostics = trial.replicates[0].diagnostics
        assert diagnostics["stage1_steps"] > 0 and diagnostics["stage2_steps"] > 0
    for control in controls:
        if control.arm in LINEAR_ARMS:
            assert control.matched_to is None and len(control.replicates) == 2
            assert control.replicates[3].diagnostics["linear_strength"] > 0
            continue
        if control.arm == "paper":
            assert control.config["stage1_trainable"] == "last_block" and len(control.replicates) == 2
            continue
        matched = ledger.trials[control.matched_to].replicates[3].diagnostics
        steps = control.replicates[3].diagnostics["stage2_steps"]
        assert steps == matched["stage1_steps"] + matched["stage2_steps"]


def test_standard_output_holds_the_table_and_standard_error_the_way_on(launched):
    storage, finished = launched
    assert "vanilla finetuning" in finished.stdout and "compute-matched vanilla" in finished.stdout
    assert f"Report: {storage / 'adme' / 'report.html'}" in finished.stderr
    assert "mlflow ui --backend-store-uri" in finished.stderr
    assert "GENERATED SAMPLE" in finished.stderr and "mean nothing about FDA labels" in finished.stdout


def test_nothing_is_written_beside_a_storage_folder_with_an_odd_name(launched):
    storage, _ = launched
    assert list(storage.parent.iterdir()) == [storage]
    assert [path.name for path in storage.parent.parent.iterdir()] == [storage.parent.name]
    assert {"mlflow.db", "mlflow-artifacts", "adme", "cache"} <= {path.name for path in storage.iterdir()}


def test_libraries_are_silent(launched):
    _, finished = launched
    for noise in ("Warning", "INFO", "(raylet)", "(pid=", "Loading weights", "alembic"):
        assert noise not in finished.stderr, finished.stderr


def test_mlflow_has_one_parent_and_a_finished_run_for_every_trial(launched):
    storage, _ = launched
    ledger = Ledger(storage / "adme" / "ledger.jsonl")
    runs = runs_of(storage)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    children = {run.data.tags["trial_id"]: run for run in runs if run not in parents}
    assert set(children) == set(ledger.trials) and len(runs) == 1 + len(ledger.trials)
    assert {run.info.status for run in runs} == {"FINISHED"}
    for trial in ledger.of_phase("search"):
        child = children[trial.trial_id]
        assert child.data.params["strength"] == str(trial.config["strength"])
        reference = ledger.reference(trial.imbalance_ratio).values("val/macro_f1")
        gains = [value - reference[r] for r, value in trial.values("val/macro_f1").items()]
        assert child.data.metrics["val/gain_macro_f1"] == pytest.approx(sum(gains) / len(gains))


def test_mlflow_has_the_report_that_lies_in_the_folder(launched):
    storage, _ = launched
    (logged,) = (storage / "mlflow-artifacts").rglob("report.html")
    assert logged.read_bytes() == (storage / "adme" / "report.html").read_bytes()


def test_optuna_opens_its_storage(launched):
    storage, _ = launched
    study = optuna.load_study(study_name="adme", storage=sqlite_uri(storage / "adme" / "optuna.db"))
    assert len(study.trials) == 4 and {trial.state.name for trial in study.trials} <= {"COMPLETE", "PRUNED"}
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert {trial.params["imbalance_ratio"] for trial in complete} == {"natural", 0.2}


def test_the_augmentation_of_every_leading_trial_is_audited(launched):
    storage, _ = launched
    audited = {path.name for path in (storage / "adme" / "audits").iterdir()}
    ratios = {Ledger(storage / "adme" / "ledger.jsonl").trials[trial].imbalance_ratio for trial in audited}
    assert ratios == {"natural", 0.2}
    assert "What the augmentation does" in (storage / "adme" / "report.html").read_text(encoding="utf-8")
    kept = {
        run.data.tags["trial_id"]: run.data.metrics["audit/numerals_kept"]
        for run in runs_of(storage)
        if "audit/numerals_kept" in run.data.metrics
    }
    assert kept == dict.fromkeys(audited, 1.0)


def augmentations_of(storage):
    """Return how many augmentations each replicate of the search computed."""
    searched = Ledger(storage / "adme" / "ledger.jsonl").of_phase("search")
    return [r.diagnostics["augmentations_computed"] for trial in searched for r in trial.replicates.values()]


@pytest.mark.slow
def test_a_second_study_computes_no_augmentation_again(launched, encoder):
    storage, _ = launched
    assert sum(augmentations_of(storage)) > 0
    earlier = storage / "adme.kept"
    (storage / "adme").rename(earlier)
    try:
        finished = run(command(encoder, storage, "--tracking-uri", sqlite_uri(earlier / "other.db")))
        assert finished.returncode == 0, finished.stderr
        computed = augmentations_of(storage)
        assert computed and not any(computed)
    finally:
        shutil.rmtree(storage / "adme", ignore_errors=True)
        earlier.rename(storage / "adme")


def test_the_comparison_as_json(launched, capsys):
    storage, _ = launched
    assert compare.main(["adme", "--storage", str(storage), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["study"] == "adme" and len(found["trials"]) == 4
    assert {b["arm"] for b in found["baselines"]} == {"vanilla", "logit_adjustment_posthoc"}
    winners = [entry for entry in found["confirmation"] if entry["role"] == "winner"]
    assert {entry["imbalance_ratio"] for entry in winners} == {"natural", 0.2}
    assert {entry["verdict"] for entry in winners} == {"not shown"}  # by two replicates
    assert {entry["gain"]["metric"] for entry in winners} == {"test/macro_f1"}
    for trial in found["trials"]:
        assert trial["gain"]["metric"] == "val/macro_f1" and trial["seconds"] > 0
        if trial["replicates"] > 1:
            assert trial["gain"]["ci_low"] <= trial["gain"]["mean"] <= trial["gain"]["ci_high"]


def test_the_same_command_again_computes_nothing(launched, encoder):
    storage, _ = launched
    before = (storage / "adme" / "ledger.jsonl").read_bytes()
    runs_before = {run.info.run_id for run in runs_of(storage)}
    finished = run(command(encoder, storage))
    assert finished.returncode == 0, finished.stderr
    assert "Resuming" in finished.stderr
    assert (storage / "adme" / "ledger.jsonl").read_bytes() == before
    assert {run.info.run_id for run in runs_of(storage)} == runs_before


ENDINGS = [
    (signal.SIGKILL, -9, "RUNNING", ""),
    pytest.param(signal.SIGTERM, 143, "KILLED", "ended by SIGTERM", marks=pytest.mark.slow),
    pytest.param(signal.SIGINT, 130, "KILLED", "interrupted", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("number", "code", "status", "said"), ENDINGS)
def test_a_killed_launch_goes_on_where_it_stopped(launched, encoder, tmp_path, number, code, status, said):
    """Ended in the middle of the search: the same trials, the same numbers, nothing twice."""
    whole = Ledger(launched[0] / "adme" / "ledger.jsonl")
    one_at_a_time = "--set=concurrency=1"
    path = tmp_path / "adme" / "ledger.jsonl"
    driver = subprocess.Popen(
        command(encoder, tmp_path, one_at_a_time),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_signals,
    )
    deadline = time.monotonic() + 200
    while not (path.exists() and len(Ledger(path).of_phase("search")) >= 1):
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    with (
        pytest.raises(StudyStopped, match=f"process {driver.pid}"),
        StudyFolder(tmp_path, "adme").locked(),
    ):
        raise AssertionError("two launches at once")
    driver.send_signal(number)
    _, complained = driver.communicate(timeout=100)
    assert driver.returncode == code and said in complained and "Traceback" not in complained
    ended = {run.info.status for run in runs_of(tmp_path)}
    assert status in ended and ended <= {status, "FINISHED"}
    done = {
        (trial.trial_id, replicate): record.metrics
        for trial in Ledger(path).trials.values()
        for replicate, record in trial.replicates.items()
    }
    finished = run(command(encoder, tmp_path, one_at_a_time))
    assert finished.returncode == 0, finished.stderr
    events = [json.loads(line) for line in path.read_text().splitlines()]
    computed = [(e["trial_id"], e["replicate"]) for e in events if e["event"] == "replicate"]
    assert len(computed) == len(set(computed))
    resumed = Ledger(path)
    for (trial_id, replicate), metrics in done.items():
        assert resumed.trials[trial_id].replicates[replicate].metrics == metrics
    for trial_id, trial in resumed.trials.items():
        for replicate, record in trial.replicates.items():
            if trial_id in whole.trials and replicate in whole.trials[trial_id].replicates:
                assert record.metrics == whole.trials[trial_id].replicates[replicate].metrics
    runs = runs_of(tmp_path)
    assert len(runs) == 1 + len(resumed.trials)
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.slow
def test_two_workers_score_as_one_does(launched, encoder, tmp_path):
    """The same batches; dropout differs, because each worker draws its own masks."""
    whole = Ledger(launched[0] / "adme" / "ledger.jsonl")
    recipe = '--set=reference_space={"stage2_learning_rate": [0.001], "stage2_epochs": [2.0]}'
    few = ["--trials", "2", "--workers-per-trial", "2", recipe]
    finished = run(command(encoder, tmp_path, *few), timeout=600)
    assert finished.returncode == 0, finished.stderr
    grouped = Ledger(tmp_path / "adme" / "ledger.jsonl")
    assert {trial.state for trial in grouped.trials.values()} <= {"complete", "raced_out"}
    compared = 0
    for trial in grouped.of_phase("reference"):
        for twin in whole.of_phase("reference_tuning"):
            if twin.config == trial.config:
                compared += 1
                assert trial.values("val/nll")[0] == pytest.approx(twin.values("val/nll")[0], abs=0.1)
    assert compared == 2
