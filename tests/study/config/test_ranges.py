"""Ranges beside lists in a search space: what they hold, and a message for everything that can be wrong with one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.faults import study_faults
from study.config.files import load_study_file
from study.config.ranges import Range, axis_faults, axis_of, size_of
from study.plan.tracks import tracks_of
from study.settings import main
from tests.study.simulation import small_config

RATES = {"low": 1e-5, "high": 1e-3, "log": True}


@given(st.floats(1e-6, 1e-2), st.floats(1.1, 1e4), st.booleans(), st.floats(0, 1))
def test_a_number_of_a_range_lies_in_it(low, factor, log, share):
    between = Range(low, low * factor, log)
    assert between.at(share) in between
    assert between.at(0.0) <= between.at(share) <= between.at(1.0)
    assert between.low < between.mean < between.high


def test_a_range_of_a_whole_setting_holds_whole_numbers():
    between = axis_of("batch_size", {"low": 8, "high": 64, "log": True})
    assert between == Range(8, 64, log=True, whole=True) and size_of(between) == 57
    assert 8 in between and 8.5 not in between and True not in between and "8" not in between
    assert {type(between.at(n / 10)) for n in range(11)} == {int}


def test_steps_are_the_numbers_that_a_person_would_write():
    steps = {"low": 0.05, "high": 0.5, "step": 0.05}
    assert axis_of("strength", steps) == (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
    assert axis_of("batch_size", {"low": 8, "high": 32, "step": 8}) == (8, 16, 24, 32)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("strength", {"low": 0.5, "high": 0.1}, "low has to be below high"),
        ("strength", {"low": 0.5, "high": 0.5}, "One value is given as a list of it"),
        ("strength", {}, "high is missing"),
        ("strength", {"low": 0.1, "hihg": 0.5}, "no 'hihg'. Did you mean 'high'?"),
        ("strength", {"low": 0.1, "high": 2}, "high: strength is 2: a number in (0, 1] was expected"),
        ("strength", {"low": "0.1", "high": 0.2}, "low: strength is '0.1': a number was expected"),
        ("tau", {"low": -1.0, "high": 1.0, "log": True}, "on a logarithmic scale it has to be above 0"),
        ("warmup", {"low": 0, "high": 0.5, "log": True}, "low is 0, and on a logarithmic scale"),
        ("strength", {"low": 0.1, "high": 0.2, "log": "yes"}, "log is 'yes': true or false"),
        ("strength", {"low": 0.1, "high": 0.3, "step": 0.03}, "the last value would be 0.28. Make that high"),
        ("strength", {"low": 0.1, "high": 0.3, "step": 0}, "step is 0: a number above 0"),
        ("strength", {"low": 0.1, "high": 0.3, "step": 0.1, "log": True}, "log and step exclude each other"),
        ("strength", {"low": 0.1, "high": 0.3, "step": 1e-9}, "200,000,000 values, more than 10,000"),
        ("copies", {"low": 1, "high": 4, "step": 0.5}, "step is 0.5: a whole number above 0"),
        ("copies", {"low": 1.5, "high": 4}, "low: copies is 1.5: a whole number of at least 1"),
        ("operator", {"low": 1, "high": 2}, "operator is no number, so it has no range"),
        ("stage1_steps", {"low": None, "high": 9}, "stage1_steps is None: a number was expected"),
    ],
)
def test_what_is_wrong_with_a_range(name, given, said):
    faults = axis_faults("space", name, given)
    assert any(said in fault for fault in faults), faults
    assert all(fault.startswith(f"space['{name}'] is {given!r}: ") for fault in faults)
    assert set(faults) <= set(study_faults(small_config(space={name: given}, first={})))


def test_all_faults_of_a_range_come_at_once():
    faults = axis_faults(
        "space", "stage1_learning_rate", {"low": -1, "high": -2, "log": 3, "step": "x", "to": 1}
    )
    assert len(faults) == 7


def test_a_study_with_ranges_is_counted_listed_and_compared_like_any_other(capsys, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "from study.config.presets import PREFINETUNING\n"
        "STUDY = {**PREFINETUNING, 'corpus': 'trec', 'first': {}, 'space': {'copies': (1, 2), "
        f"'stage1_learning_rate': {RATES!r}}}}}\n"
    )
    config = load_study_file(str(file), "smoke", {})
    assert study_faults(config) == []
    [track] = [track for track in tracks_of(config) if track.arm == "prefinetune"]
    assert track.configurations == track.trials == 4
    assert config.identity()["space"]["stage1_learning_rate"] == RATES
    assert main([str(file), "--preset", "smoke"]) == 0
    assert "(log)" in capsys.readouterr().out
    assert main([str(file), "--preset", "smoke", "--format", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["stage1_learning_rate"]["searched"]["prefinetune"] == RATES


def test_lengths_from_a_range_are_not_stored_for_other_trials():
    config = small_config(space={"stage1_epochs": {"low": 0.5, "high": 2.0}}, first={})
    assert len(config.stage1_grid()) == 0
    steps = small_config(space={"stage1_epochs": {"low": 0.5, "high": 2.0, "step": 0.5}}, first={})
    assert steps.stage1_grid().epochs == (0.5, 1.0, 1.5, 2.0)
