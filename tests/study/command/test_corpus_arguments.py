import argparse
import json

import pytest

from study import data
from study.command import launch_arguments
from study.command.corpus_arguments import add_corpus_arguments, corpus_options, exact_counts
from study.config.faults import study_faults
from study.config.files import load_study_file
from trainables.errors import ConfigurationError


def parsed(*argv):
    parser = argparse.ArgumentParser()
    add_corpus_arguments(parser)
    return corpus_options(parser.parse_args(argv))


def test_only_what_is_given_reaches_the_reader():
    assert parsed() == {}
    given = parsed(
        "--text", "1", "--label", "0", "--option", "food_effect=other", "--option", "keep_mixed=true"
    )
    assert given == {"text": "1", "label": "0", "food_effect": "other", "keep_mixed": True}


def test_an_option_without_a_value_is_refused():
    with pytest.raises(ConfigurationError, match="--option keep: NAME=VALUE"):
        parsed("--option", "keep")


def test_labels_are_downloaded_or_given():
    assert parsed("--labels", "all") == {"labels": "all"}
    parse = launch_arguments.build_parser().parse_args
    given = parse(["adme", "--labels", "all", "--data", "openfda"])
    assert launch_arguments.overrides_of(given)["corpus_options"] == {"labels": "all"}
    with pytest.raises(ConfigurationError, match=r"--labels all .* --data mine.jsonl takes their place"):
        launch_arguments.overrides_of(parse(["adme", "--labels", "all", "--data", "mine.jsonl"]))


@pytest.mark.parametrize("study", ["adme", "shi2022_adme"])
def test_only_the_cluster_preset_takes_all_labels_and_which_are_downloaded_is_no_part_of_a_study(study):
    presets = {preset: load_study_file(study, preset, {}) for preset in ("smoke", "laptop", "cluster")}
    assert [config.corpus_options for config in presets.values()] == [{}, {}, {"labels": "all"}]
    assert presets["cluster"].identity()["corpus_options"] == {}
    assert not study_faults(presets["cluster"])


def test_counts_are_ratios_at_one_majority():
    assert exact_counts(["20:1000", "100:1000"], None) == {"imbalance_ratios": (0.02, 0.1), "n_max": 1000}


@pytest.mark.parametrize(
    ("counts", "ratios", "message"),
    [
        (["20"], None, "--counts 20: MINORITY:MAJORITY"),
        (["1000:20"], None, "--counts 1000:20"),
        (["0:20"], None, "--counts 0:20"),
        (["20:1000", "20:500"], None, "same majority"),
        (["20:1000"], ["0.1"], "exclude each other"),
    ],
)
def test_counts_that_make_no_sense(counts, ratios, message):
    with pytest.raises(ConfigurationError, match=message):
        exact_counts(counts, ratios)


def test_launch_turns_its_options_into_the_study():
    args = launch_arguments.build_parser().parse_args(
        [
            "tabular",
            "--data",
            "my.csv",
            "--text",
            "words",
            "--label",
            "kind",
            "--split",
            "part",
            "--counts",
            "20:1000",
            "--validation-per-class",
            "10",
            "--resplit",
        ]
    )
    config = load_study_file("tabular", "laptop", launch_arguments.overrides_of(args))
    assert config.corpus_options == {"text": "words", "label": "kind", "split": "part"}
    assert config.imbalance_ratios == (0.02,) and config.n_max == 1000 and config.validation_per_class == 10
    assert config.resplit is True and study_faults(config) == []
    again = launch_arguments.build_parser().parse_args(["adme", "--no-resplit"])
    assert launch_arguments.overrides_of(again) == {"resplit": False}
    assert "resplit" not in launch_arguments.overrides_of(
        launch_arguments.build_parser().parse_args(["adme"])
    )


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("words,kind,part\n" + "".join(f"text {i} of some,{'ab'[i % 2]},{p}\n" for i, p in PARTS))
    return path


PARTS = [(i, "train" if i < 8 else "test") for i in range(12)]


def test_data_shows_the_given_split(table, capsys):
    argv = ["tabular", "--data", str(table), "--text", "words", "--label", "kind", "--split", "part"]
    assert data.main([*argv, "--format", "json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["split"] == {"train": {"a": 4, "b": 4}, "test": {"a": 2, "b": 2}}
    assert about["found"] == about["classes"] == {"a": 6, "b": 6}
    assert data.main(argv) == 0
    assert "The source's split" in capsys.readouterr().out


def test_options_of_another_corpus_are_refused(capsys):
    assert data.main(["adme", "--text", "words"]) == 2
    assert "corpus 'adme' has no option text" in capsys.readouterr().err
