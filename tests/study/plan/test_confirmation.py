"""The confirmation: what is chosen, on which replicates, when it has enough; and that a kill repeats nothing."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter

import pytest

from study.record.gains import leading_prefinetuning, mean_of
from study.record.ledger import Ledger
from tests.study.simulation import SimulatedStudy, die_and_go_on, run_to_the_end, small_config

CONFIG = small_config(
    finalists=2,
    screening_replicates=2,
    confirmation_replicates=4,
    arms=("oversample", "prefinetune_duplicated", "focal"),
    arm_trials={"focal": 2},
    arm_spaces={"focal": {"gamma": (1.0, 2.0)}},
)
SCREENED, CONFIRMED = {3, 4}, {5, 6, 7, 8}  # after the search's 0, 1, 2
ARMS = {
    "vanilla", "logit_adjustment_posthoc", "prefinetune", "paper", "vanilla_matched", "tfidf_lr", "frozen_lr",
    "oversample", "prefinetune_duplicated", "focal",
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return run_to_the_end(tmp_path_factory.mktemp("study"), CONFIG)


def of_phase(study, phase, ratio):
    return [trial for trial in study.ledger.of_phase(phase) if trial.imbalance_ratio == ratio]


@pytest.mark.parametrize("ratio", CONFIG.imbalance_ratios)
def test_every_searched_arm_is_screened_on_fresh_replicates_and_the_best_is_confirmed_on_others(study, ratio):
    screened = of_phase(study, "screening", ratio)
    # Two leading ones and the first one, which may be among them; the paper's recipe beside pre-finetuning's.
    by_arm = {
        arm: [t for t in screened if t.arm == arm] for arm in ("vanilla", "prefinetune", "paper", "focal")
    }
    assert [len(by_arm[arm]) in (2, 3) for arm in ("vanilla", "prefinetune", "focal")] == [True] * 3
    assert len(by_arm["paper"]) == 1
    assert {frozenset(trial.replicates) for trial in screened} == {frozenset(SCREENED)}
    confirmed = of_phase(study, "confirmation", ratio)
    assert {trial.arm for trial in confirmed} == ARMS and len(confirmed) == len(ARMS)
    assert {frozenset(trial.replicates) for trial in confirmed} == {frozenset(CONFIRMED)}
    config_of = {trial.arm: trial.config for trial in confirmed}
    rivals = {"vanilla": ["vanilla"], "focal": ["focal"], "prefinetune": ["prefinetune", "paper"]}
    for arm, others in rivals.items():
        candidates = [trial for other in others for trial in by_arm[other]]
        best = max(candidates, key=lambda trial: mean_of(trial.values(CONFIG.objective)))
        assert config_of[best.arm] == best.config
        assert arm != "prefinetune" or best.arm == "prefinetune"  # or the figures above say nothing
    assert {t.matched_to for t in confirmed if t.matched_to} == {
        next(t.trial_id for t in confirmed if t.arm == "prefinetune")
    }
    assert config_of["vanilla_matched"]["stage2_steps"] == 30  # the simulation's 10 and 20
    assert config_of["oversample"]["stage2_learning_rate"] == config_of["vanilla"]["stage2_learning_rate"]


def test_only_the_confirmation_is_scored_on_the_test_split_and_keeps_its_scores(study):
    for job in study.jobs:
        confirms = job.phase == "confirmation"
        assert job.test_sets == (("test", "test_balanced") if confirms else ())
        assert job.keeps_scores == confirms
        assert set(job.replicates) <= (CONFIRMED if confirms else {0, 1, 2} | SCREENED)
    assert study.plan.complete and not study.ledger.of_phase("control")
    assert study.ledger.looks == {4}


def test_without_a_screening_the_leading_trials_are_confirmed(tmp_path):
    config = dataclasses.replace(CONFIG, screening_replicates=0, imbalance_ratios=(0.1,), arms=())
    study = run_to_the_end(tmp_path / "s", config)
    assert not study.ledger.of_phase("screening")
    confirmed = {trial.arm: trial for trial in study.ledger.of_phase("confirmation")}
    assert (
        confirmed["prefinetune"].config == leading_prefinetuning(study.ledger, 0.1, config.objective).config
    )
    assert confirmed["vanilla"].config == study.ledger.reference(0.1).config


def test_fixed_recipes_are_confirmed_too(tmp_path):
    config = small_config(
        trials=0, space={}, first={}, imbalance_ratios=(0.1,), reference_space={"stage2_learning_rate": (1e-4,)},
        paper={"operator": "eda"}, confirmation_replicates=2,
    )  # fmt: skip
    study = run_to_the_end(tmp_path / "s", config)
    confirmed = {trial.arm: trial for trial in study.ledger.of_phase("confirmation")}
    assert "prefinetune" not in confirmed and len(confirmed["paper"].replicates) == 2
    assert confirmed["vanilla_matched"].matched_to == confirmed["paper"].trial_id


@pytest.mark.parametrize("part", [0.1, 0.6, 0.7, 0.75, 0.8, 0.83, 0.86, 0.9, 0.95, 0.99])
def test_a_killed_driver_goes_on_and_computes_nothing_twice(tmp_path, study, part):
    events = len(study.ledger.path.read_text().splitlines())
    resumed, computed = die_and_go_on(tmp_path, CONFIG, int(events * part))
    assert resumed.plan.complete
    assert len(computed) - len(set(computed)) <= 1  # what the driver died over
    assert {(t.arm, t.imbalance_ratio) for t in resumed.ledger.of_phase("confirmation")} == {
        (arm, ratio) for arm in ARMS for ratio in CONFIG.imbalance_ratios
    }
    assert all(set(t.replicates) == CONFIRMED for t in resumed.ledger.of_phase("confirmation"))
    assert all(t.state == "complete" for t in resumed.ledger.of_phase("confirmation", "screening"))


def replicates_of(study):
    found = {ratio: set() for ratio in CONFIG.imbalance_ratios}
    for trial in study.ledger.of_phase("confirmation"):
        found[trial.imbalance_ratio].add(len(trial.replicates))
    return found


@pytest.mark.parametrize("die_after", [None, 5, 40, 120, 160])
def test_a_look_is_taken_when_all_its_replicates_are_there_and_not_before(tmp_path, die_after):
    config, looked_at = dataclasses.replace(CONFIG, until_decided=9), set()

    def decided(replicates):
        ledger = Ledger(tmp_path / "ledger.jsonl")
        for ratio, n in replicates.items():
            found = [t for t in ledger.of_phase("confirmation") if t.imbalance_ratio == ratio]
            assert {trial.arm for trial in found} == ARMS
            assert all(len(trial.replicates) >= n for trial in found)
            # At a look that was taken before, they may have begun on further ones.
            assert n in looked_at or all(trial.state == "complete" for trial in found)
        looked_at.update(replicates.values())
        return frozenset()

    die_and_go_on(tmp_path, config, die_after or 10_000, decided=decided)
    events = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    kinds = [event["event"] for event in events]
    assert [event["replicates"] for event in events if event["event"] == "look"] == [4, 9]
    confirmed = [e["event"] == "replicate" and e["trial_id"].startswith("confirmation") for e in events]
    first_look = kinds.index("look")
    assert sum(confirmed[:first_look]) == 4 * len(ARMS) * 2 and "look" not in kinds[first_look + 1 : -1]


def one_is_decided_at_nine(replicates):
    return frozenset(ratio for ratio, n in replicates.items() if ratio == 0.1 and n >= 9)


@pytest.mark.parametrize("die_after", [None, 150, 200, 230, 260, 300])
def test_replicates_are_added_in_blocks_until_it_is_decided(tmp_path, die_after):
    config = dataclasses.replace(CONFIG, until_decided=16, arms=())
    options = {"decided": one_is_decided_at_nine}
    if die_after is None:
        study = run_to_the_end(tmp_path / "s", config, **options)
    else:
        study, computed = die_and_go_on(tmp_path, config, die_after, **options)
        assert len(computed) - len(set(computed)) <= 1
    assert replicates_of(study) == {0.1: {9}, "natural": {16}}
    assert study.ledger.looks == {4, 9, 14, 16}
    assert all(trial.state == "complete" for trial in study.ledger.of_phase("confirmation"))


def test_after_a_look_all_further_replicates_may_run_at_a_time_and_each_trial_starts_again_once(tmp_path):
    config = dataclasses.replace(CONFIG, until_decided=9, arms=())
    study = SimulatedStudy(tmp_path / "s", config)
    together = 0
    while not study.plan.finished:
        jobs = list(iter(study.plan.next_job, None))
        together = max(together, len(jobs) if study.ledger.looks == {4} else 0)
        for job in jobs:
            study._run_job(job)
    trained = [t for t in study.ledger.of_phase("confirmation") if t.arm != "logit_adjustment_posthoc"]
    # What is matched to the winner at a ratio waits for the winner's first replicate at the first look alone.
    assert together == 5 * len(trained)
    events = [json.loads(line) for line in study.ledger.path.read_text().splitlines()]
    begun = Counter(event["trial_id"] for event in events if event["event"] == "trial_started")
    assert {begun[trial.trial_id] for trial in study.ledger.of_phase("confirmation")} == {2}
    assert len(study.computed) == len(set(study.computed)) and replicates_of(study) == {
        0.1: {9},
        "natural": {9},
    }


@pytest.mark.parametrize("launches", ["one", "more asked for", 80, 90, 95, 100, 105, 108, 112, 116, 125])
def test_what_two_arms_share_is_trained_once_in_later_blocks_too(tmp_path, launches):
    only = {"stage2_learning_rate": (1e-4,)}
    config = dataclasses.replace(
        CONFIG, until_decided=9, imbalance_ratios=(0.1,), arms=("vanilla_tuned",), reference_space=only,
        arm_spaces={"vanilla_tuned": only}, arm_trials={"vanilla_tuned": 1},
    )  # fmt: skip
    if launches == "one":
        study = run_to_the_end(tmp_path / "s", config)
    elif launches == "more asked for":
        run_to_the_end(tmp_path / "s", dataclasses.replace(config, until_decided=None))
        study = run_to_the_end(
            tmp_path / "s", dataclasses.replace(config, until_decided=None, confirmation_replicates=9)
        )
    else:
        study, _ = die_and_go_on(tmp_path, config, launches)
    confirmed = {trial.arm: trial for trial in study.ledger.of_phase("confirmation")}
    assert len(confirmed["vanilla_tuned"].replicates) == len(confirmed["vanilla"].replicates) == 9
    assert confirmed["vanilla_tuned"].seconds == 0.0 < confirmed["vanilla"].seconds


def test_more_replicates_asked_for_later_go_on_and_the_earlier_look_is_remembered(tmp_path, study):
    run_to_the_end(tmp_path / "s", dataclasses.replace(CONFIG, arms=()))
    longer = dataclasses.replace(CONFIG, confirmation_replicates=6, arms=())
    again = run_to_the_end(tmp_path / "s", longer)
    assert replicates_of(again) == {0.1: {6}, "natural": {6}} and again.ledger.looks == {4, 6}
    assert {job.phase for job in again.jobs} == {"confirmation"}
    fewer = run_to_the_end(tmp_path / "s", dataclasses.replace(CONFIG, arms=()))
    assert fewer.jobs == [] and fewer.plan.complete


def test_a_search_that_goes_on_after_its_confirmation_changes_nothing(tmp_path):
    config = dataclasses.replace(CONFIG, arms=(), imbalance_ratios=(0.1,))
    before = run_to_the_end(tmp_path / "s", config)
    after = run_to_the_end(tmp_path / "s", dataclasses.replace(config, trials=12))
    assert {job.phase for job in after.jobs} <= {"search", "control_search"} and after.jobs
    assert [t.trial_id for t in after.ledger.of_phase("confirmation")] == [
        t.trial_id for t in before.ledger.of_phase("confirmation")
    ]


def test_a_failed_arm_is_told_and_the_others_are_confirmed(tmp_path):
    config = dataclasses.replace(CONFIG, imbalance_ratios=(0.1,))
    study = run_to_the_end(
        tmp_path / "s",
        config,
        fails=lambda job: job.phase == "confirmation" and job.settings.arm == "oversample",
    )
    assert study.plan.complete
    states = {trial.arm: trial.state for trial in study.ledger.of_phase("confirmation")}
    assert states.pop("oversample") == "failed" and set(states.values()) == {"complete"}


def test_without_vanilla_there_is_no_confirmation(tmp_path):
    study = run_to_the_end(
        tmp_path / "s",
        CONFIG,
        fails=lambda job: job.phase == "confirmation" and job.settings.arm == "vanilla",
    )
    assert "vanilla at imbalance ratio" in str(study.plan.stopped)
    assert isinstance(
        SimulatedStudy(tmp_path / "s", CONFIG).plan.next_job().replicates, tuple
    )  # it is tried again
