"""Controls in the plan: which arms run, at whose settings, with what budget, and what a kill leaves of them."""

from __future__ import annotations

import optuna
import pytest

from study.config.arms import CONTROLS
from study.config.faults import study_faults
from study.plan.search import GainSearch
from study.plan.tracks import tracks_of
from study.record.gains import leading_prefinetuning
from study.run.racing import RatioRacing
from tests.study.simulation import SimulatedStudy, die_and_go_on, run_to_the_end, small_config
from trainables.errors import ConfigurationError
from trainables.method.arms import ARM_TABLE, ARMS, LINEAR_ARMS, settings_of
from trainables.settings import STAGE1_DATA, TrialSettings

SPACES = {
    "focal": {"gamma": (1.0, 2.0, 5.0), "stage2_learning_rate": (5e-5, 1e-4)},
    "prefinetune_duplicated": {"copies": (1, 2), "stage1_epochs": (0.5, 1.0)},
}


def arms_config(**changes):
    return small_config(**{"arms": ("focal", "prefinetune_duplicated"), "arm_spaces": SPACES, **changes})


def of_arm(study, arm, ratio, *phases):
    return [t for t in study.ledger.of_phase(*phases) if (t.arm, t.imbalance_ratio) == (arm, ratio)]


def test_every_control_runs_once_on_every_replicate(tmp_path):
    study = run_to_the_end(tmp_path, small_config(arms=CONTROLS))
    assert study.plan.complete
    for ratio in ("natural", 0.1):
        for arm in CONTROLS:
            (control,) = of_arm(study, arm, ratio, "control")
            assert control.state == "complete" and sorted(control.replicates) == [0, 1, 2]


def test_an_untuned_control_takes_the_settings_of_the_reference(tmp_path):
    config = small_config(arms=("focal", "two_stage_reweight"), fixed={"gamma": 3.0})
    study = run_to_the_end(tmp_path, config)
    reference = study.ledger.reference(0.1)
    (focal,) = of_arm(study, "focal", 0.1, "control")
    assert focal.config == {**reference.config, "arm": "focal"} and focal.config["gamma"] == 3.0
    (reweighted,) = of_arm(study, "two_stage_reweight", 0.1, "control")
    assert reweighted.config["stage1_trainable"] == "last_block"


def test_task_adaptive_pretraining_is_finetuned_as_vanilla_whatever_the_first_stage_of_others_is(tmp_path):
    config = small_config(
        arms=("tapt",),
        fixed={"stage1_steps": 7, "masking_rate": 0.3},
        space={"strength": (0.1, 0.2)},
        first={},
    )
    study = run_to_the_end(tmp_path, config)
    (own,) = of_arm(study, "tapt", 0.1, "control")
    reference = study.ledger.reference(0.1).config
    stage1 = {
        "stage1_epochs": 10.0,
        "stage1_steps": None,
        "stage1_learning_rate": 1e-4,
        "stage1_schedule": "linear",
    }
    fixed = {"stage1_trainable": "all", "head": "keep"}
    assert own.config == {**reference, **stage1, **fixed, "arm": "tapt"} and own.config["masking_rate"] == 0.3


def test_ablations_of_pre_finetuning_take_the_settings_of_the_leading_trial(tmp_path):
    study = run_to_the_end(tmp_path, small_config(arms=("prefinetune_duplicated", "augment_single_stage")))
    for ratio in ("natural", 0.1):
        best = leading_prefinetuning(study.ledger, ratio, "val/macro_f1")
        (single,) = of_arm(study, "augment_single_stage", ratio, "control")
        assert single.config == {**best.config, "arm": "augment_single_stage"}
        (copies,) = of_arm(study, "prefinetune_duplicated", ratio, "control")
        duplicated = {"arm": "prefinetune_duplicated", "stage1_data": "duplicated_balanced"}
        assert copies.config == {**best.config, **duplicated}
        assert copies.matched_to == single.matched_to == best.trial_id


@pytest.mark.parametrize("recipe", STAGE1_DATA)
def test_duplicates_differ_from_the_leading_trial_in_the_augmentation_alone(tmp_path, recipe):
    config = small_config(
        arms=("prefinetune_duplicated",), imbalance_ratios=(0.1,), fixed={"stage1_data": recipe}
    )
    study = run_to_the_end(tmp_path, config)
    best = leading_prefinetuning(study.ledger, 0.1, "val/macro_f1")
    (copies,) = of_arm(study, "prefinetune_duplicated", 0.1, "control")
    own = {"arm": "prefinetune_duplicated", "stage1_data": recipe.replace("augmented", "duplicated")}
    assert copies.config == {**best.config, **own} and copies.matched_to == best.trial_id


def test_tuned_duplicates_keep_the_recipe_of_the_study(tmp_path):
    config = arms_config(
        arms=("prefinetune_duplicated",), arm_trials=2, fixed={"stage1_data": "augmented_natural"}
    )
    study = run_to_the_end(tmp_path, config)
    trials = of_arm(study, "prefinetune_duplicated", 0.1, "control_search")
    assert [trial.config["stage1_data"] for trial in trials] == ["duplicated_natural"] * 2


@pytest.mark.parametrize(("arm_trials", "each"), [(2, 2), ("same", 3), (99, 6)])
def test_a_tuned_control_gets_its_budget_at_every_ratio(tmp_path, arm_trials, each):
    """As many as pre-finetuning per ratio, and never more than its space holds."""
    study = run_to_the_end(tmp_path, arms_config(arms=("focal",), arm_trials=arm_trials))
    assert study.plan.complete
    for ratio in ("natural", 0.1):
        trials = of_arm(study, "focal", ratio, "control_search")
        assert len(trials) == len({t.trial_id for t in trials}) == each
        assert {t.state for t in trials} <= {"complete", "raced_out"}
        assert not of_arm(study, "focal", ratio, "control")
        assert len(of_arm(study, "prefinetune", ratio, "search")) == 3


def test_what_a_controls_space_leaves_out_is_the_references(tmp_path):
    config = arms_config(arms=("focal",), arm_trials=4, arm_spaces={"focal": {"gamma": (1.0, 2.0, 5.0)}})
    study = run_to_the_end(tmp_path, config)
    reference = study.ledger.reference(0.1)
    trials = of_arm(study, "focal", 0.1, "control_search")
    assert trials[0].config == {
        **reference.config,
        "arm": "focal",
        "gamma": 2.0,
    }  # the untuned arm comes first
    for trial in trials:
        assert {**trial.config, "gamma": 2.0} == {**reference.config, "arm": "focal"}


def test_searched_epochs_are_not_replaced_by_steps_that_were_taken_over(tmp_path):
    config = arms_config(
        arms=("focal",),
        arm_trials=1,
        reference_space={"stage2_steps": (100,)},
        arm_spaces={"focal": {"stage2_epochs": (1.0, 2.0)}},
    )
    assert study_faults(config) == []
    study = run_to_the_end(tmp_path, config)
    (trial,) = of_arm(study, "focal", 0.1, "control_search")
    assert trial.config["stage2_steps"] is None and study.ledger.reference(0.1).config["stage2_steps"] == 100


def test_controls_change_nothing_about_the_search_of_pre_finetuning(tmp_path):
    alone = run_to_the_end(tmp_path / "alone", small_config())
    beside = run_to_the_end(tmp_path / "beside", arms_config(arm_trials="same"))

    def searched(study):
        return {t.trial_id: (t.state, t.values("val/macro_f1")) for t in study.ledger.of_phase("search")}

    assert searched(alone) == searched(beside)


def test_arms_and_ratios_are_covered_evenly(tmp_path):
    study = run_to_the_end(tmp_path, arms_config(arm_trials="same"))
    started = [(t.arm, t.imbalance_ratio) for t in study.ledger.of_phase("search", "control_search")]
    tracks = [track.key for track in tracks_of(study.config) if track.arm != "vanilla"]
    for turn in range(3):
        assert sorted(map(str, started[6 * turn : 6 * turn + 6])) == sorted(map(str, tracks))


def test_a_race_is_among_one_arm_at_one_ratio(tmp_path):
    """Whatever the arms score: trials of an arm that is far behind are only raced against each other."""
    config = arms_config(arm_trials=4, trials=8, replicates=4)
    study = run_to_the_end(tmp_path, config)
    for track in tracks_of(config):
        trials = of_arm(study, *track.key, track.phase)
        assert "complete" in {t.state for t in trials}, track.key
    racing = RatioRacing(config)
    assert racing._race_of(("focal", 0.1)) is racing._race_of(("focal", 0.1))
    assert racing._race_of(("focal", 0.1)) is not racing._race_of(("prefinetune", 0.1))


def test_a_driver_may_die_at_any_time_of_the_controls(tmp_path_factory):
    config = arms_config(
        arms=("focal", "logit_adjustment"),
        arm_trials=2,
        arm_spaces={"focal": {"gamma": (1.0, 2.0, 5.0)}, "logit_adjustment": {"tau": (0.5, 1.0)}},
        trials=1,
        replicates=2,
        imbalance_ratios=(0.1,),
        reference_space={"stage2_learning_rate": (1e-4,)},
    )
    whole = run_to_the_end(tmp_path_factory.mktemp("whole"), config)
    events = whole.ledger.path.read_text().count("\n")
    for die_after in range(8, events, 2):
        study, _ = die_and_go_on(tmp_path_factory.mktemp("dead"), config, die_after)
        assert study.plan.complete and study.plan.finished, die_after
        assert {t: (r.state, r.values("val/macro_f1")) for t, r in study.ledger.trials.items()} == {
            t: (r.state, r.values("val/macro_f1")) for t, r in whole.ledger.trials.items()
        }, die_after


def test_a_control_can_be_added_to_a_finished_study_and_left_out_again(tmp_path):
    run_to_the_end(tmp_path, small_config(arm_spaces=SPACES))
    more = run_to_the_end(tmp_path, arms_config(arms=("focal",), arm_trials=2))
    assert {trial_id.split("-")[0] for trial_id, _ in more.computed} == {"control_search"}
    assert small_config(arm_spaces=SPACES).identity() == arms_config(arm_trials=2).identity()
    fewer = run_to_the_end(tmp_path, small_config(arm_spaces=SPACES))
    assert fewer.computed == [] and fewer.plan.complete


def test_a_trial_of_a_control_that_was_left_out_is_not_waited_for(tmp_path):
    config = arms_config(arms=("focal",), arm_trials=2)
    killed = SimulatedStudy(tmp_path, config)
    while (job := killed.plan.next_job()) is not None and job.phase != "control_search":
        killed._run_job(job)
    assert run_to_the_end(tmp_path, small_config(arm_spaces=SPACES)).plan.complete


def test_a_control_that_always_fails_is_given_up_and_stops_nothing(tmp_path):
    config = arms_config(
        arms=("focal", "crt"), arm_spaces={**SPACES, "crt": {"head_epochs": (1.0, 2.0)}}, arm_trials=6
    )
    study = run_to_the_end(tmp_path, config, fails=lambda job: job.settings.arm == "focal")
    assert study.plan.complete and study.plan.stopped is None
    failed = of_arm(study, "focal", 0.1, "control_search")
    assert [t.state for t in failed] == ["failed"] * 3
    assert len(of_arm(study, "crt", 0.1, "control_search")) == 2
    again = run_to_the_end(tmp_path, config)
    assert again.computed == []


@pytest.mark.parametrize("rates", [(1e-4,), (5e-5, 1e-4)])
def test_a_failing_untuned_control_stops_nothing(tmp_path, rates):
    config = small_config(arms=("focal",), reference_space={"stage2_learning_rate": rates})
    study = run_to_the_end(tmp_path, config, fails=lambda job: job.settings.arm == "focal")
    assert study.plan.complete and study.plan.stopped is None
    assert {t.state for t in of_arm(study, "focal", 0.1, "control")} == {"failed"}
    again = run_to_the_end(tmp_path, config)
    assert again.plan.complete
    assert {t.state for t in of_arm(again, "focal", 0.1, "control")} == {"complete"}


def test_controls_fill_the_places_that_wait_for_the_last_trials(tmp_path):
    study = SimulatedStudy(tmp_path, small_config(trials=1, imbalance_ratios=(0.1,), arms=("focal",)))
    while (job := study.plan.next_job()).phase != "search":
        study._run_job(job)
    beside = study.plan.next_job()
    assert (beside.phase, beside.settings.arm) == ("control", "tfidf_lr")


def test_optuna_keeps_a_record_for_every_tuned_arm(tmp_path):
    study = run_to_the_end(tmp_path, arms_config(arms=("focal",), arm_trials="same"), stores_optuna=True)
    stored = f"sqlite:///{tmp_path / 'optuna.db'}"
    assert len(optuna.load_study(study_name="toy", storage=stored).trials) == 6
    record = optuna.load_study(study_name="toy-focal", storage=stored)
    assert {t.user_attrs["trial_id"] for t in record.trials} == {
        t.trial_id for t in study.ledger.of_phase("control_search")
    }
    assert {t.user_attrs["arm"] for t in record.trials} == {"focal"}
    assert {t.params["imbalance_ratio"] for t in record.trials} == {"natural", 0.1}
    assert all(t.state.is_finished() for t in record.trials)


def test_a_control_learns_from_its_own_trials_alone():
    config = arms_config(arms=("focal",), arm_trials=3)
    search = GainSearch(config)
    proposals = [search.propose(key, {}) for key in (("focal", 0.1), ("prefinetune", 0.1))]
    assert [set(p) for p in proposals] == [set(SPACES["focal"]), set(config.space)]


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_reads_settings_that_there_are(arm):
    assert set(settings_of(arm)) <= set(vars(TrialSettings()))
    assert {"arm", "imbalance_ratio"} <= set(settings_of(arm))
    assert ("stage2_learning_rate" in settings_of(arm)) == (arm not in LINEAR_ARMS)


def test_an_unknown_arm_is_named():
    with pytest.raises(ConfigurationError, match="unknown arm 'focus'"):
        settings_of("focus")


def test_linear_classifiers_run_on_every_replicate_and_take_no_settings(tmp_path):
    config = small_config(fixed={"weight_decay": 0.2}, arms=("focal",))
    study = run_to_the_end(tmp_path, config)
    for arm in LINEAR_ARMS:
        for ratio in ("natural", 0.1):
            (trial,) = of_arm(study, arm, ratio, "control")
            assert trial.state == "complete" and sorted(trial.replicates) == [0, 1, 2]
            assert trial.config == TrialSettings(arm=arm, imbalance_ratio=ratio).to_config()
            assert trial.matched_to is None
    assert not {trial.arm for trial in study.ledger.of_phase("control_search")} & {*LINEAR_ARMS}


def test_a_failing_linear_classifier_stops_nothing(tmp_path):
    study = run_to_the_end(tmp_path, small_config(), fails=lambda job: job.settings.arm in LINEAR_ARMS)
    assert study.plan.complete and study.plan.stopped is None
    again = run_to_the_end(tmp_path, small_config())
    assert {t.state for t in of_arm(again, "tfidf_lr", 0.1, "control")} == {"complete"}


def test_linear_classifiers_tune_themselves():
    faults = study_faults(small_config(arms=("tfidf_lr",), arm_trials=2))
    assert faults == []
    assert small_config(arms=("tfidf_lr",), arm_trials=2).tuned_arms() == ()
    faults = study_faults(small_config(arm_spaces={"frozen_lr": {"strength": (1.0,)}}))
    assert any("an arm of arm_spaces is 'frozen_lr'" in fault for fault in faults)


def test_the_papers_recipe_runs_at_every_ratio_as_published_but_for_what_the_study_says(tmp_path):
    config = small_config(paper={"operator": "eda", "strength": 0.1, "stage2_epochs": 5.0})
    assert study_faults(config) == []
    study = run_to_the_end(tmp_path, config)
    for ratio in ("natural", 0.1):
        (paper,) = of_arm(study, "paper", ratio, "control")
        assert sorted(paper.replicates) == [0, 1, 2]
        published = TrialSettings.from_config({**paper.config, **ARM_TABLE["paper"].recipe})
        assert paper.config == {
            **published.to_config(), "operator": "eda", "strength": 0.1, "stage2_epochs": 5.0
        }  # fmt: skip


def test_the_papers_recipe_is_not_trained_twice_where_the_search_tries_it(tmp_path):
    recipe = {name: value for name, value in ARM_TABLE["paper"].recipe.items() if value is not None}
    recipe |= {"operator": "eda", "strength": 0.1}
    config = small_config(
        imbalance_ratios=(0.1,),
        space={name: (value,) for name, value in recipe.items()} | {"stage1_epochs": (1.0, 2.0)},
        first=recipe,
        trials=2,
        paper={"operator": "eda", "strength": 0.1},
    )
    assert study_faults(config) == []
    study = SimulatedStudy(tmp_path, config)
    while (job := study.plan.next_job()).phase != "search":
        study._run_job(job)
    assert study.plan.next_job().phase == "search"
    # The paper's recipe waits for the trial that is the same.
    assert {job.settings.arm for job in iter(study.plan.next_job, None)} == {*LINEAR_ARMS}
    study = run_to_the_end(tmp_path, config)
    (paper,) = of_arm(study, "paper", 0.1, "control")
    first = study.ledger.of_phase("search")[0]
    assert {**first.config, "arm": "paper"} == paper.config
    for replicate, record in first.replicates.items():
        assert paper.replicates[replicate].metrics == record.metrics
        assert (paper.trial_id, replicate) not in study.computed
    assert sorted(paper.replicates) == [0, 1, 2]


def test_values_of_the_paper_that_it_does_not_read_are_faults():
    faults = study_faults(small_config(paper={"tau": 1.0, "copies": 0, "strenght": 0.1}))
    assert len(faults) == 3
    assert any("paper names 'tau'" in fault for fault in faults)
