"""Samplers by name: each proposes every configuration once, learns, and is the same after a restart."""

from __future__ import annotations

import random
from dataclasses import replace

import optuna
import pytest

from study.config import samplers as checks
from study.config.faults import study_faults
from study.config.samplers import SAMPLERS
from study.plan.samplers import build_sampler
from study.plan.sampling import TrackSampler
from study.plan.tracks import tracks_of
from study.record.sqlite import sqlite_uri
from tests.study.simulation import run_to_the_end, small_config

LARGER = {
    "operator": ("aeda", "eda", "random_swap"),
    "strength": (0.05, 0.1, 0.15, 0.2),
    "stage1_epochs": (0.5, 1.0, 2.0),
    "stage2_learning_rate": (1e-5, 2e-5, 5e-5, 1e-4),
}


def config(sampler, startup=4, **changes):
    return small_config(sampler=sampler, imbalance_ratios=(0.1,), startup_trials=startup, **changes)


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
        sampler.learn(values, [values["strength"]])
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
            sampler.learn(values, gains[-1:])
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
        sampler.learn(values, [gain(values)])
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


RANGES = {
    "operator": ("aeda", "eda"),
    "strength": {"low": 0.05, "high": 0.2},
    "copies": {"low": 1, "high": 8, "log": True},
    "stage2_learning_rate": {"low": 1e-5, "high": 1e-4, "log": True},
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_ranges_are_sampled_learnt_from_and_go_on_after_a_restart(name, tmp_path):
    long = config(name, trials=9, space=RANGES, first={"strength": 0.1})
    assert study_faults(long) == []
    whole = run_to_the_end(tmp_path / "whole", long, stores_optuna=name == "tpe")
    tried = [trial.config for trial in whole.ledger.of_phase("search")]
    assert tried[0]["strength"] == 0.1 and len({t["strength"] for t in tried}) >= 6
    assert all(0.05 <= t["strength"] <= 0.2 and 1e-5 <= t["stage2_learning_rate"] <= 1e-4 for t in tried)
    assert {type(t["copies"]) for t in tried} == {int} and {t["copies"] for t in tried} <= {*range(1, 9)}
    run_to_the_end(tmp_path / "extended", replace(long, trials=6))
    extended = run_to_the_end(tmp_path / "extended", long)
    assert [t.trial_id for t in extended.ledger.of_phase("search")] == [
        t.trial_id for t in whole.ledger.of_phase("search")
    ]
    if name == "tpe":
        stored = optuna.load_study(study_name="toy", storage=sqlite_uri(tmp_path / "whole" / "optuna.db"))
        rate = stored.trials[-1].distributions["stage2_learning_rate"]
        assert rate == optuna.distributions.FloatDistribution(1e-5, 1e-4, log=True)
        assert [t.params["strength"] for t in stored.trials] == [t["strength"] for t in tried]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_whole_range_is_tried_to_its_end_and_nothing_twice(name):
    sampler = track_sampler(
        name, space={"copies": {"low": 1, "high": 5}, "operator": ("eda", "aeda")}, first={}
    )
    tried = try_all(sampler)
    assert len(set(tried)) == len(tried) == sampler.size == 10


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_nothing_reads_is_not_sampled_and_tells_no_two_trials_apart(name):
    """Repeated rows need no operator: they are three configurations beside those of two operators and two strengths."""
    space = {
        "stage1_data": ("augmented_balanced", "duplicated_balanced"),
        "operator": ("eda", "aeda"),
        "strength": (0.1, 0.2),
        "copies": (1, 2, 3),
    }
    sampler = track_sampler(name, space=space, first={})
    tried = [dict(zip(sorted(space), values, strict=True)) for values in try_all(sampler)]
    assert len(tried) == sampler.size == 2 * 2 * 3 + 3
    repeated = [t for t in tried if t["stage1_data"] == "duplicated_balanced"]
    assert sorted(t["copies"] for t in repeated) == [1, 2, 3]
    assert {(t["operator"], t["strength"]) for t in repeated} == {("eda", 0.1)}
    assert sampler.read_of(repeated[0]).keys() == {"stage1_data", "copies"}


def test_a_study_whose_trials_differ_in_what_nothing_reads_goes_on(tmp_path):
    """As earlier versions proposed them."""
    space = {"stage1_data": ("augmented_balanced", "duplicated_balanced"), "strength": (0.1, 0.2)}
    sampler = track_sampler("tpe", space=space, first={})
    for strength in (0.1, 0.2):
        sampler.open({"stage1_data": "duplicated_balanced", "strength": strength})
    for strength in (0.2, 0.1):
        sampler.learn({"stage1_data": "duplicated_balanced", "strength": strength}, 0.1)
    assert not sampler.is_exhausted and len(try_all(sampler)) == 2


def try_all(sampler):
    """Try configurations until none is left; return their values."""
    tried = []
    while not sampler.is_exhausted:
        values = sampler.sample({})
        sampler.open(values)
        sampler.learn(values, 0.1 * len(tried))
        tried.append(tuple(values[name] for name in sorted(values)))
    return tried


MANY = {
    "strength": tuple(round(0.01 * place, 2) for place in range(1, 31)),
    "stage1_learning_rate": tuple(1e-5 * place for place in range(1, 21)),
    "stage2_learning_rate": tuple(1e-5 * place for place in range(1, 21)),
}


def try_many(sampler, trials, at_a_time=4):
    """Try configurations, which end in another order; returns what was opened and learnt, in order."""
    rng, events, running = random.Random(0), [], []
    learnt = 0
    while learnt < trials:
        while len(running) < at_a_time:
            values = sampler.sample({})
            sampler.open(values)
            running.append(values)
            events.append((values, None))
        done = running.pop(rng.randrange(len(running)))
        gain = -abs(done["strength"] - 0.2) + rng.gauss(0.0, 0.02)
        sampler.learn(done, [gain])
        events.append((done, gain))
        learnt += 1
    return events


def test_tpe_of_a_known_space_proposes_what_optunas_own_proposes():
    space = {
        "b": optuna.distributions.IntDistribution(0, 9),
        "a": optuna.distributions.FloatDistribution(0.0, 1.0),
    }
    proposed = []
    for known in (None, space):
        study = optuna.create_study(direction="maximize")
        for seed in range(12):
            study.sampler = build_sampler("tpe", seed, 4, space=known)
            trial = study.ask(space)
            study.tell(trial, trial.params["a"] - trial.params["b"])
        proposed.append([trial.params for trial in study.trials])
    assert proposed[0] == proposed[1]


def many(**options):
    return track_sampler("tpe", space=MANY, first={}, reference_space={"stage2_epochs": (1.0,)}, **options)


def test_however_many_were_tried_tpe_sees_the_best_and_the_latest():
    sampler = many()
    gains = [gain for _, gain in try_many(sampler, 420) if gain is not None]
    sampler.sample({})
    seen = [trial for trial in sampler._view.trials if trial.state is optuna.trial.TrialState.COMPLETE]
    assert 250 <= len(seen) < 300 and len(gains) == 420 == sampler.scored
    assert sorted((trial.value for trial in seen), reverse=True)[:25] == sorted(gains, reverse=True)[:25]
    assert {trial.value for trial in seen} >= set(gains[-100:])


@pytest.mark.parametrize("results", [290, 337, 350, 391])
def test_a_search_of_hundreds_goes_on_after_a_restart_as_if_nothing_had_been(results):
    sampler, again = many(), many()
    for values, gain in try_many(sampler, results):
        if gain is None:
            again.open(values)
        else:
            again.learn(values, [gain])
    assert again.sample({}) == sampler.sample({})


def test_a_search_that_begins_with_hundreds_at_random_forgets_none_of_them():
    sampler = many(startup=320)
    try_many(sampler, 360)
    seen = [trial for trial in sampler._view.trials if trial.state is optuna.trial.TrialState.COMPLETE]
    assert len(seen) == 360
