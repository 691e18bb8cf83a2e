"""A study file of the user's own: given by its path, and a message for everything that can be wrong with it."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

import pytest

import search_spaces
from study.config.files import load_study_file, read_study_file
from study.config.study_files import (
    file_facts,
    first_lines,
    known_studies,
    load,
    published_in,
    study_name,
    taken_name_faults,
)
from trainables.errors import ConfigurationError

GOOD = """
    from study.config.presets import PREFINETUNING
    STUDY = {**PREFINETUNING, "corpus": "trec", "seed": 7}
"""


@pytest.fixture
def own(tmp_path):
    """Writes a study file and returns its path."""

    def write(text, name="my_study.py"):
        file = tmp_path / name
        file.write_text(textwrap.dedent(text))
        return str(file)

    return write


def faults_of(path):
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return caught.value.faults


def test_a_file_of_ones_own_is_a_study_with_the_shared_presets(own):
    config = load_study_file(own(GOOD), "smoke", {"trials": 5})
    assert (config.name, config.seed, config.trials, config.replicates) == ("my_study", 7, 5, 2)


def test_a_changed_file_is_read_anew(own):
    assert load_study_file(own(GOOD), "smoke", {}).seed == 7
    assert load_study_file(own(GOOD.replace("7", "8")), "smoke", {}).seed == 8


def test_nothing_is_written_beside_the_file(own, tmp_path):
    load(own(GOOD))
    assert [file.name for file in tmp_path.iterdir()] == ["my_study.py"]


def test_a_file_may_hold_dataclasses_and_its_own_presets(own):
    file = own(
        """
        from __future__ import annotations
        from dataclasses import dataclass
        @dataclass
        class Rates:
            low: float = 1e-5
        STUDY = {"corpus": "trec", "space": {"stage2_learning_rate": (Rates().low,)}}
        PRESETS = {"only": {"trials": 3}}
        """
    )
    assert load_study_file(file, "only", {}).space == {"stage2_learning_rate": (1e-5,)}
    _, faults = read_study_file(file, "smoke", {})
    assert faults == ["Study 'my_study' has no preset 'smoke'. Its presets are: only."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("STUDY = {\n'a': }", "line 2: this is no Python ("),
        ("x = 1\n\nx / 0\n", "line 3: the study file stops with ZeroDivisionError: division by zero"),
        ("import nosuchmodule", "line 1: the study file stops with ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(3)", "line 2: the study file stops with SystemExit: 3"),
        ("import json\n\njson.loads('{')", "line 3: the study file stops with JSONDecodeError"),
        ("def f():\n  raise ValueError\nf()", "line 2: the study file stops with ValueError"),
        ("STUDI = {}", "defines no STUDY"),
        ("STUDY = [1]", "STUDY is [1]: an object of values by name was expected."),
        ("STUDY = {'corpus': 'treck'}", "one of adme, imdb, newsgroups20, sst2, tabular, trec was expected. Did you"),
        ("STUDY = {'corpus': ['trec']}", "STUDY['corpus'] is ['trec']"),
        ("STUDY = {'trials': 3}", "STUDY names no corpus"),
        ("STUDY = {'corpus': 'trec', 'trails': 3}", "STUDY names 'trails', which is no value of a study. Did you mean"),
        ("STUDY = {'corpus': 'trec', 3: 3}", "STUDY names 3, which is no value"),
        ("STUDY = {'corpus': 'trec', 'name': 'x'}", "STUDY names 'name'"),
        ("STUDY = {'corpus': 'trec'}\nPRESETS = 5", "PRESETS is 5: an object"),
        ("STUDY = {'corpus': 'trec'}\nPRESETS = {}", "PRESETS is {}: an object"),
        ("STUDY = {'corpus': 'trec'}\nPRESETS = {'a': 1}", "PRESETS['a'] is 1: an object of values"),
        ("STUDY = {'corpus': 'trec'}\nPRESETS = {'a': {'sed': 1}}", "PRESETS['a'] names 'sed'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_with_its_line(own, text, said):
    path = own(text)
    assert any(path in fault and said in fault for fault in faults_of(path)), faults_of(path)


def test_a_file_in_no_encoding_is_told(tmp_path):
    file = tmp_path / "bytes.py"
    file.write_bytes(b"STUDY = '\xff'\n")
    assert "this is no Python" in faults_of(str(file))[0]


def test_all_faults_of_a_file_come_at_once(own):
    faults = faults_of(own("STUDY = {'corpus': 'x', 'sed': 1}\nPRESETS = {'a': 1, 'b': {'sed': 1}}"))
    assert len(faults) == 4


def test_a_path_that_is_no_file_is_told(own, tmp_path):
    own(GOOD)
    assert f"{tmp_path}/gone.py: the study file cannot be read" in faults_of(f"{tmp_path}/gone.py")[0]
    assert "Did you mean" in faults_of(f"{tmp_path}/my_study")[0]
    assert "is a folder" in faults_of(f"{tmp_path}/")[0]


def test_a_name_without_its_path_is_told_the_path(own, tmp_path, monkeypatch):
    own(GOOD)
    monkeypatch.chdir(tmp_path)
    assert "./my_study.py is a file: give its path." in faults_of("my_study")[0]


def test_a_file_named_as_a_shipped_study_is_refused_for_results_only(own):
    assert "'adme' is the name of a study in search_spaces/" in taken_name_faults(own(GOOD, "adme.py"))[0]
    assert taken_name_faults(own(GOOD)) == taken_name_faults("adme") == []


def test_the_path_of_a_shipped_study_is_that_study():
    shipped = f"{search_spaces.__path__[0]}/trec.py"
    assert load(shipped) == load("trec") and file_facts(shipped) is None and taken_name_faults(shipped) == []


def test_where_the_file_lies_and_what_it_held_is_recorded(own, tmp_path, monkeypatch):
    path = own(GOOD + "    PUBLISHED = (1, 2)\n")
    monkeypatch.chdir(tmp_path)
    facts = file_facts("./my_study.py")
    assert facts == {"path": path, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
    assert file_facts("trec") is None
    assert published_in(facts) == (1, 2)
    own(GOOD)
    assert published_in(facts) == ()


def test_every_shipped_study_opens_with_what_it_is():
    assert first_lines().keys() == {*known_studies()}
    assert all(len(line) > 20 and line[-1] in ".?" for line in first_lines().values())


def test_a_study_keeps_the_name_of_its_file():
    assert study_name("~/studies/my.study.py") == "my.study"
