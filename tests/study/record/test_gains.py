"""One definition of the leading trial, whoever asks: the plan, the progress view, the comparison."""

from __future__ import annotations

import itertools

import pytest

from study.record.gains import gains_of, leading_prefinetuning, leading_trial
from study.record.ledger import Ledger
from study.verdict.comparison import build_comparison
from trainables.trial import ReplicateRecord

METRIC = "val/macro_f1"


@pytest.fixture
def ledger(tmp_path):
    found = Ledger(tmp_path / "ledger.jsonl")
    add(found, "vanilla", (0.5, 0.5, 0.5), phase="reference", arm="vanilla")
    return found


def add(ledger, trial_id, values, state="complete", phase="search", arm="prefinetune", metric=METRIC):
    ledger.start_trial(trial_id, phase, arm, 0.1, {"arm": arm})
    for replicate, value in enumerate(values):
        ledger.add_replicate(trial_id, ReplicateRecord(replicate, {metric: value}, 1.0))
    if state != "running":
        ledger.finish_trial(trial_id, state)


def test_evidence_comes_before_luck(ledger):
    def leading():
        return leading_prefinetuning(ledger, 0.1, METRIC).trial_id

    add(ledger, "lucky, raced out", (0.9,), state="raced_out")
    assert leading() == "lucky, raced out"
    add(ledger, "runs", (0.6, 0.6), state="running")
    assert leading() == "runs"
    add(ledger, "better, raced out later", (0.7, 0.55), state="raced_out")
    assert leading() == "better, raced out later"
    add(ledger, "complete", (0.51, 0.51, 0.51))
    assert leading() == "complete"
    add(ledger, "failed", (1.0, 1.0, 1.0), state="failed")
    add(ledger, "complete and better", (0.52, 0.52, 0.52))
    assert leading() == "complete and better"
    assert leading_prefinetuning(ledger, 0.5, METRIC) is None


def test_of_an_error_the_smallest_leads(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    add(ledger, "vanilla", (1.0, 1.0), phase="reference", arm="vanilla", metric="val/nll")
    for trial_id, value in (("a", 0.9), ("b", 0.8), ("c", 1.1)):
        add(ledger, trial_id, (value, value), metric="val/nll")
    assert leading_trial(ledger, ledger.of_phase("search"), "val/nll").trial_id == "b"


@pytest.mark.parametrize("states", list(itertools.product(("complete", "raced_out", "running"), repeat=2)))
@pytest.mark.parametrize("replicates", [(3, 1), (1, 3), (2, 2)])
def test_the_report_and_the_plan_see_the_same_trial_lead(ledger, states, replicates):
    for name, state, n, value in zip("ab", states, replicates, (0.6, 0.7), strict=True):
        add(ledger, name, (value,) * n, state=state)
    study = {"study": "toy", "ratios": [0.1], "corpus": {}, "mlflow": {}}
    shown = build_comparison(ledger, study, METRIC).best[0.1].record
    assert shown is leading_prefinetuning(ledger, 0.1, METRIC)
    assert len(gains_of(ledger, shown, METRIC)) >= 1
