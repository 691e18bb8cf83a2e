"""What mattered in a search: the setting that makes the gains is found, and of few trials nothing is said."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from study.plan.importances import FEWEST_TRIALS, importances
from study.plan.search import GainSearch
from tests.study.simulation import run_to_the_end, small_config

SPACE = {
    "operator": CategoricalDistribution(("aeda", "eda", "none")),
    "copies": IntDistribution(0, 2),
    "only": IntDistribution(0, 0),
}


def search(n, gain):
    study = optuna.create_study(direction="maximize")
    for i in range(n):
        params = {"operator": ("aeda", "eda", "none")[i % 3], "copies": i // 3 % 3, "only": 0}
        study.add_trial(create_trial(params=params, distributions=SPACE, value=gain(params)))
    return study


def test_the_setting_that_makes_the_gains_matters_most():
    found = importances(
        search(18, lambda params: 0.1 * params["copies"] + 0.01 * (params["operator"] == "eda"))
    )
    assert next(iter(found)) == "copies" and found["copies"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-5)


def test_the_same_trials_give_the_same_shares():
    def gain(params):
        return params["copies"] ** 2 / 7 + len(params["operator"]) / 30

    assert importances(search(12, gain), seed=5) == importances(search(12, gain), seed=5)


def test_failed_trials_do_not_count():
    study = search(FEWEST_TRIALS - 1, lambda params: float(params["copies"]))
    study.add_trial(create_trial(state=TrialState.FAIL))
    assert importances(study) is None
    study.add_trial(
        create_trial(params={"operator": "aeda", "copies": 2, "only": 0}, distributions=SPACE, value=2.0)
    )
    assert importances(study) is not None


def test_equal_gains_show_nothing():
    assert importances(search(20, lambda params: 0.25)) is None


def test_a_study_tells_what_mattered_at_every_ratio_that_had_enough_trials(tmp_path):
    config = small_config(trials=8, replicates=2)
    study = run_to_the_end(tmp_path, config)
    found = study.search.importances()
    searched = [trial.imbalance_ratio for trial in study.ledger.of_phase("search")]
    trials = {ratio: searched.count(ratio) for ratio in config.imbalance_ratios}
    assert {each["imbalance_ratio"]: each["trials"] for each in found} == {
        ratio: n for ratio, n in trials.items() if n >= FEWEST_TRIALS
    }
    resumed = GainSearch(config)
    resumed.replay(study.ledger)
    assert resumed.importances() == found
    for each in found:
        assert set(each["importances"]) == set(config.space)
