"""The list of all settings, and a study's values in it."""

from __future__ import annotations

import json

import pytest

from study.config.described import attribute_words, described_settings
from study.config.files import load_study_file
from study.config.study import StudyConfig
from study.settings import main
from trainables.method.arms import ARMS, settings_of
from trainables.rules import rules_of
from trainables.settings import SEARCHABLE, TrialSettings


def rows(capsys, *arguments):
    assert main([*arguments, "--format", "json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize("described", [TrialSettings, StudyConfig])
def test_every_setting_is_described_where_it_is_defined(described):
    assert rules_of(described).keys() <= attribute_words(described).keys()


def test_every_setting_is_listed_with_its_readers(capsys):
    found = rows(capsys)
    assert len(found) == len(SEARCHABLE) + len(rules_of(StudyConfig))
    for name in SEARCHABLE:
        assert found[name]["read by"] == [arm for arm in ARMS if name in settings_of(arm)]
    assert found["gamma"]["default"] == 2.0 and found["gamma"]["readers"] == "focal"
    assert found["batch_size"]["readers"] == "every arm but tfidf_lr, frozen_lr"
    assert "eda" in found["operator"]["may be"] and found["trials"]["of"] == "study"


def test_one_setting_is_shown_alone(capsys):
    assert list(rows(capsys, "copies")) == ["copies"]
    assert main(["copies"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "copies" in said and "prefinetune_duplicated" in said and "Values of a study" not in said


def test_a_study_shows_its_values_and_who_searches_them(capsys):
    found, config = rows(capsys, "trec", "--preset", "smoke"), load_study_file("trec", "smoke", {})
    assert found["trials"]["value"] == config.trials
    assert found["strength"]["searched"] == {"prefinetune": list(config.space["strength"])}
    assert found["stage2_learning_rate"]["searched"]["vanilla"] == [2e-4]
    assert found["gamma"] | {"value": 2.0, "searched": {}} == found["gamma"]


def test_a_study_of_ones_own_is_shown_by_its_path(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("STUDY = {'corpus': 'trec', 'fixed': {'dropout': 0.3}}")
    assert rows(capsys, str(file), "--preset", "smoke")["dropout"]["value"] == 0.3


def test_an_unknown_name_is_told_with_the_nearest(capsys):
    assert main(["strenght"]) == 2
    assert "Did you mean 'strength'?" in capsys.readouterr().err


def test_derived_words_bear_no_marks_of_a_docstring():
    assert not any(
        "``" in each.meaning or ":class:" in each.meaning for each in described_settings().values()
    )
