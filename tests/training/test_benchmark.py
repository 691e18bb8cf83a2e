"""The training benchmark at tiny size: every program trains, every part is accounted for, the JSON is whole."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from benchmarks import training, training_gpu
from benchmarks.breakdown import PARTS
from benchmarks.hf_trainer import trainers_batches
from benchmarks.training_rows import LOG_MEAN, corpus_rows, generated_rows
from trainables.corpora.sample import generate_sample

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    encoder = training_gpu.write_encoder(tmp_path_factory.mktemp("encoder"), SHAPE)
    return training.Run(encoder, 1.0, 1e-3), generated_rows(encoder, 48, 50, seed=0)


def test_generated_rows_have_the_lengths_of_the_corpus(small):
    shared, _ = small
    rows = generated_rows(shared.encoder, 1000, 10, seed=1)
    lengths = rows.tokens.lengths
    assert abs(math.log(np.median(lengths)) - LOG_MEAN) < 0.1
    assert 80 < lengths.mean() < 90
    assert lengths.max() == 128
    assert len(np.unique(rows.labels)) == 5


def test_rows_of_a_corpus_are_split_by_group(small):
    rows = corpus_rows(generate_sample(300), small[0].encoder, 32, 40, seed=0)
    assert len(rows.labels) == len(rows.tokens) == 32
    assert 0 < len(rows.validation_labels) <= 40


@pytest.mark.parametrize("program", training.PROGRAMS)
def test_every_program_trains_and_is_scored(small, program):
    found = training.train_and_score(program, *small, seed=0)
    assert found["rows_per_second"] > 0
    assert 0 < found["macro_f1"] <= 1
    assert (program == "ours") == ("macro_f1_on_trainers_batches" in found)


def test_trainers_batches_cover_every_row_once_an_epoch():
    batches = list(trainers_batches(np.arange(1, 41), 16, 8, seed=3))
    assert len(batches) == 8
    for epoch in (batches[:3], batches[3:6]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(40))
    assert (
        batches[0][0] == 39 and np.concatenate(batches[6:]).tolist() != np.concatenate(batches[:2]).tolist()
    )


@pytest.mark.parametrize("program", ["ours", "best"])
def test_the_parts_of_a_step_add_up(small, program, monkeypatch):
    monkeypatch.setattr(training, "_PROFILED_STEPS", 3)
    shares = training.parts(program, *small)
    assert set(shares) == {*PARTS, "python"}
    assert shares["gemm"] > 0 and shares["dropout"] > 0 and shares["optimizer"] > 0
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.05)


def test_gpu_figures_or_the_plain_word_that_there_is_no_gpu(small):
    if not torch.cuda.is_available():
        found = training_gpu.measure()
        assert found["gpu"] is None and "no CUDA device" in found["reason"]
    found = training_gpu.speed(small[0].encoder, 4, steps=2)
    assert found["rows_per_second"] > 0
    assert found["tokens_per_step"] == 4 * training_gpu.LENGTH


@pytest.mark.slow
def test_quick_run_prints_one_object(small, capsys):
    assert training.main(["--quick", "--threads", "1", "--encoder", small[0].encoder.name]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ratio_example"] > 0 and found["ratio_best"] > 0
    assert found["macro_f1_difference"]["best"]["equal_within_seed_noise"] in (True, False)
    assert set(found["step"]) == {"ours", "best"}


@pytest.mark.slow
def test_trials_share_a_device(small):
    assert training_gpu.trials_per_hour(small[0].encoder, 2, steps=2) > 0
