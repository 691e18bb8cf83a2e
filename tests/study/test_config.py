from __future__ import annotations

import pytest

from search_spaces import known_studies, load_study_file
from study.config import StudyConfig
from tests.study.simulation import small_config
from trainables.errors import ConfigurationError
from trainables.settings import TrialSettings


@pytest.mark.parametrize("name", known_studies())
@pytest.mark.parametrize("preset", ["smoke", "laptop", "cluster"])
def test_every_study_file_has_three_presets_without_a_fault(name, preset):
    config = load_study_file(name, preset, {})
    assert config.faults() == []
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
        ({"trials": 0}, "trials is 0"),
        ({"trials": True}, "trials is True"),
        ({"trials": "two"}, "trials is 'two': a whole number was expected"),
        ({"imbalance_ratios": 0.1}, "imbalance_ratios is 0.1: a list was expected"),
        ({"space": 5, "first": {}}, "space is 5: a JSON object was expected"),
        ({"objective": "val/nll"}, "val/macro_f1"),
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
        ({"first": {"strength": 0.3}}, "not on the grid"),
        ({"fixed": {"batch_size": 0}}, "batch_size is 0"),
        ({"max_train_rows": -1}, "max_train_rows"),
        ({"cpus_per_trial": 0}, "cpus_per_trial"),
    ],
)
def test_a_fault_says_what_was_given_and_what_was_expected(changes, said):
    faults = small_config(**changes).faults()
    assert any(said in fault for fault in faults), faults


def test_all_faults_are_told_at_once():
    faults = small_config(trials=0, imbalance_ratios=(2.0, -1.0), profile="x").faults()
    assert len(faults) == 4


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
    same = small_config(trials=99, concurrency=1, cpus_per_trial=2.0, data="elsewhere")
    assert base.digest() == same.digest()
    assert base.digest() != small_config(seed=1).digest()
    assert base.digest() != small_config(max_length=64).digest()


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
