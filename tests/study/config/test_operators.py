"""A search does without the operators that cannot run here, and says so; what it needs must run."""

from __future__ import annotations

import json

import pytest
import ray
from rich.console import Console

from study.config.faults import study_faults
from study.config.operators import (
    FACT,
    announce_left_out,
    language_remarks,
    unavailable_faults,
    without_unavailable,
)
from study.launch import main
from study.record.folder import StudyFolder
from tests.study.simulation import small_config
from tests.trainables.augment import fake_apertium, toy_operator
from tests.trainables.augment.toy_operator import FACTORY, NAME
from trainables.augment.english.language import looks_english
from trainables.augment.operators import embedding_neighbours
from trainables.augment.registry import OPERATORS
from trainables.errors import ConfigurationError

BOTH = {"operator": (NAME, "embedding_neighbours"), "strength": (0.1,)}
FIRST = {"operator": NAME, "strength": 0.1}


@pytest.fixture(autouse=True)
def marking(monkeypatch):
    monkeypatch.setitem(OPERATORS, NAME, FACTORY)


@pytest.fixture
def without(monkeypatch):
    """Return a function that makes operators unavailable."""

    def make(*modules):
        for module in modules:
            monkeypatch.setattr(
                module, "why_unavailable", lambda encoder=None: "get its dictionary.", raising=False
            )

    return make


def resumed(tmp_path, config, left_out):
    folder = StudyFolder(tmp_path, config.name)
    folder.write_facts({"config": json.loads(json.dumps(config.identity())), FACT: left_out})
    return folder


def test_where_everything_runs_nothing_changes(tmp_path):
    config = small_config(space=BOTH, first=FIRST)
    assert without_unavailable(config) == (config, {})
    assert without_unavailable(config, StudyFolder(tmp_path, "toy").read_facts()) == (config, {})
    assert unavailable_faults(config) == []


def test_what_cannot_run_is_left_out_and_the_first_trial_uses_what_is_left(without):
    without(toy_operator)
    config, left_out = without_unavailable(small_config(space=BOTH, first=FIRST))
    assert config.space == {**BOTH, "operator": ("embedding_neighbours",)}
    assert config.first == {**FIRST, "operator": "embedding_neighbours"}
    assert left_out == {NAME: "get its dictionary."}
    assert study_faults(config) == [] and unavailable_faults(config) == []
    console = Console(width=40)
    with console.capture() as printed:
        announce_left_out(left_out, console)
    assert printed.get() == "The search leaves out the operator marking: get its dictionary.\n"


def test_with_none_left_or_a_fixed_one_there_is_a_fault(without):
    without(toy_operator, embedding_neighbours)
    config, left_out = without_unavailable(small_config(space=BOTH, first=FIRST))
    faults = unavailable_faults(config)
    assert left_out == {} and len(faults) == 2 and "marking: get its dictionary." in faults[0]
    [fault] = unavailable_faults(small_config(fixed={"operator": NAME}))
    assert "fixed" in fault and "get its dictionary." in fault


CONTROL = "augment_single_stage"


def tuned(arm_space, **changes):
    """A study with a control that is tuned in a search space of its own."""
    given = {"space": {**BOTH, "operator": ("embedding_neighbours",)}, "first": {}, "arm_trials": 2}
    return small_config(arms=(CONTROL,), arm_spaces={CONTROL: arm_space}, **{**given, **changes})


def test_what_only_a_controls_space_names_is_left_out_of_it(without):
    without(toy_operator)
    given = tuned(BOTH)
    config, left_out = without_unavailable(given)
    assert config == tuned({**BOTH, "operator": ("embedding_neighbours",)})
    assert left_out == {NAME: "get its dictionary."}
    alone = {**BOTH, "operator": (NAME,)}
    assert without_unavailable(tuned(alone))[0] == config  # it takes those of the study's space
    assert without_unavailable(tuned(alone, arm_trials=None))[1] == {}  # no trial would use it


def test_a_control_with_no_operator_left_is_a_fault(without):
    without(toy_operator)
    space = {"strength": (0.1,)}
    given = tuned({**BOTH, "operator": (NAME,)}, space=space)
    assert without_unavailable(given) == (given, {})
    [fault] = unavailable_faults(given)
    assert f"arm_spaces['{CONTROL}']" in fault and "get its dictionary." in fault


def test_a_resumed_study_keeps_a_controls_space_whether_or_not_it_is_tuned_now(tmp_path, without):
    without(toy_operator)
    started, left_out = without_unavailable(tuned(BOTH))
    folder = resumed(tmp_path, started, left_out)
    for trials in (None, 2):
        config, again = without_unavailable(tuned(BOTH, arm_trials=trials), folder.read_facts())
        assert config.identity() == started.identity() and list(again) == [NAME]
    resumed(tmp_path, tuned(BOTH), {})
    with pytest.raises(ConfigurationError, match=f"searches the operator '{NAME}'"):
        without_unavailable(tuned(BOTH), folder.read_facts())


def test_a_resumed_study_goes_on_without_what_it_was_started_without(tmp_path, without):
    given = small_config(space=BOTH, first=FIRST)
    started, _ = without_unavailable(given)
    without(embedding_neighbours)
    started, left_out = without_unavailable(given)
    folder = resumed(tmp_path, started, left_out)
    config, again = without_unavailable(given, folder.read_facts())
    assert config == started and again == left_out


def test_a_resumed_study_keeps_its_space_when_more_could_run_now(tmp_path):
    given = small_config(space=BOTH, first=FIRST)
    started = small_config(space={**BOTH, "operator": (NAME,)}, first=FIRST)
    folder = resumed(tmp_path, started, {"embedding_neighbours": "it lacked something"})
    config, left_out = without_unavailable(given, folder.read_facts())
    assert config == started
    assert "it lacked something" in left_out["embedding_neighbours"]
    assert "--fresh" in left_out["embedding_neighbours"]


def test_a_resumed_study_says_what_it_lacks_now(tmp_path, without):
    given = small_config(space=BOTH, first=FIRST)
    folder = resumed(tmp_path, given, {})
    without(toy_operator)
    with pytest.raises(ConfigurationError, match=r"searches the operator 'marking'.*get its dictionary"):
        without_unavailable(given, folder.read_facts())


@pytest.mark.parametrize("values", [{"operator": ("none such", {"a": 1})}, {"operator": 3}, {}])
def test_faults_of_another_kind_are_left_to_the_configuration(values):
    config = small_config(space=values, first={})
    assert without_unavailable(config) == (config, {}) and unavailable_faults(config) == []


def test_a_launch_refuses_before_anything_starts_and_names_what_is_lacking(
    tmp_path, without, capsys, monkeypatch
):
    monkeypatch.setattr(ray, "init", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    without(toy_operator)
    space = '--set=space={"operator": ["marking"], "strength": [0.1]}'
    argv = [
        "adme",
        "--data",
        "sample",
        "--preset",
        "smoke",
        space,
        "--set=first={}",
        "--storage",
        str(tmp_path),
    ]
    assert main(argv) == 2
    assert "marking: get its dictionary." in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "adme").exists()


def test_back_translation_leaves_with_the_command_that_installs_it(tmp_path, monkeypatch):
    fake_apertium.use(monkeypatch, None)
    space = {"operator": ("back_translation", "embedding_neighbours"), "strength": (0.1,)}
    config, left_out = without_unavailable(
        small_config(space=space, first={**FIRST, "operator": "back_translation"})
    )
    assert config.space["operator"] == ("embedding_neighbours",)
    assert "`apt install apertium apertium-eng-spa apertium-eng-cat`" in left_out["back_translation"]
    fake_apertium.install(tmp_path)
    fake_apertium.use(monkeypatch, tmp_path)
    given = small_config(space=space, first=FIRST)
    assert without_unavailable(given) == (given, {})
    # Wrong options are faults of the study, whatever can run here.
    wrong = small_config(space=space, operator_options={"back_translation": {"pivots": ["de"]}})
    assert unavailable_faults(wrong) == []
    assert any("'de', for which Apertium has no pair" in fault for fault in study_faults(wrong))


ENGLISH = ["The drug was absorbed within an hour of the dose."] * 3
SPANISH = ["El fármaco se absorbió rápidamente en una hora desde la dosis."] * 3


def test_texts_that_are_not_english_are_remarked_on_where_they_are_back_translated(tmp_path, monkeypatch):
    fake_apertium.install(tmp_path)
    fake_apertium.use(monkeypatch, tmp_path)
    translating = small_config(space={"operator": ("back_translation",), "strength": (0.1,)})
    (remark,) = language_remarks(translating, SPANISH)
    assert "do not look English" in remark and '"forward"' in remark
    assert language_remarks(translating, ENGLISH) == []
    other = small_config(space=BOTH, first=FIRST, paper={"operator": NAME})
    assert language_remarks(other, SPANISH) == []
    own = {"back_translation": {"forward": "a@1", "backward": "b@1"}}
    assert language_remarks(small_config(space=translating.space, operator_options=own), SPANISH) == []
    fake_apertium.use(monkeypatch, None)
    assert language_remarks(translating, SPANISH) == []


@pytest.mark.parametrize(
    ("texts", "english"), [(ENGLISH, True), (SPANISH, False), (["这个电影很好看"], False), ([""], False)]
)
def test_english_is_known_by_its_function_words(texts, english):
    assert looks_english(texts) is english
