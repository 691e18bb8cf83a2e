from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import memory, naive, overhead, study, study_scores
from benchmarks.naive import NaiveScores, padded_rows
from benchmarks.workload import prepare_work
from study.record.ledger import TrialRecord
from tests.tiny_encoder import write_tiny_encoder
from trainables.settings import TrialSettings
from trainables.texts.tokens import TokenisedTexts
from trainables.trial import ReplicateRecord

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


def test_timed_scores_are_of_the_same_configurations(work):
    configurations = work.configurations()
    trials = [recorded(settings, (0.5, 0.7)) for settings in reversed(configurations)]
    naive = [NaiveScores((level, level), (0.1, 0.1), 1.0) for level in (0.5, 0.6, 0.4)]
    found = study.timed_scores(trials, configurations, naive)
    assert found == {"ours": pytest.approx(0.6), "naive": pytest.approx(0.5)}


def test_other_configurations_are_not_compared(work):
    configurations = work.configurations()
    other = dataclasses.replace(configurations[0], strength=0.77)
    trials = [recorded(settings, (0.5,)) for settings in (other, *configurations[1:])]
    with pytest.raises(RuntimeError, match="different configurations"):
        study.timed_scores(trials, configurations, [NaiveScores((0.5,), (0.5,), 1.0)] * 3)


@pytest.mark.parametrize(("naive", "shown"), [((0.4, 0.62, 0.5), False), ((0.31, 0.40, 0.37), True)])
def test_a_difference_of_scores_is_shown_where_its_interval_leaves_out_0(naive, shown):
    found = study_scores._compared(list(zip((0.5, 0.6, 0.55), naive, strict=True)))
    assert found["difference"] == pytest.approx(0.55 - np.mean(naive))
    assert found["ci_low"] < found["difference"] < found["ci_high"]
    assert found["difference_shown"] is shown


def test_cache_hits_are_counted_by_replicate(work):
    trial = recorded(work.configurations()[0], (0.5, 0.7))
    hits = {"augmentation_cache_hits": 2.0, "stage1_cache_hits": 0.0, "stage1_resumed_at": 4.0}
    trial.replicates[0].diagnostics = hits
    trial.replicates[1].diagnostics = {"augmentation_cache_hits": 0.0, "stage1_cache_hits": 1.0}
    assert study.cache_hits([trial]) == {
        "augmentations": 1,
        "stage1": 1,
        "stage1_continued": 1,
        "replicates": 2,
    }


@pytest.mark.parametrize("change", [{"layer_decay": 0.9}, {"head": "fresh"}, {"arm": "focal"}])
def test_the_naive_program_refuses_what_it_does_not_train(change):
    ((name, value),) = change.items()
    with pytest.raises(
        ValueError, match=f"naive program.*{name if name != 'arm' else 'prefinetune'}.*{value}"
    ):
        naive._check_known(dataclasses.replace(TrialSettings(), **change))


@pytest.mark.slow
def test_the_benchmark_of_a_study(sizes, capsys):
    assert study.main([*sizes, "--scored", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ratio"] > 1 and found["ratio"] == pytest.approx(found["naive_s"] / found["ours_s"])
    assert set(found["savings"]) == set(study.SAVINGS) == set(found["without_s"])
    assert set(found["macro_f1"]) == {"rows", "pairs", "prefinetune", "vanilla", "gain"}
    assert found["working_s"]["naive"] > found["working_s"]["ours"] > 0
    assert found["cache_hits"]["replicates"] == 6
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
