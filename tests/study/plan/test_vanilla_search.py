"""Vanilla's own search, which finds the reference of every gain at the budget of pre-finetuning."""

from __future__ import annotations

from dataclasses import replace

from optuna.trial import TrialState

from study.record.gains import gains_of
from tests.study.simulation import SimulatedStudy, run_to_the_end, small_config


def test_vanillas_search_has_the_trials_and_the_races_of_pre_finetuning(tmp_path):
    config = small_config(
        trials=8,
        replicates=4,
        imbalance_ratios=(0.1,),
        reference_space={"stage2_learning_rate": (5e-6, 1e-5, 3e-5, 5e-5, 1e-4), "warmup": (0.0, 0.1)},
    )
    study = run_to_the_end(tmp_path, config)
    tuning = study.ledger.of_phase("reference_tuning")
    assert len(tuning) == len(study.ledger.of_phase("search")) == 8
    first = tuning[0]
    assert first.config["stage2_learning_rate"] == 1e-5 and first.config["warmup"] == 0.0  # the paper's
    assert first.state == "complete" and study.ledger.anchor(0.1) is first
    assert {t.state for t in tuning} == {"complete", "raced_out"}
    assert study.ledger.reference(0.1).config["stage2_learning_rate"] == 1e-4  # the score grows with it
    sampler = study.search._samplers["vanilla", 0.1]
    assert sampler.opened == 8 and len(sampler._view.get_trials(states=[TrialState.COMPLETE])) == 8


def test_gains_within_vanillas_search_are_over_its_first_trial_on_the_same_replicates(tmp_path):
    study = run_to_the_end(tmp_path, small_config(imbalance_ratios=(0.1,)))
    first, other = study.ledger.of_phase("reference_tuning")
    assert set(gains_of(study.ledger, first, "val/macro_f1").values()) == {0.0}
    ours, theirs = other.values("val/macro_f1"), first.values("val/macro_f1")
    assert gains_of(study.ledger, other, "val/macro_f1") == {r: ours[r] - theirs[r] for r in ours}


def test_a_longer_search_of_a_later_launch_leaves_the_reference_as_it_is(tmp_path):
    grid = {"stage2_learning_rate": (5e-6, 1e-5, 3e-5, 5e-5), "warmup": (0.0, 0.1)}
    config = small_config(imbalance_ratios=(0.1,), trials=2, reference_space=grid)
    before = run_to_the_end(tmp_path, config).ledger.reference(0.1)
    again = run_to_the_end(tmp_path, replace(config, trials=6))
    assert again.plan.complete and again.ledger.reference(0.1).trial_id == before.trial_id
    assert len(again.ledger.of_phase("reference_tuning")) == 2 and len(again.ledger.of_phase("search")) == 6


def test_a_study_stops_when_the_first_trial_of_vanillas_search_fails(tmp_path):
    study = SimulatedStudy(
        tmp_path, small_config(), fails=lambda job: job.phase == "reference_tuning" and not job.reference
    )
    study.run()
    assert "reference vanilla at imbalance ratio" in str(study.plan.stopped)
