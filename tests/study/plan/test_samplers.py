"""Samplers by name: each proposes every configuration once, learns, and is the same after a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.config import samplers as checks
from study.config.faults import study_faults
from study.config.samplers import SAMPLERS
from study.plan.sampling import TrackSampler
from study.plan.tracks import tracks_of
from tests.study.simulation import run_to_the_end, small_config

LARGER = {
    "operator": ("aeda", "eda", "random_swap"),
    "strength": (0.05, 0.1, 0.15, 0.2),
    "stage1_epochs": (0.5, 1.0, 2.0),
    "stage2_learning_rate": (1e-5, 2e-5, 5e-5, 1e-4),
}


def config(sampler, **changes):
    return small_config(sampler=sampler, imbalance_ratios=(0.1,), startup_trials=4, **changes)


def track_sampler(sampler, **changes):
    whole = config(sampler, **changes)
    return TrackSampler(whole, next(t for t in tracks_of(whole) if t.arm == "prefinetune"))


def gain(values):
    ordered = 5 * values["strength"] + 1e4 * values["stage2_learning_rate"]
    return ordered - 0.2 * (values["operator"] == "aeda")


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_small_space_is_tried_to_its_end_and_nothing_twice(name):
    sampler = track_sampler(name)
    tried = []
    while not sampler.is_exhausted:
        values = sampler.sample({"strength": 0.1})
        sampler.open(values)
        sampler.learn(values, values["strength"])
        tried.append(tuple(values.values()))
    assert len(tried) == len(set(tried)) == sampler.size == 12
    assert 0.1 in tried[0]


@pytest.mark.parametrize("name", ["tpe", "gp", "cma-es", "nsga-ii"])
def test_a_sampler_learns_from_gains(name):
    """What it proposes late is better than what it began with, on average over seeds."""
    better, seeds = 0, 2 if name == "gp" else 4
    for seed in range(seeds):
        sampler = track_sampler(name, space=LARGER, first={}, seed=seed)
        gains = []
        for _ in range(28):
            values = sampler.sample({})
            sampler.open(values)
            gains.append(gain(values))
            sampler.learn(values, gains[-1])
        better += sum(gains[-10:]) / 10 > sum(gains[:10]) / 10
    assert better >= seeds - 1


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_finished_study_that_is_extended_ends_as_one_that_was_that_long_from_the_start(name, tmp_path):
    long = config(name, trials=12, space=LARGER, first={"strength": 0.1})
    whole = run_to_the_end(tmp_path / "whole", long)
    run_to_the_end(tmp_path / "extended", replace(long, trials=8))
    extended = run_to_the_end(tmp_path / "extended", long)
    assert [t.trial_id for t in extended.ledger.of_phase("search")] == [
        t.trial_id for t in whole.ledger.of_phase("search")
    ]


def test_another_sampler_goes_on_from_the_history(tmp_path):
    run_to_the_end(tmp_path, config("tpe", trials=6, space=LARGER))
    more = run_to_the_end(tmp_path, config("cma-es", trials=9, space=LARGER))
    assert len(more.ledger.of_phase("search")) == 9 and more.plan.complete


def test_a_sampler_that_repeats_itself_is_told_so_before_the_nearest_is_taken():
    sampler = track_sampler("tpe", space=LARGER)
    for _ in range(60):
        values = sampler.sample({})
        sampler.open(values)
        sampler.learn(values, gain(values))
    assert sampler.repeated > 0
    assert sampler.nearest <= 1  # the others are the sampler's own


def test_what_a_sampler_needs_is_checked_before_anything_is_spent(monkeypatch):
    assert (
        "one of tpe, random, gp, cma-es, nsga-ii was expected. Did you mean 'tpe'?"
        in study_faults(config("tpee"))[0]
    )
    words = {"operator": ("aeda", "eda")}
    (fault,) = study_faults(config("cma-es", space=words, first={}))
    assert "space (operator) has none" in fault and "choose 'tpe' or 'gp'" in fault
    assert study_faults(config("gp", space=words, first={})) == []
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None)
    assert [f for f in study_faults(config("gp")) if "needs the package torch" in f]
    assert [f for f in study_faults(config("cma-es")) if "needs the package cmaes" in f]
