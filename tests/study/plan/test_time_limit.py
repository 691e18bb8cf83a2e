"""``--max-seconds-per-trial``: what trains too long ends, is told to the sampler and Optuna, and is never chosen."""

from __future__ import annotations

from types import SimpleNamespace

import optuna
import pytest

from study.plan.training_time import TrainingTimes
from study.record.ledger import Ledger
from study.tracking.projection import view_of
from tests.study import simulation
from tests.study.simulation import SimulatedStudy, die_and_go_on, run_to_the_end, score, small_config
from trainables.errors import StudyStopped
from trainables.method.arms import ARM_TABLE
from trainables.trial import ReplicateRecord

# In the simulation a replicate trains 5 s an epoch of stage 1, which vanilla has one of, and 10 s of stage 2.
LIMIT = small_config(
    max_seconds_per_trial=17.0,
    trials=8,
    finalists=2,
    screening_replicates=1,
    confirmation_replicates=2,
    imbalance_ratios=(0.1,),
    first={"strength": 0.2, "stage1_epochs": 2.0, "stage2_learning_rate": 1e-4},
)


def searched(study, state=None):
    trials = study.ledger.of_phase("search")
    return [trial for trial in trials if state is None or trial.state == state]


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp", "nsga-ii", "cma-es"])
def test_what_trains_too_long_ends_at_once_and_is_chosen_nowhere(tmp_path, sampler):
    study = run_to_the_end(tmp_path, small_config(**{**vars(LIMIT), "sampler": sampler}))
    slow = searched(study, "infeasible")
    assert slow and all(trial.config["stage1_epochs"] == 2.0 for trial in slow)
    assert all(len(trial.replicates) == 1 and trial.training_seconds == 20.0 for trial in slow)
    assert (
        slow[0].error == "a replicate trains 20 s, more than the 17 s that it may (--max-seconds-per-trial)"
    )
    others = [trial for trial in searched(study) if trial.state != "infeasible"]
    assert others and {trial.config["stage1_epochs"] for trial in others} == {1.0}
    assert {trial.training_seconds for trial in others} == {15.0}
    chosen = [t for t in study.ledger.of_phase("screening", "confirmation") if t.arm == "prefinetune"]
    assert chosen and {trial.config["stage1_epochs"] for trial in chosen} == {1.0}
    assert study.plan.complete


def longer_is_better(settings, replicate):
    return score(settings, replicate) + settings.stage1_epochs * (settings.arm == "prefinetune")


def test_optunas_storage_holds_the_limit_as_a_constraint_and_its_best_trial_keeps_to_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(simulation, "score", longer_is_better)
    study = run_to_the_end(tmp_path, LIMIT, stores_optuna=True)
    stored = optuna.load_study(study_name="toy", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    by_id = {trial.user_attrs["trial_id"]: trial for trial in stored.trials}
    for trial in searched(study):
        assert by_id[trial.trial_id].constraints == {"0": trial.training_seconds - 17.0}
    assert {by_id[t.trial_id].state.name for t in searched(study, "infeasible")} == {"COMPLETE"}
    assert stored.best_trial.params["stage1_epochs"] == 1.0
    assert max(stored.trials, key=lambda trial: trial.value).params["stage1_epochs"] == 2.0


def test_mlflow_gets_the_reason(tmp_path):
    study = run_to_the_end(tmp_path, LIMIT)
    tags = view_of(searched(study, "infeasible")[0], study.ledger, "val/macro_f1").tags
    assert tags["state"] == "infeasible" and "more than the 17 s" in tags["reason"] and "error" not in tags


def test_a_resumed_study_goes_on_as_an_uninterrupted_one(tmp_path_factory):
    config = small_config(**{**vars(LIMIT), "trials": 4, "confirmation_replicates": 0})
    whole = run_to_the_end(tmp_path_factory.mktemp("whole"), config)
    events = whole.ledger.path.read_text().count("\n")
    assert searched(whole, "infeasible")
    for die_after in range(0, events, 2):
        study, computed = die_and_go_on(tmp_path_factory.mktemp("dead"), config, die_after)
        assert len(computed) - len(set(computed)) <= 1
        ends = [{t: (r.state, r.error) for t, r in of.ledger.trials.items()} for of in (study, whole)]
        assert ends[0] == ends[1], die_after


def test_a_study_without_a_feasible_configuration_says_so(tmp_path):
    study = SimulatedStudy(tmp_path, small_config(**{**vars(LIMIT), "max_seconds_per_trial": 12.0}))
    with pytest.raises(
        StudyStopped, match=r"No configuration of vanilla's search at imbalance ratio 0.1 is fe"
    ):
        study.run()
    recipe = {"stage2_learning_rate": (1e-4,)}
    config = small_config(**{**vars(LIMIT), "max_seconds_per_trial": 12.0, "reference_space": recipe})
    study = run_to_the_end(tmp_path / "recipe", config)
    said = str(study.plan.stopped)
    assert "No configuration of the search is feasible; of the quickest one, a replicate trains 15 s" in said
    assert "--fresh" in said and len(searched(study, "infeasible")) == 8
    again = SimulatedStudy(tmp_path / "recipe", config)
    assert again.plan.next_job() is None and str(again.plan.stopped) == said


def test_an_infeasible_recipe_of_the_paper_is_confirmed_but_does_not_win(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "score", longer_is_better)
    reference = {"stage2_learning_rate": (1e-4,)}
    paper = {"strength": 0.2, "stage1_epochs": 2.0, "stage2_learning_rate": 1e-4}
    of = {**vars(LIMIT), "reference_space": reference, "paper": paper}
    # As the search's own first trial has the recipe's other values too, it is the same training.
    recipe = {**ARM_TABLE["paper"].recipe, **paper}
    fixed = {name: value for name, value in recipe.items() if name not in paper}
    unlimited = run_to_the_end(
        tmp_path / "a", small_config(**{**of, "fixed": fixed, "max_seconds_per_trial": None})
    )
    limited = run_to_the_end(tmp_path / "b", small_config(**{**of, "fixed": fixed}))
    arms = [{trial.arm for trial in study.ledger.of_phase("screening")} for study in (unlimited, limited)]
    assert "paper" in arms[0] and "paper" not in arms[1]
    assert "paper" in {trial.arm for trial in limited.ledger.of_phase("confirmation")}
    assert "prefinetune" in {trial.arm for trial in limited.ledger.of_phase("confirmation")}


def record(replicate=0, **diagnostics):
    return ReplicateRecord(replicate, {}, 1.0, {name: float(value) for name, value in diagnostics.items()})


def test_a_stage_from_the_cache_counts_as_if_it_had_been_trained(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    config = {"batch_size": 16, "stage1_trainable": "all", "stage2_trainable": "all"}
    for name, of in {
        "trained": record(stage1_steps=10, stage1_seconds=20, stage2_steps=5, stage2_seconds=5),
        "found": record(stage1_steps=10, stage2_steps=5, stage2_seconds=6),
        "went on": record(
            stage1_steps=30, stage1_resumed_at=10, stage1_seconds=50, stage2_steps=5, stage2_seconds=5
        ),
    }.items():
        ledger.start_trial(name, "search", "prefinetune", 0.1, config)
        ledger.add_replicate(name, of)
    times = TrainingTimes(ledger)
    assert times.of(ledger.trials["trained"]) == 25.0
    # Ten steps at 2.5 s, as the latest stage of the kind took them.
    assert times.of(ledger.trials["found"]) == 25.0 + 6.0
    assert times.of(ledger.trials["went on"]) == 25.0 + 50.0 + 5.0
    more = record(1, stage1_steps=10, stage1_seconds=20, stage2_steps=5, stage2_seconds=9)
    assert times.of(ledger.trials["found"], more) == (31.0 + 29.0) / 2
    other = SimpleNamespace(config={**config, "stage1_trainable": "last_block"}, replicates={0: of})
    assert times.of(other) == 50.0 + 5.0  # of another kind nothing is known: a lower bound
    linear = SimpleNamespace(config={}, replicates={0: record(linear_seconds=3)})
    assert times.of(linear) == 3.0
