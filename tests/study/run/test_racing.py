"""The race of a search: which trials it ends where nothing tells them apart."""

from __future__ import annotations

import pytest

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


def _made(folder):
    folder.mkdir()
    return folder


def _lengths(study):
    return [len(trial.replicates) for trial in study.ledger.of_phase("search")]
