from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.arms import ALL_CONTROLS, CONTROLS, defining_settings
from study.config.faults import study_faults
from study.config.files import load_study_file
from study.config.presets import arm_spaces
from study.config.study import StudyConfig
from study.config.study_files import known_studies
from study.config.values import value_faults
from study.plan.tracks import over_reference, tracks_of
from study.run.preflight import _controls_phrase
from tests.study.simulation import small_config
from trainables.errors import ConfigurationError
from trainables.method.arms import settings_of
from trainables.reuse.lengths import StageLengths
from trainables.settings import SEARCHABLE, TrialSettings


@pytest.mark.parametrize("name", known_studies())
@pytest.mark.parametrize("preset", ["smoke", "laptop", "cluster"])
def test_every_study_file_has_three_presets_without_a_fault(name, preset):
    config = load_study_file(name, preset, {})
    assert study_faults(config) == []
    assert config.name == name and config.preset == preset


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"imbalance_ratios": (0.0,)}, "imbalance ratio 0.0"),
        ({"imbalance_ratios": (1.5,)}, "(0, 1]"),
        ({"imbalance_ratios": ("neutral",)}, "'natural'"),
        ({"imbalance_ratios": (float("nan"),)}, "nan"),
        ({"imbalance_ratios": ()}, "empty"),
        ({"imbalance_ratios": (0.1, 0.1)}, "twice"),
        ({"trials": -1}, "trials is -1"),
        ({"trials": 1, "imbalance_ratios": (0.1, 0.2)}, "or 0 to compare fixed recipes"),
        ({"test_sets": ("test",)}, "its choice would be made with the test split in view"),
        ({"trials": 0, "test_sets": ("tset",)}, "Did you mean 'test'?"),
        ({"trials": 0, "test_sets": ("test_skewed",), "imbalance_ratios": ("natural",)}, "needs an imposed"),
        ({"arms": ("vanilla_tuned",)}, "only runs with a search of its own"),
        ({"arm_trials": {"focal": -1}}, "arm_trials is {'focal': -1}"),
        ({"trials": True}, "trials is True"),
        ({"trials": "two"}, "trials is 'two': a whole number of at least 0 was expected"),
        ({"imbalance_ratios": 0.1}, "imbalance_ratios is 0.1: a list was expected"),
        ({"space": 5, "first": {}}, "space is 5: a JSON object was expected"),
        ({"objective": "val/f2"}, "val/macro_f1"),
        ({"objective": "val/macro-f1"}, "Did you mean 'val/macro_f1'?"),
        ({"space": {"imbalance_ratio": (0.1,)}, "first": {}}, "as imbalance_ratios instead"),
        ({"replicates": 2, "grace_replicates": 3}, "grace_replicates is 3, more than replicates (2)"),
        ({"reduction_factor": 1}, "reduction_factor"),
        ({"profile": "stairs"}, "step, exponential"),
        ({"space": {"strenght": (0.1,)}, "first": {}}, "Did you mean 'strength'?"),
        ({"space": {"strength": (0.1, 2)}, "first": {}}, "strength is 2"),
        ({"space": {"strength": ()}, "first": {}}, "at least one value"),
        ({"space": {"operator": ("neighbours",)}, "first": {}}, "embedding_neighbours"),
        ({"space": {"head": ("drop",)}, "first": {}}, "keep, reinit"),
        ({"first": {"copies": 2}}, "does not search"),
        ({"first": {"strength": 0.3}}, "0.3, which is not one of space's values (0.05, 0.1, 0.2)"),
        (
            {"space": {"strength": {"low": 0.1, "high": 0.3}}, "first": {"strength": 0.4}},
            "values (0.1 to 0.3)",
        ),
        ({"fixed": {"batch_size": 0}}, "batch_size is 0"),
        ({"max_train_rows": -1}, "max_train_rows"),
        ({"trials": 1}, "trials is 1 for 2 imbalance ratios"),
        ({"cpus_per_trial": 0}, "cpus_per_trial"),
        ({"arms": ("focl",)}, "an arm is 'focl'"),
        ({"arms": ("focl",)}, "Did you mean 'focal'?"),
        ({"arms": ("focal", "focal")}, "names an arm twice"),
        ({"arms": "focal"}, "arms is 'focal': a list was expected"),
        ({"arm_trials": -1}, "arm_trials is -1"),
        ({"arm_trials": "sme"}, "'same' or none, or these by arm, was expected"),
        ({"arm_trials": True}, "arm_trials is True"),
        ({"arm_trials": 2.5}, "arm_trials is 2.5"),
        ({"arms": ("focal",), "arm_trials": 2}, "arm_spaces has no grid for 'focal'"),
        ({"arm_spaces": {"vanilla": {"stage2_epochs": (1.0,)}}}, "an arm of arm_spaces is 'vanilla'"),
        ({"arm_spaces": {"focal": {"tau": (1.0,)}}}, "names 'tau', which focal does not read"),
        ({"arm_spaces": {"focal": {"gamma": (-1.0,)}}}, "gamma is -1.0: a number of at least 0"),
        ({"arm_spaces": {"focal": 3}}, "arm_spaces['focal'] is 3"),
        ({"space": {"tau": (1.0,)}, "first": {}}, "prefinetune does not read"),
        ({"space": {"tau": (1.0,)}, "first": {}}, "(logit_adjustment)"),
        ({"reference_space": {"strength": (0.1,)}}, "which vanilla does not read"),
        ({"fixed": {"gamma": 2.0}}, "fixed names 'gamma', which no arm of this study reads"),
        ({"fixed": {"gamma": 2.0}}, "(focal)"),
        ({"fixed": {"imbalance_ratio": 0.1}}, "as imbalance_ratios instead"),
        ({"space": {"stage1_steps": (5,), "stage1_epochs": (1.0,)}, "first": {}}, "both stage1_epochs and"),
        ({"space": {"stage2_epochs": (1.0,)}, "first": {}, "fixed": {"stage2_steps": 9}}, "stage2_steps"),
        ({"space": {"strength": (0.1, 0.1)}, "first": {}}, "names a value twice"),
        ({"space": {"stage1_epochs": (1, 1.0)}, "first": {}}, "names a value twice"),
        (
            {"space": {"strength": 0.1}, "first": {}},
            "strength'] is 0.1: a list of at least one value, or a range",
        ),
        ({"reference_space": {"stage2_epochs": {"low": 1, "high": 3}}, "trials": 0}, "without trials"),
        (
            {"space": {"strength": (0.1, 0.2)}, "first": {}, "fixed": {"stage1_data": "duplicated_natural"}},
            "'strength', which changes nothing: stage1_data is fixed at 'duplicated_natural'. Remove it",
        ),
        (
            {"space": {"operator": ("eda",), "stage1_data": ("duplicated_equal",)}, "first": {}},
            "'operator', which changes nothing: stage1_data is 'duplicated_equal' throughout",
        ),
        ({"space": {"stage1_rows_per_class": (2, 4)}, "first": {}}, "is 'augmented_balanced', its default"),
    ],
)
def test_a_fault_says_what_was_given_and_what_was_expected(changes, said):
    faults = study_faults(small_config(**changes))
    assert any(said in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("stage1_data", ["augmented_balanced+original", "duplicated_balanced"], ["balanced", ["a"], None]),
        ("stage1_trainable", ["all", "last_block", "head"], ["body"]),
        ("stage1_schedule", ["constant", "linear"], ["cosine"]),
        ("stage1_steps", [1, 500, None], [0, 2.0, True]),
        ("stage2_steps", [1, None], [-3, "ten"]),
        ("stage1_epochs", [0.25, 3], [0, None, float("inf")]),
        ("stage1_learning_rate", [1e-5], [0.0, "1e-5", float("nan")]),
        ("warmup", [0, 0.1], [1.0, -0.1]),
        ("batch_size", [1, 64], [0, 16.0]),
        ("weight_decay", [0.0, 0.1], [-0.1]),
        ("layer_decay", [0.5, 1], [0.0, 1.1]),
        ("dropout", [0.0, 0.3, None], [1.0, -0.1, "none"]),
        ("tau", [-1.0, 0, 1.5], [float("inf"), float("nan"), "1"]),
        ("weight_power", [0, 0.5], [-1]),
        ("beta", [0, 0.9999], [1.0]),
        ("gamma", [0.0, 2], [-0.5]),
        ("head_epochs", [0.5], [0]),
        ("head_learning_rate", [1e-3], [0]),
        ("smote_neighbours", [1, 5], [0, 2.5]),
        ("masking_rate", [0.15, 1], [0.0, 1.1, "15 %"]),
    ],
)
def test_what_a_setting_may_be(name, good, bad):
    assert [value_faults(name, value) for value in good] == [[]] * len(good)
    for value in bad:
        (fault,) = value_faults(name, value)
        assert fault.startswith(f"{name} is {value!r}") and "expected" in fault


def test_every_setting_but_the_arm_can_be_searched():
    defaults = vars(TrialSettings())
    assert set(SEARCHABLE) == set(defaults) - {"arm"}
    assert [fault for name in SEARCHABLE for fault in value_faults(name, defaults[name])] == []


@pytest.mark.parametrize("name", sorted({*settings_of("prefinetune")} - {"arm", "imbalance_ratio"}))
def test_pre_finetuning_is_searched_over_whatever_it_reads(name):
    value = {"stage1_steps": 5, "stage2_steps": 5, "stage1_rows_per_class": 5, "dropout": 0.0}.get(
        name, vars(TrialSettings())[name]
    )
    fixed = {"stage1_data": "augmented_equal"} if name == "stage1_rows_per_class" else {}
    assert study_faults(small_config(space={name: (value,)}, first={}, fixed=fixed)) == []


def test_the_number_of_trials_may_differ_by_arm():
    config = load_study_file("adme", "laptop", {"arms": ("focal", "weighted"), "arm_trials": {"focal": 3}})
    assert study_faults(config) == [] and config.tuned_arms() == ("focal",)
    assert (config.trials_of("focal"), config.trials_of("weighted")) == (3, None)
    sampled = {track.arm: track.trials for track in tracks_of(config)}
    assert sampled["focal"] == 3 and "weighted" not in sampled


def test_a_study_of_fixed_recipes_has_no_trials_and_keeps_its_identity_when_it_gets_some():
    none = small_config(trials=0, space={}, first={})
    assert study_faults(none) == []
    assert none.identity() == dataclasses.replace(none, trials=4).identity()
    assert [track.trials for track in tracks_of(none) if track.phase == "search"] == [0, 0]


def test_the_space_of_one_arm_is_overridden_alone():
    config = load_study_file("adme", "cluster", {"arm_spaces": {"focal": {"gamma": (3.0,)}}})
    assert config.arm_spaces["focal"] == {"gamma": (3.0,)} and study_faults(config) == []
    assert set(config.arm_spaces) == set(CONTROLS) and set(config.tuned_arms()) == set(ALL_CONTROLS)
    assert any(
        "arm_spaces is 3" in f for f in study_faults(load_study_file("adme", "cluster", {"arm_spaces": 3}))
    )


@pytest.mark.parametrize("name", [n for n in known_studies() if load_study_file(n, "laptop", {}).trials])
def test_a_tuned_control_has_as_many_configurations_as_prefinetuning_tries_at_one_of_five_ratios(name):
    for preset in ("laptop", "cluster"):
        config = load_study_file(name, preset, {"arms": CONTROLS})
        for arm, space in config.arm_spaces.items():
            assert math.prod(map(len, space.values())) >= 200 / 5, (preset, arm)
            assert all(len(set(grid)) == len(grid) for grid in space.values())


def test_two_stage_reweighting_has_the_rates_of_its_paper_and_a_search_may_try_them():
    rates = defining_settings("two_stage_reweight", {})
    assert (rates["stage1_learning_rate"], rates["stage2_learning_rate"]) == (1e-4, 1e-5)
    for preset in ("laptop", "cluster"):
        space = load_study_file("adme", preset, {}).arm_spaces["two_stage_reweight"]
        assert 1e-4 in space["stage1_learning_rate"] and 1e-5 in space["stage2_learning_rate"]
    reference = {**TrialSettings(arm="vanilla").to_config(), "stage2_learning_rate": 2e-4}
    assert over_reference("two_stage_reweight", reference)["stage2_learning_rate"] == 1e-5


def test_smoke_runs_the_default_controls_alone_and_cluster_tunes_them_all():
    assert load_study_file("adme", "smoke", {}).arms == ()
    assert load_study_file("adme", "cluster", {}).arm_trials == "same"


def test_all_faults_are_told_at_once():
    faults = study_faults(small_config(trials=-1, imbalance_ratios=(2.0, -1.0), profile="x"))
    assert len(faults) == 4


def test_a_wrong_value_hides_no_other_fault():
    faults = study_faults(
        small_config(trials="two", space=5, replicates=0, arms=("focl",), objective="val/f2")
    )
    for said in ("trials is 'two'", "space is 5", "replicates is 0", "'focl'", "objective is 'val/f2'"):
        assert any(said in fault for fault in faults), said


WRONG = {
    "trials": -1, "replicates": "3", "space": (), "arms": "focal", "seed": 0.5, "max_length": 7, "profile": None,
    "n_max": 0, "cpus_per_trial": 0, "gpus_per_trial": -1, "concurrency": True, "encoder": 5, "objective": "f1",
    "separate_near_duplicates": "no", "reduction_factor": 1, "arm_trials": "some", "operator_options": [],
}  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(WRONG)), st.none(), min_size=1))
def test_every_wrong_value_is_told_by_its_name(chosen):
    config = dataclasses.replace(small_config(), **{name: WRONG[name] for name in chosen})
    faults = study_faults(config)
    assert config.wrong_fields() == set(chosen)
    for name in chosen:
        assert any(fault.startswith(f"{name} is {WRONG[name]!r}") for fault in faults), name


def test_overrides_beat_the_preset_which_beats_the_study():
    config = load_study_file("adme", "smoke", {"trials": 7, "space": {"strength": (0.5,)}})
    assert config.trials == 7 and config.space == {"strength": (0.5,)}
    assert config.encoder_layers == 2 and config.corpus == "adme"


@pytest.mark.parametrize(
    ("name", "preset", "overrides", "said"),
    [
        ("admee", "smoke", {}, "adme"),
        ("adme", "huge", {}, "smoke, laptop, cluster"),
        ("adme", "smoke", {"trails": 3}, "'trails' is no value of a study"),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(name, preset, overrides, said):
    with pytest.raises(ConfigurationError, match=said.replace("(", r"\(")):
        load_study_file(name, preset, overrides)


def test_the_identity_of_a_study_ignores_how_it_is_executed():
    base = small_config()
    same = small_config(trials=99, concurrency=1, cpus_per_trial=2.0, data="elsewhere", arms=("focal",))
    assert base.identity() == same.identity()
    assert base.identity() != small_config(seed=1).identity()
    assert base.identity() != small_config(max_length=64).identity()


def test_trial_settings_survive_their_flat_form_and_refuse_unknown_names():
    settings = TrialSettings(arm="vanilla", imbalance_ratio=0.1, stage2_epochs=3.0)
    assert TrialSettings.from_config(settings.to_config()) == settings
    assert settings.digest() != TrialSettings(arm="vanilla", imbalance_ratio=0.2, stage2_epochs=3.0).digest()
    with pytest.raises(TypeError):
        TrialSettings.from_config({"epochs": 1})


def test_the_identity_is_what_json_gives_back():
    config = small_config()
    assert config.identity()["imbalance_ratios"] == ["natural", 0.1]
    assert isinstance(config, StudyConfig)


def test_the_lengths_of_stage_1_are_those_of_every_search():
    arm_spaces = {
        "prefinetune_duplicated": {"stage1_epochs": (1, 4)},
        "two_stage_reweight": {"stage1_steps": (30,)},
        "augment_single_stage": {"stage1_epochs": (9.0,)},  # it has no stage 1
        "tapt": {"stage1_epochs": (7.0,)},  # its stage 1 is no other arm's
    }
    arms = ("prefinetune_duplicated", "two_stage_reweight", "augment_single_stage", "tapt")
    tuned = small_config(arm_spaces=arm_spaces, arms=arms, arm_trials=2)
    assert not study_faults(tuned)
    assert tuned.stage1_grid() == StageLengths((1.0, 2.0, 4.0), (30,))
    assert small_config(arm_spaces=arm_spaces, arms=arms).stage1_grid() == StageLengths((1.0, 2.0))
    assert small_config(space={"strength": (0.1,)}, first={}).stage1_grid() == StageLengths()
    in_steps = small_config(space={"stage1_steps": (50, 10, None)}, first={})
    assert not study_faults(in_steps)
    assert in_steps.stage1_grid() == StageLengths((1.0,), (10, 50))


def test_the_plan_names_the_controls_whose_grids_are_smaller_than_their_budget():
    spaces = {"focal": {"gamma": (1.0, 2.0)}, "weighted": {"weight_power": (0.25, 0.5, 1.0)}}
    config = small_config(
        arms=("focal", "weighted"), arm_spaces=spaces, arm_trials=3, imbalance_ratios=(0.1,)
    )
    said = _controls_phrase(config)
    assert "tuned over 5 trials" in said and "fewer than asked for: the grids of focal hold no more" in said
    assert "fewer" not in _controls_phrase(dataclasses.replace(config, arm_trials=2))


def test_duplicates_search_recipes_that_duplicate():
    def faults(grid):
        spaces = {"prefinetune_duplicated": {"stage1_data": grid}}
        return study_faults(small_config(arms=("prefinetune_duplicated",), arm_spaces=spaces, arm_trials=2))

    assert faults(("duplicated_balanced", "duplicated_natural")) == []
    (fault,) = faults(("duplicated_balanced", "augmented_natural"))
    assert "augments nothing" in fault and "name 'duplicated_natural'" in fault


def test_a_searched_recipe_gives_duplicates_its_counterparts_to_search():
    space = {"stage1_data": ("augmented_balanced", "augmented_natural", "duplicated_balanced")}
    shared = {"operator": ("aeda",), "strength": (0.1,), "copies": (1,), "stage1_epochs": (1.0,)}
    spaces = arm_spaces({**space, **shared, "stage1_learning_rate": (1e-4,)}, rates=(1e-4,), epochs=(1.0,))
    assert spaces["prefinetune_duplicated"]["stage1_data"] == ("duplicated_balanced", "duplicated_natural")


def test_values_that_came_later_leave_the_identity_of_older_studies_alone():
    later = {
        "class_order",
        "keep_short_classes",
        "split_by",
        "validation_fraction",
        "test_fraction",
        "folds",
        "fold",
        "resplit",
    }
    assert not later & small_config().identity().keys()
    changed = small_config(class_order=("b",), split_by="row", folds=5, fold=2, resplit=True).identity()
    assert later & changed.keys() == {"class_order", "split_by", "folds", "fold", "resplit"}
    assert changed["class_order"] == ["b"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"class_order": ("a", "a")}, "a list of names, each once"),
        ({"class_order": "a"}, "a list of names"),
        ({"split_by": "rows"}, "Did you mean 'row'?"),
        ({"test_fraction": 1.0}, "a number in (0, 1)"),
        ({"folds": 1, "fold": 1}, "folds is 1: a whole number of at least 2"),
        ({"folds": 5}, "fold is not given"),
        ({"folds": 5, "fold": 6}, "give 1 to 5"),
        ({"fold": 2}, "folds is not given"),
        ({"folds": 5, "fold": 1, "test_fraction": 0.2}, "keep one"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, "leave none for training"),
        ({"profile": "long-tailed"}, "Did you mean 'long_tailed'?"),
    ],
)
def test_what_is_wrong_with_a_protocol_is_said(values, said):
    (fault,) = study_faults(small_config(**values))
    assert said in fault
