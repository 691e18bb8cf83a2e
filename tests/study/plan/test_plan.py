from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest

from study.plan import optuna_record, search
from study.plan.failures import LOSSES_THAT_FAIL, Death
from study.plan.owed import Planned
from study.record.gains import gains_of, leading_prefinetuning
from study.record.ledger import SEARCH_PHASES
from tests.study.simulation import Killed, SimulatedStudy, run_to_the_end, small_config
from trainables.errors import StudyStopped
from trainables.settings import TrialSettings


def test_every_phase_is_run_and_every_trial_has_an_end(tmp_path):
    study = run_to_the_end(tmp_path, small_config())
    ledger = study.ledger
    assert study.plan.finished and study.plan.complete
    assert {t.state for t in ledger.trials.values()} <= {"complete", "raced_out"}
    assert len(ledger.of_phase("reference_tuning")) == 2 * 2
    assert len(ledger.of_phase("search")) == 6
    for ratio in ("natural", 0.1):
        reference = ledger.reference(ratio)
        assert sorted(reference.replicates) == [0, 1, 2]
        assert sum(t.imbalance_ratio == ratio for t in ledger.of_phase("search")) == 3


def test_the_reference_is_the_best_tuned_vanilla_and_does_not_repeat_its_tuning(tmp_path):
    study = run_to_the_end(tmp_path, small_config())
    for ratio in ("natural", 0.1):
        reference = study.ledger.reference(ratio)
        assert reference.config["stage2_learning_rate"] == 1e-4  # the score grows with it
        assert reference.arm == "vanilla"
        tuned = [t for t in study.ledger.of_phase("reference_tuning") if t.config == reference.config]
        assert reference.replicates[0].metrics == tuned[0].replicates[0].metrics
        assert (reference.trial_id, 0) not in study.computed


def test_a_grid_of_one_is_a_recipe_and_is_not_tuned(tmp_path):
    study = run_to_the_end(tmp_path, small_config(reference_space={"stage2_learning_rate": (5e-5,)}))
    assert not study.ledger.of_phase("reference_tuning")
    assert study.ledger.reference(0.1).config["stage2_learning_rate"] == 5e-5


def test_gains_are_paired_by_replicate_within_a_ratio(tmp_path):
    study = run_to_the_end(tmp_path, small_config())
    for trial in study.ledger.of_phase("search"):
        reference = study.ledger.reference(trial.imbalance_ratio)
        gains = gains_of(study.ledger, trial, "val/macro_f1")
        assert set(gains) == set(trial.replicates)
        for replicate, gain in gains.items():
            ours = trial.replicates[replicate].metrics["val/macro_f1"]
            theirs = reference.replicates[replicate].metrics["val/macro_f1"]
            assert gain == pytest.approx(ours - theirs)
            assert abs(gain) < 0.25  # the replicates' luck of 0.1 has been taken out


def test_posthoc_logit_adjustment_is_an_arm_with_vanillas_replicates(tmp_path):
    study = run_to_the_end(tmp_path, small_config())
    arms = [t for t in study.ledger.of_phase("reference") if t.arm == "logit_adjustment_posthoc"]
    assert len(arms) == 2
    for arm in arms:
        vanilla = study.ledger.reference(arm.imbalance_ratio)
        assert arm.state == "complete" and sorted(arm.replicates) == sorted(vanilla.replicates)
        assert arm.seconds == 0.0
        difference = arm.values("val/macro_f1")[1] - vanilla.values("val/macro_f1")[1]
        assert difference == pytest.approx(0.01)


def test_vanilla_matched_gets_the_steps_of_both_stages_and_the_references_settings(tmp_path):
    study = run_to_the_end(tmp_path, small_config())
    matched = [trial for trial in study.ledger.of_phase("control") if trial.arm == "vanilla_matched"]
    assert len(matched) == 2
    for control in matched:
        best = leading_prefinetuning(study.ledger, control.imbalance_ratio, "val/macro_f1")
        reference = study.ledger.reference(control.imbalance_ratio)
        assert control.matched_to == best.trial_id
        assert control.config["stage2_steps"] == 30
        assert control.config["stage2_learning_rate"] == reference.config["stage2_learning_rate"]
        assert sorted(control.replicates) == sorted(best.replicates)


def test_no_configuration_is_tried_twice_and_a_small_space_ends_early(tmp_path):
    config = small_config(trials=100, imbalance_ratios=(0.1,))
    study = run_to_the_end(tmp_path, config)
    configs = [t.trial_id for t in study.ledger.of_phase("search")]
    assert len(configs) == len(set(configs)) == 3 * 2 * 2
    assert study.plan.complete


def test_a_job_whose_process_dies_is_handed_out_again_without_what_it_finished(tmp_path):
    study = SimulatedStudy(tmp_path, small_config(trials=1, imbalance_ratios=(0.1,)))
    lost = None
    while (job := study.plan.next_job()) is not None:
        if job.phase == "search" and lost is None:
            lost = job
            study._compute(job, 0, 0.5)
            study.plan.on_lost(job, Death("node gone"))
            continue
        if job.phase == "search":
            assert job.trial_id == lost.trial_id and set(job.known) == {0}
        study._run_job(job)
    assert study.plan.complete and len(study.computed) == len(set(study.computed))


def test_a_study_ends_whose_processes_all_die_after_their_last_replicate(tmp_path):
    config = small_config(trials=2, imbalance_ratios=(0.1,), confirmation_replicates=2)
    study, lost = SimulatedStudy(tmp_path, config), set()
    while (job := study.plan.next_job()) is not None:
        name = (job.trial_id, job.replicates)
        if name in lost:
            assert job.phase in SEARCH_PHASES and set(job.known) == set(job.replicates)
            study._run_job(job)
            continue
        lost.add(name)
        for replicate in set(job.replicates) - set(job.known):
            study._compute(job, replicate, 0.5)
        study.plan.on_lost(job, Death("node gone"))
    assert study.plan.complete and study.plan.finished
    assert {trial.state for trial in study.ledger.trials.values()} == {"complete"}
    assert {"reference", "search", "confirmation"} <= {t.phase for t in study.ledger.trials.values()}
    assert len(study.computed) == len(set(study.computed))


def test_replicates_of_vanilla_that_one_machine_takes_with_it_do_not_fail_it(tmp_path):
    study = SimulatedStudy(tmp_path, small_config(trials=1, imbalance_ratios=(0.1,)))
    together = [study.plan.next_job() for _ in range(3)]
    assert len({job.trial_id for job in together}) == 1
    for job in together:
        study.plan.on_lost(job, Death("out of memory"))
    assert study.plan.stopped is None
    study.run()
    assert study.plan.complete


def test_without_a_search_too_an_infeasible_vanilla_ends_the_study(tmp_path):
    study = SimulatedStudy(tmp_path, small_config(trials=0, max_seconds_per_trial=1.0))
    with pytest.raises(StudyStopped, match="No configuration of vanilla's search at imbalance ratio"):
        study.run()


def test_the_first_trial_of_vanillas_search_stays_where_a_later_launch_names_another_recipe(tmp_path):
    config = small_config(imbalance_ratios=(0.1,))
    study = SimulatedStudy(tmp_path, config, kill_after=1)
    with pytest.raises(Killed):
        study.run()
    (anchor,) = study.ledger.trials.values()
    taken = anchor.config["stage2_learning_rate"]
    rates = [rate for rate in config.reference_space["stage2_learning_rate"] if rate != taken]
    other = small_config(imbalance_ratios=(0.1,), paper={**config.paper, "stage2_learning_rate": rates[0]})
    again = run_to_the_end(tmp_path, other)
    assert again.plan.finished and again.ledger.anchor(0.1).trial_id == anchor.trial_id
    assert again.ledger.anchor(0.1).state == "complete"


def test_a_group_that_dies_is_counted_from_its_last_replicate_whatever_is_left_of_its_job(tmp_path):
    config = small_config(trials=1, imbalance_ratios=(0.1,), workers_per_trial=2)
    study = SimulatedStudy(tmp_path, config)
    job = study.plan.next_job()
    study._compute(job, 0, 0.5)
    assert job.replicates == (0, 1, 2)
    for _ in range(LOSSES_THAT_FAIL):
        study.plan.on_lost(job, Death("out of memory"))
        job = study.plan.next_job()
        assert job.replicates == (1, 2)
    study.plan.on_lost(job, Death("out of memory"))
    assert "died 3 times" in str(study.plan.stopped)


def test_a_trial_that_an_earlier_launch_left_running_is_not_waited_for_as_a_twin(tmp_path):
    config = small_config(
        imbalance_ratios=(0.1,), confirmation_replicates=2, screening_replicates=2, finalists=1
    )
    study = run_to_the_end(tmp_path / "whole", config)
    recipe = next(t for t in study.ledger.of_phase("screening") if t.arm == "paper")
    assert "prefinetune" not in {
        t.arm
        for t in study.ledger.of_phase("screening")
        if {**t.config, "arm": ""} == {**recipe.config, "arm": ""}
    }
    again = SimulatedStudy(tmp_path / "again", config)
    left = Planned("screening", TrialSettings.from_config({**recipe.config, "arm": "prefinetune"}), 2)
    again.ledger.start_trial(left.trial_id, left.phase, "prefinetune", 0.1, left.settings.to_config(), None)
    again.run()
    assert again.plan.finished and again.plan.complete


def test_a_job_whose_process_keeps_dying_fails(tmp_path):
    config = small_config(trials=4, imbalance_ratios=(0.1,))
    study = SimulatedStudy(tmp_path, config)
    deaths = 0
    while (job := study.plan.next_job()) is not None:
        if job.phase == "search" and deaths < 3:
            deaths += 1
            study.plan.on_lost(job, Death("out of memory"))
        else:
            study._run_job(job)
    failed = [t for t in study.ledger.of_phase("search") if t.state == "failed"]
    assert len(failed) == 1 and "out of memory" in failed[0].error and study.plan.complete


def test_optuna_holds_the_truth(tmp_path):
    study = run_to_the_end(
        tmp_path,
        small_config(),
        fails=lambda job: job.phase == "search" and job.settings.strength == 0.05,
        stores_optuna=True,
    )
    stored = optuna.load_study(study_name="toy", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    assert len(stored.trials) == 6
    by_id = {t.user_attrs["trial_id"]: t for t in stored.trials}
    for trial in study.ledger.of_phase("search"):
        told = by_id[trial.trial_id]
        assert told.params["imbalance_ratio"] == trial.imbalance_ratio
        assert told.params["strength"] == trial.config["strength"]
        assert told.user_attrs["state"] == trial.state
        if trial.state == "failed":
            assert told.state == optuna.trial.TrialState.FAIL
            assert told.user_attrs["error"] == "made to fail"
        else:
            gains = gains_of(study.ledger, trial, "val/macro_f1")
            ended = "COMPLETE" if trial.state == "complete" else "PRUNED"
            assert told.state == optuna.trial.TrialState[ended]
            assert told.value == pytest.approx(sum(gains.values()) / len(gains))
            assert told.intermediate_values == pytest.approx(gains)
            assert told.datetime_start.timestamp() == pytest.approx(trial.started)


def test_the_first_trial_of_a_ratio_is_the_studys_first_choice(tmp_path):
    study = run_to_the_end(tmp_path, small_config())
    for trial in study.ledger.of_phase("search")[:2]:
        assert trial.config["strength"] == 0.1 and trial.config["stage1_epochs"] == 1.0


def test_a_failed_reference_stops_the_study_and_a_new_launch_tries_it_again(tmp_path):
    config = small_config(reference_space={"stage2_learning_rate": (1e-4,)})
    study = SimulatedStudy(tmp_path, config, fails=lambda job: job.phase == "reference")
    study.run()
    assert study.plan.finished and not study.plan.complete
    assert "reference vanilla" in str(study.plan.stopped) and "made to fail" in str(study.plan.stopped)
    again = run_to_the_end(tmp_path, config)
    assert again.plan.complete


def test_three_failures_before_any_success_stop_the_study(tmp_path):
    study = SimulatedStudy(tmp_path, small_config(), fails=lambda job: job.phase == "search")
    study.run()
    assert "first 3 trials" in str(study.plan.stopped)
    assert len(study.ledger.of_phase("search")) == 3


@pytest.mark.parametrize("trials", [1, 2])
def test_a_search_of_few_trials_that_all_fail_stops_the_study_at_this_launch_and_the_next(tmp_path, trials):
    config = small_config(trials=trials)
    for launch in range(2):
        study = SimulatedStudy(tmp_path, config, fails=lambda job: job.phase == "search")
        assert (study.plan.stopped is not None) == (launch == 1)
        study.run()
        said = str(study.plan.stopped)
        assert f"All {trials} trials of the search failed" in said and "made to fail" in said
        assert "larger --trials" in said
    more = run_to_the_end(tmp_path, small_config(trials=trials + 1))
    assert more.plan.complete and more.plan.stopped is None


def test_a_ratio_at_which_all_trials_fail_does_not_stop_the_others(tmp_path):
    def fails(job):
        return job.phase == "search" and job.settings.imbalance_ratio == 0.1

    study = run_to_the_end(tmp_path, small_config(), fails=fails)
    assert study.plan.complete and study.plan.stopped is None
    assert {t.state for t in study.ledger.of_phase("search") if t.imbalance_ratio == 0.1} == {"failed"}


def locked_for_ever(path):
    """Keep a SQLite file locked, as a program that looks at it may."""
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    return holder


@pytest.mark.parametrize("begun", [0, 12])
def test_optunas_locked_storage_costs_no_trial_and_is_written_anew(tmp_path, monkeypatch, begun):
    monkeypatch.setattr(optuna_record, "_LOCKED_S", 0.05)
    said = []
    monkeypatch.setattr("tests.study.simulation.GainSearch", partial(search.GainSearch, say=said.append))
    study = SimulatedStudy(tmp_path, small_config(), stores_optuna=True)
    for _ in range(begun):
        study._run_job(study.plan.next_job())
    holder = locked_for_ever(tmp_path / "optuna.db")
    study.run()
    assert study.plan.complete and len(study.ledger.of_phase("search")) == 6
    (sentence,) = said
    assert str(tmp_path / "optuna.db") in sentence and "locked by another program" in sentence
    study.search.catch_up(study.ledger)
    holder.close()
    found = optuna.load_study(study_name="toy", storage=f"sqlite:///{tmp_path}/optuna.db")
    told = {t.user_attrs["trial_id"] for t in found.trials if t.state.is_finished()}
    assert told == {t.trial_id for t in study.ledger.of_phase("search")}


def test_optunas_storage_that_stays_unwritable_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(optuna_record, "_LOCKED_S", 0.05)
    said = []
    monkeypatch.setattr("tests.study.simulation.GainSearch", partial(search.GainSearch, say=said.append))
    study = SimulatedStudy(tmp_path, small_config(), stores_optuna=True)
    holder = locked_for_ever(tmp_path / "optuna.db")
    study.run()
    holder.close()
    monkeypatch.setattr(
        Path, "unlink", lambda *args, **options: (_ for _ in ()).throw(OSError(30, "Read-only"))
    )
    study.search.catch_up(study.ledger)
    assert "The next launch writes it anew" in said[-1] and "Read-only" in said[-1]


def test_one_failed_trial_does_not_stop_the_study(tmp_path):
    failed = []

    def fails(job):
        if job.phase == "search" and not failed:
            failed.append(job.trial_id)
        return job.trial_id in failed

    study = run_to_the_end(tmp_path, small_config(), fails=fails)
    assert study.plan.complete
    states = [t.state for t in study.ledger.of_phase("search")]
    assert states.count("failed") == 1 and len(states) == 6


def test_a_trial_that_lost_its_process_stands_once_in_its_race(tmp_path):
    config = small_config(replicates=4, grace_replicates=1)
    study = SimulatedStudy(tmp_path, config)
    while (job := study.plan.next_job()).phase != "search":
        study._run_job(job)
    for name in ("first process", "second process"):
        trial = SimpleNamespace(
            trial_id=name,
            config={"job": job},
        )
        study.racing.on_trial_add(None, trial)
        study.racing.on_trial_result(
            None,
            trial,
            {"replicates": 1, "objective": 0.1, "failure": None, "training_iteration": 1},
        )
    race = study.racing._race_of((job.settings.arm, job.settings.imbalance_ratio))
    on_rungs = [recorded for _, recorded in race._brackets[0]._rungs if recorded]
    assert on_rungs == [{job.trial_id: pytest.approx(0.1)}]


def test_racing_stops_the_worse_half_and_never_compares_ratios(tmp_path):
    config = small_config(trials=12, replicates=4)
    study = run_to_the_end(tmp_path, config)
    for ratio in config.imbalance_ratios:
        trials = [t for t in study.ledger.of_phase("search") if t.imbalance_ratio == ratio]
        first = {t.trial_id: gains_of(study.ledger, t, "val/macro_f1")[0] for t in trials}
        stopped = [t.trial_id for t in trials if len(t.replicates) == 1]
        assert stopped and len(stopped) < len(trials)
        assert max(first[t] for t in stopped) < max(first.values())
        for trial in trials:
            assert trial.state == ("complete" if len(trial.replicates) == 4 else "raced_out")
