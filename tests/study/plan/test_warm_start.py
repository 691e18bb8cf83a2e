"""Warm start: an earlier study's trials lead the sampler, and are neither trials nor results of this study."""

from __future__ import annotations

import json

import pytest

from study.plan.search import GainSearch
from study.plan.warm_start import earlier_trials, warm_start_faults
from tests.study.simulation import run_to_the_end, small_config


@pytest.fixture
def earlier(tmp_path):
    """A finished study's folder."""
    config = small_config(trials=8)
    folder = tmp_path / "earlier"
    run_to_the_end(folder, config)
    facts = {"config": config.identity(), "corpus": {"digest": "d1"}}
    (folder / "study.json").write_text(json.dumps(facts))
    return folder


def warm(folder, **changes):
    return small_config(warm_start=str(folder), **changes)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cma-es", "nsga-ii"])
def test_the_sampler_knows_the_earlier_trials_and_counts_none(earlier, sampler):
    config, said = warm(earlier, sampler=sampler), []
    found = earlier_trials(config, "d1", said.append)
    assert len(found) == 8 + 4  # pre-finetuning's, and vanilla's
    assert (
        f"know 12 trials of {earlier}" in said[0] and "count neither" in said[0] and "differs" not in said[0]
    )
    search = GainSearch(config, earlier=found)
    assert search.opened_trials(("prefinetune", 0.1)) == 0 and search.importances() == []
    view = search._samplers["prefinetune", 0.1]._view
    assert sorted(t.value for t in view.trials) == sorted(
        t.learnt[0] for t in found if t.key == ("prefinetune", 0.1)
    )
    for _ in range(3):
        assert set(search.propose(("prefinetune", 0.1), {})) == set(config.space)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cma-es", "nsga-ii"])
def test_a_study_over_ranges_knows_the_trials_of_lists_within_them(earlier, sampler):
    space = {
        "strength": {"low": 0.05, "high": 0.15},
        "stage1_epochs": (1.0, 2.0),
        "stage2_learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    }
    config = warm(earlier, sampler=sampler, space=space, first={"strength": 0.15})
    own = [t for t in earlier_trials(config, "d1", lambda said: None) if t.key[0] == "prefinetune"]
    assert own and {t.config["strength"] for t in own} <= {0.05, 0.1}
    search = GainSearch(config, earlier=own)
    assert search.propose(("prefinetune", 0.1), {})["strength"] not in (0.05, 0.1)


def test_a_trial_off_the_grids_or_of_another_ratio_is_left_out_and_what_differs_is_told(earlier):
    said = []
    config = warm(
        earlier,
        imbalance_ratios=(0.1,),
        space={"strength": (0.05, 0.1), "stage1_epochs": (1.0, 2.0), "stage2_learning_rate": (5e-5, 1e-4)},
        encoder="another",
    )
    found = earlier_trials(config, "d2", said.append)
    assert {trial.key[1] for trial in found} == {0.1}
    assert all(t.config["strength"] != 0.2 for t in found if t.key[0] == "prefinetune")
    assert f"{12 - len(found)} others are of an arm, a ratio or values" in said[0]
    assert "differs in encoder, imbalance_ratios, its texts" in said[0]


def test_what_cannot_be_a_warm_start_is_a_fault(earlier, tmp_path):
    assert warm_start_faults(small_config(), tmp_path) == []
    assert warm_start_faults(warm(earlier), tmp_path / "toy") == []
    (fault,) = warm_start_faults(warm(tmp_path / "nowhere"), tmp_path / "toy")
    assert "study.json was expected, and is not there" in fault
    (fault,) = warm_start_faults(warm(earlier), earlier)
    assert "this is the study itself" in fault
    (fault,) = warm_start_faults(warm(earlier, objective="val/mcc"), tmp_path / "toy")
    assert "its gains are in val/macro_f1, this study's objective is val/mcc" in fault


def test_that_a_space_is_exhausted_is_told(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        "tests.study.simulation.GainSearch", lambda config, storage: GainSearch(config, storage, said.append)
    )
    run_to_the_end(tmp_path, small_config(trials=40, imbalance_ratios=(0.1,)))
    assert said == [
        "All 12 configurations of prefinetune's space at imbalance ratio 0.1 are tried now: its search ends with them, "
        "instead of 40 trials."
    ]
