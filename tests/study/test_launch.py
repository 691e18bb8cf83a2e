"""Bad input to the launch command: a message that says what to do, exit 2, nothing started."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import pytest
from rich.console import Console

from study.command.launch_arguments import build_parser, overrides_of
from study.config.arms import ALL_CONTROLS
from study.config.study_files import first_lines
from study.launch import main, print_corpus
from study.record.folder import StudyFolder
from tests.study.simulation import small_config
from tests.trainables.corpora.label_records import label, sample_labels, write_lines
from trainables.corpora.corpus import Corpus
from trainables.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("no_ray")


@pytest.fixture
def launch(tmp_path, capsys):
    def run(*argv, storage=tmp_path / "storage"):
        code = main([*map(str, argv), "--storage", str(storage)])
        return code, " ".join(capsys.readouterr().err.split())

    return run


def refused(result, *said):
    code, message = result
    assert code == 2, message
    for part in said:
        assert part in message, message


def test_an_unknown_study_names_the_known_ones(launch):
    refused(launch("admee"), "no study 'admee'", "adme", "search_spaces/")


def test_without_a_name_the_studies_are_listed(capsys):
    assert main([]) == 2
    said = capsys.readouterr().err
    assert all(f"  {name} " in said and line in said for name, line in first_lines().items())


def test_faults_of_a_study_of_ones_own_come_with_those_of_the_command(launch, tmp_path):
    file = tmp_path / "adme.py"
    file.write_text("STUDY = {'corpus': 'adme', 'data': 'sample', 'space': {'strength': (0,)}}")
    refused(
        launch(file, "--preset", "smoke", "--trials", "-1"), "strength is 0", "trials is -1", "(--as NAME)"
    )
    odd = file.rename(tmp_path / "my study.py")
    refused(launch(odd, "--preset", "smoke"), "strength is 0", "study my study: a name of letters")


EVERY_FAULT = """
STUDY = {
    "corpus": "trec",
    "trails": 8,  # no value of a study
    "sampler": "bayes",  # unknown
    "arms": ("focl",),
    "fixed": {"stage1_data": "duplicated_balanced", "gamma": 2.0},  # no arm of this study reads gamma
    "space": {
        "strenght": (0.1, 0.2),  # unknown
        "tau": (0.5, 1.0),  # pre-finetuning does not read it
        "operator": ("eda", "aeda"),  # changes nothing: the rows are repeated
        "weight_decay": (0, 0.0),  # the second changes nothing
        "stage1_epochs": (),  # empty
        "stage1_learning_rate": {"low": 1e-3, "high": 1e-5},  # empty
        "stage2_learning_rate": {"low": 0, "high": 1e-3, "log": True},
        "warmup": {"low": 0.0, "high": 0.25, "step": 0.1},
        "layer_decay": {"low": 0.5, "hihg": 1.0},
    },
    "first": {"dropout": 0.1},  # not searched
}
PRESETS = {
    "mine": {
        "trials": "eight",  # of a wrong kind
        "max_length": 4,  # below what it may be
        "imbalance_ratios": (),
    }
}
"""
SAID = (
    "STUDY names 'trails', which is no value of a study. Did you mean 'trials'?",
    "trials is 'eight': a whole number of at least 0 was expected",
    "sampler is 'bayes': one of tpe, random, gp, cma-es, nsga-ii was expected",
    "imbalance_ratios is empty",
    "an arm is 'focl': one of",
    "max_length is 4: a whole number of at least 8",
    "fixed names 'gamma', which no arm of this study reads",
    "a setting of space is 'strenght': one of",
    "space names 'tau', which prefinetune does not read",
    "space names 'operator', which changes nothing: stage1_data is fixed at 'duplicated_balanced'",
    "space['weight_decay'] is (0, 0.0): it names a value twice",
    "space['stage1_epochs'] is (): a list of at least one value, or a range",
    "space['stage1_learning_rate'] is {'low': 0.001, 'high': 1e-05}: it is empty",
    "low: stage2_learning_rate is 0: a number above 0 was expected",
    "low is 0, and on a logarithmic scale it has to be above 0",
    "step does not lead from low to high: the last value would be 0.2. Make that high",
    "no 'hihg'. Did you mean 'high'?",
    "'layer_decay'] is {'low': 0.5, 'hihg': 1.0}: high is missing",
    "first names 'dropout', which space does not search",
)


def test_every_fault_of_a_study_of_ones_own_comes_in_one_message(launch, tmp_path):
    file = tmp_path / "my_study.py"
    file.write_text(EVERY_FAULT)
    refused(launch(file, "--preset", "mine"), f"{len(SAID)} faults in the configuration", *SAID)


def test_a_study_without_a_corpus_is_told_what_else_is_wrong(launch, tmp_path):
    file = tmp_path / "my_study.py"
    file.write_text("STUDY = {'corpus': 'trek', 'space': {'strength': (2,)}, 'sed': 1}")
    refused(launch(file, "--preset", "smoke"), "Did you mean 'trec'?", "strength is 2", "names 'sed'")


def test_an_unknown_preset_names_the_known_ones(launch):
    refused(launch("adme", "--preset", "tiny"), "smoke, laptop, cluster")


def test_a_recorded_preset_that_the_study_no_longer_has_is_told_beside_what_else_is_wrong(launch, tmp_path):
    StudyFolder(tmp_path / "storage", "adme").write_facts({"preset": "desktop"})
    refused(
        launch("adme", "--trials", "-1"),
        "began with the preset 'desktop', which adme no longer has. Its presets are: smoke, laptop, cluster.",
        "--fresh",
        "trials is -1",
    )


def test_a_damaged_record_is_told_beside_what_else_is_wrong(launch, tmp_path):
    folder = StudyFolder(tmp_path / "storage", "adme")
    folder.root.mkdir(parents=True)
    folder.facts.write_text("{")
    refused(launch("adme", "--trials", "-1"), "study.json is damaged", "trials is -1")


def test_a_missing_file_is_named(launch, tmp_path):
    refused(launch("adme", "--preset", "smoke", "--data", tmp_path / "gone.jsonl"), "gone.jsonl")


def test_an_unreadable_file_is_named(launch, tmp_path):
    file = tmp_path / "broken.jsonl.gz"
    file.write_bytes(b"\x1f\x8b no gzip")
    refused(launch("adme", "--preset", "smoke", "--data", file), "broken.jsonl.gz")


def test_the_line_that_is_no_json_is_named(launch, tmp_path):
    file = tmp_path / "labels.jsonl"
    lines = [json.dumps(record) for record in sample_labels()[:2]]
    file.write_text("\n".join([*lines, "{no json"]))
    refused(launch("adme", "--preset", "smoke", "--data", file), "labels.jsonl", "3")


def test_labels_without_pharmacokinetics_are_said_to_be_so(launch, tmp_path):
    file = write_lines(tmp_path / "labels.jsonl", [label("inventine", "Take once a day.", field="dosage")])
    refused(launch("adme", "--preset", "smoke", "--data", file), "pharmacokinetics")


def test_a_class_with_too_few_rows_is_named_with_its_count(launch, tmp_path):
    file = write_lines(tmp_path / "labels.jsonl", sample_labels()[:3])
    code, message = launch("adme", "--preset", "smoke", "--data", file)
    assert code == 2
    assert any(f"{name}" in message for name in ("metabolism", "distribution")), message


@pytest.mark.parametrize("ratio", ["0", "1.5", "-0.1", "nan", "tenth"])
def test_an_impossible_imbalance_ratio_is_refused(launch, ratio):
    refused(launch("adme", "--preset", "smoke", f"--imbalance-ratio={ratio}"), "imbalance ratio", "(0, 1]")


def test_an_encoder_that_is_not_there_is_named(launch, tmp_path):
    refused(launch("adme", "--preset", "smoke", "--encoder", tmp_path / "bert"), str(tmp_path / "bert"))


def test_there_are_no_negative_trials(launch):
    refused(launch("adme", "--preset", "smoke", "--trials", "-1"), "trials is -1", "at least 0")


def test_a_storage_folder_that_cannot_be_written_is_named(launch, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    refused(launch("adme", "--preset", "smoke", storage=file / "below"), "--storage", "cannot be written")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_storage_folder_is_named(launch, tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    refused(launch("adme", "--preset", "smoke", storage=folder), "cannot be written")


def test_another_configuration_of_the_same_study_is_told_apart(launch, tmp_path):
    folder = StudyFolder(tmp_path / "storage", "adme")
    before = small_config(name="adme")
    folder.write_facts(
        {
            "study_id": "x",
            "config": before.identity(),
            "corpus": {"digest": "other", "source": "elsewhere"},
            "numerics": {},
        }
    )
    refused(
        launch("adme", "--preset", "smoke", "--seed", "5"),
        "another configuration",
        "seed was 0 and is now 5",
        "the corpus was other (elsewhere)",
        "--fresh",
    )


def test_a_study_of_an_earlier_version_is_told_apart(launch, tmp_path):
    folder = StudyFolder(tmp_path / "storage", "adme")
    before = {
        name: value for name, value in small_config(name="adme").identity().items() if name != "arm_spaces"
    }
    folder.write_facts(
        {
            "study_id": "x",
            "config": before,
            "corpus": {"digest": "other", "source": "elsewhere"},
            "numerics": {},
        }
    )
    refused(
        launch("adme", "--preset", "smoke"),
        "made by an earlier version that did not know arm_spaces",
        "--fresh",
    )


def test_unknown_arms_are_all_named(launch):
    result = launch("adme", "--preset", "smoke", "--arms", "focl", "smote", "--arm-trials", "some")
    refused(result, "3 faults", "'focl'", "Did you mean 'focal'?", "'smote'", "arm_trials is 'some'")


def test_the_arms_of_the_command_line():
    def chosen(*argv):
        return overrides_of(build_parser().parse_args(["adme", *argv]))

    assert chosen("--arms", "focal", "crt", "--arms", "focal") == {"arms": ("focal", "crt")}
    assert chosen("--arms", "focal,crt", "oversample") == {"arms": ("focal", "crt", "oversample")}
    assert chosen("--arms", "all", "--arm-trials", "same") == {"arms": ALL_CONTROLS, "arm_trials": "same"}
    assert chosen("--arms", "none", "--arm-trials", "3") == {"arms": (), "arm_trials": 3}


def test_all_faults_are_told_in_one_go(launch, tmp_path):
    result = launch(
        "adme", "--preset", "smoke", "--trials", "-1", "--imbalance-ratio", "7", "--data", tmp_path / "gone",
        "--encoder", tmp_path / "no-encoder",
    )  # fmt: skip
    refused(result, "4 faults", "trials is -1", "imbalance ratio 7.0", "gone", "no-encoder")


def test_a_misspelt_value_is_answered_with_the_known_ones(launch):
    refused(
        launch("adme", "--preset", "smoke", "--set", "max_rows=3"), "'max_rows' is no value", "max_train_rows"
    )
    refused(launch("adme", "--preset", "smoke", "--set", "max_train_rows"), "NAME=VALUE was expected")


def test_what_the_command_line_overrides():
    args = build_parser().parse_args(
        [
            "adme",
            "--trials",
            "3",
            "--imbalance-ratio",
            "0.1",
            "natural",
            "--imbalance-ratio",
            "1",
            "--encoder",
            "bert",
            "--set",
            "max_train_rows=50",
            "--set",
            'space={"strength":[0.1]}',
            "--set",
            "profile=exponential",
        ]
    )
    assert overrides_of(args) == {
        "trials": 3,
        "imbalance_ratios": (0.1, "natural", 1.0),
        "encoder": "bert",
        "encoder_revision": None,
        "max_train_rows": 50,
        "space": {"strength": (0.1,)},
        "profile": "exponential",
    }
    profiled = overrides_of(build_parser().parse_args(["adme", "--profile", "long_tailed"]))
    assert profiled == {"profile": "long_tailed"}
    pinned = overrides_of(build_parser().parse_args(["adme", "--encoder", "org/bert@abc123"]))
    assert pinned == {"encoder": "org/bert", "encoder_revision": "abc123"}
    with pytest.raises(ConfigurationError, match="NAME=VALUE"):
        overrides_of(build_parser().parse_args(["adme", "--set", "=3"]))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["[/red]", "[bold]", "a\nb"], "[/red] 9, [bold] 9, a\\nb 9"),
        ([f"class {i}" for i in range(120)], "120 classes, from 'class 0' with 9 rows"),
    ],
)
def test_any_classes_are_counted_on_one_short_line(names, said):
    corpus = Corpus(
        texts=[f"text {i}" for i in range(9 * len(names))],
        labels=np.repeat(np.arange(len(names)), 9),
        groups=[f"g{i}" for i in range(9 * len(names))],
        classes=tuple(names),
        origins=[""] * (9 * len(names)),
        source="/data/[/]/my.csv",
    )
    written = io.StringIO()
    print_corpus(corpus, (), Console(file=written, width=80))
    line = written.getvalue()
    assert said in line and "/data/[/]/my.csv" in line and line.count("\n") == 1 and len(line) < 300
