"""The race of a search: which trials it ends where nothing tells them apart."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from study.run.racing import RatioRacing
from tests.study import simulation
from tests.study.simulation import run_to_the_end, small_config


@pytest.mark.parametrize("objective", ["val/macro_f1", "val/nll"])
def test_of_trials_that_score_alike_the_later_ones_end_first(tmp_path, monkeypatch, objective):
    monkeypatch.setattr(simulation, "METRIC", objective)
    monkeypatch.setattr(simulation, "score", lambda settings, replicate: 0.5)
    config = small_config(
        imbalance_ratios=(0.1,),
        objective=objective,
        trials=6,
        replicates=4,
        grace_replicates=1,
        reduction_factor=4.0,
    )
    trials = run_to_the_end(tmp_path, config).ledger.of_phase("search")
    assert [len(trial.replicates) for trial in trials] == [4, 1, 1, 1, 1, 1]
    assert [trial.state for trial in trials] == ["complete", *["raced_out"] * 5]


def test_a_launch_that_goes_on_ends_the_same_trials(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "score", lambda settings, replicate: 0.5)
    config = small_config(
        imbalance_ratios=(0.1,), trials=6, replicates=4, grace_replicates=1, reduction_factor=4.0
    )
    whole = run_to_the_end(tmp_path / "whole", config)
    for events in range(1, 30, 4):
        resumed, _ = simulation.die_and_go_on(_made(tmp_path / str(events)), config, events)
        assert _lengths(resumed) == _lengths(whole)


def test_a_trial_that_goes_on_is_not_ended_by_one_that_came_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "score", lambda settings, replicate: 0.5)
    config = small_config(
        imbalance_ratios=(0.1,), trials=2, replicates=4, grace_replicates=1, reduction_factor=4.0
    )
    ledger = run_to_the_end(tmp_path, config).ledger
    first, second = ledger.of_phase("search")
    assert [first.state, second.state] == ["complete", "raced_out"]
    first.state = "running"  # as a driver leaves it that dies after the second one's end
    race = RatioRacing(config)
    race.replay(ledger, config.objective)
    settings = SimpleNamespace(arm=first.arm, imbalance_ratio=first.imbalance_ratio)
    job = SimpleNamespace(trial_id=first.trial_id, phase="search", reference={0: 0.5}, settings=settings)
    trial = SimpleNamespace(trial_id="goes on", config={"job": job})
    race.on_trial_add(None, trial)
    result = {"replicates": 1, "objective": 0.0, "failure": None, "training_iteration": 1}
    assert race.on_trial_result(None, trial, result) == "CONTINUE"


def _made(folder):
    folder.mkdir()
    return folder


def _lengths(study):
    return [len(trial.replicates) for trial in study.ledger.of_phase("search")]
