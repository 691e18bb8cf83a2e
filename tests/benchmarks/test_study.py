from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import memory, overhead, study
from benchmarks.naive import NaiveScores, padded_rows
from benchmarks.workload import prepare_work
from study.ledger import ReplicateRecord, TrialRecord
from tests.tiny_encoder import write_tiny_encoder
from trainables.tokens import TokenisedTexts

TOKENS = TokenisedTexts(np.array([5, 6, 7, 8, 9], np.int32), np.array([0, 2, 5]))


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    encoder = write_tiny_encoder(tmp_path_factory.mktemp("encoder"))
    return [
        "--encoder", str(encoder), "--layers", "1", "--rows", "30", "--validation-rows", "20", "--max-length", "24",
        "--configurations", "3",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def work(sizes):
    return prepare_work(study.build_parser().parse_args(sizes))


def test_the_search_proposes_the_same_distinct_configurations_every_time(work):
    proposed = work.configurations()
    assert len(set(proposed)) == 3 and proposed == work.configurations()
    assert {settings.imbalance_ratio for settings in proposed} == set(work.config.imbalance_ratios)
    first = dict(work.config.first)
    assert all(getattr(proposed[0], name) == value for name, value in first.items())


def test_vanilla_has_one_recipe_at_every_ratio(work):
    vanilla = work.vanilla()
    assert set(vanilla) == set(work.config.imbalance_ratios)
    assert {settings.arm for settings in vanilla.values()} == {"vanilla"}


def test_fixed_padding_fills_every_text_up():
    tokens = study.padded(TOKENS, 4, pad_id=0)
    assert tokens.lengths.tolist() == [4, 4]
    assert tokens.ids.tolist() == [5, 6, 0, 0, 7, 8, 9, 0]


def test_rows_of_the_naive_program_mask_their_padding():
    assert padded_rows(TOKENS, np.array([1, 0]), 4, pad_id=0) == [
        {"input_ids": [5, 6, 0, 0], "attention_mask": [1, 1, 0, 0], "labels": 1},
        {"input_ids": [7, 8, 9, 0], "attention_mask": [1, 1, 1, 0], "labels": 0},
    ]


def recorded(settings, scores):
    trial = TrialRecord("t", "search", "prefinetune", settings.imbalance_ratio, settings.to_config())
    trial.replicates = {r: ReplicateRecord(r, {"val/macro_f1": s}, 1.0) for r, s in enumerate(scores)}
    return trial


def test_scores_are_compared_configuration_by_configuration(work):
    configurations = work.configurations()
    trials = [recorded(settings, (0.5, 0.7)) for settings in reversed(configurations)]
    naive = [NaiveScores((level, level), (0.1, 0.1)) for level in (0.5, 0.6, 0.4)]
    found = study.compare_scores(trials, configurations, naive)
    assert found["ours"] == pytest.approx(0.6) and found["naive"] == pytest.approx(0.5)
    assert found["difference"] == pytest.approx(0.1)
    assert found["ci_low"] < 0.1 < found["ci_high"]
    assert found["by_replicate"] == pytest.approx([0.0, 0.2])


def test_other_configurations_are_not_compared(work):
    configurations = work.configurations()
    other = dataclasses.replace(configurations[0], strength=0.77)
    trials = [recorded(settings, (0.5,)) for settings in (other, *configurations[1:])]
    with pytest.raises(RuntimeError, match="other configurations"):
        study.compare_scores(trials, configurations, [NaiveScores((0.5,), (0.5,))] * 3)


@pytest.mark.slow
def test_the_benchmark_of_a_study(sizes, capsys):
    assert study.main(sizes) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ratio"] > 1 and found["ratio"] == pytest.approx(found["naive_s"] / found["ours_s"])
    assert set(found["savings"]) == set(study.SAVINGS) == set(found["without_s"])
    assert found["macro_f1"]["ci_low"] <= found["macro_f1"]["difference"] <= found["macro_f1"]["ci_high"]
    assert found["configurations"] == 3 and found["replicates"] == 2


@pytest.mark.slow
def test_the_benchmark_of_memory(sizes, capsys):
    assert memory.main([*sizes, "--configurations", "7"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"after_5_mb", "after_7_mb", "most_mb", "ratio"}
    assert found["after_5_mb"] > 100
    assert found["ratio"] == pytest.approx(found["after_7_mb"] / found["after_5_mb"], abs=0.01)


@pytest.mark.slow
def test_the_benchmark_of_overhead(capsys):
    assert overhead.main(["--trials", "10", "--reference-trials", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ratio"] == pytest.approx(found["reference_s"] / found["ours_s"])
    assert found["untracked_s"] > 0 and found["ratio"] > 1
