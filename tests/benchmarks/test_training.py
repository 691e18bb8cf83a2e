"""The training benchmark at tiny size: every program trains, every part is accounted for, the JSON is whole."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from benchmarks import training, training_gpu
from benchmarks.breakdown import PARTS
from benchmarks.executed import executed_share
from benchmarks.gradient_error import gradient_error
from benchmarks.hf_trainer import trainers_batches
from benchmarks.training_rows import LOG_MEAN, corpus_rows, generated_rows
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.model.encoder import build_classifier
from trainables.model.forward import predict

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
    assert (program == "best") == ("macro_f1_again" in found)


@pytest.mark.parametrize("program", training.PROGRAMS)
def test_every_program_lowers_the_loss(small, program):
    shared, rows = small
    run = dataclasses.replace(shared, epochs=6.0)
    model = build_classifier(run.encoder, len(rows.classes), 0)

    def loss():
        logits = torch.from_numpy(predict(model, rows.tokens))
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(rows.labels)).item()

    before = loss()
    if program == "ours":
        training._ours(model, run, rows, 0)
    else:
        training._trainer(program, model, run, rows, 0)
    assert loss() < before - 0.02


def runs_of(ours, best, again):
    return {
        "ours": [{"macro_f1": f, "macro_f1_on_trainers_batches": f} for f in ours],
        "example": [{"macro_f1": f} for f in best],
        "best": [{"macro_f1": f, "macro_f1_again": a} for f, a in zip(best, again, strict=True)],
    }


@pytest.mark.parametrize(
    ("ours", "within"),
    [((0.80, 0.82, 0.84), True), ((0.70, 0.72, 0.74), False), ((0.70, 0.95, 0.80), False)],
)
def test_scores_are_held_against_what_two_seeds_of_the_reference_differ_by(ours, within):
    """A shift of .1 is none of its noise, and neither is an interval so wide that nobody knows."""
    found = training.compare_scores(runs_of(ours, best=(0.81, 0.81, 0.84), again=(0.78, 0.84, 0.81)), {})
    assert found["seed_noise"] == pytest.approx(1.96 * 0.03)
    best = found["macro_f1_difference"]["best"]
    assert best["mean"] == pytest.approx(np.mean(ours) - 0.82)
    assert best["ci_low"] < best["mean"] < best["ci_high"]
    assert best["within_seed_noise"] is within
    assert found["macro_f1_difference"]["best_again"]["mean"] == pytest.approx(-0.01)


def test_one_seed_gives_no_verdict():
    found = training.compare_scores(runs_of((0.8,), (0.8,), (0.7,)), {})
    best = found["macro_f1_difference"]["best"]
    assert best["within_seed_noise"] is best["difference_shown"] is None


def test_further_seeds_join_the_comparison_that_has_them():
    more = runs_of((0.9, 0.9), (0.8, 0.8), (0.0, 0.0))
    del more["example"]
    found = training.compare_scores(runs_of((0.8, 0.8), (0.8, 0.8), (0.7, 0.9)), more)
    differences = found["macro_f1_difference"]
    assert {name: d["seeds"] for name, d in differences.items()} == {
        "example": 2,
        "best": 4,
        "best_on_its_batches": 4,
        "best_again": 2,
    }
    assert differences["best"]["mean"] == pytest.approx(0.05)
    assert not differences["example"]["difference_shown"]


def test_what_a_cpu_pass_leaves_out_of_the_last_layer(small):
    model = build_classifier(small[0].encoder, 5, 0)
    width, inner, lengths = 32, 64, np.array([3, 7])
    per_token, squares = 4 * width**2 + 2 * width * inner, (lengths**2).sum()
    head = 5 * width + width**2
    asked = 2 * (lengths.sum() * per_token + 2 * squares * width) + 2 * head
    layer = lengths.sum() * per_token + 2 * squares * width
    last = lengths.sum() * 2 * width**2 + 2 * (per_token - 2 * width**2) + 2 * lengths.sum() * width
    share = executed_share(model, lengths)
    assert share == pytest.approx((layer + last + 2 * head) / asked)


def test_gradients_of_low_precision_lie_close_to_float32s(small):
    shared, rows = small
    found = gradient_error(dataclasses.replace(shared.encoder, precision="bfloat16"), rows)
    assert 0 < found["bfloat16_autocast"] < 0.1
    assert found["ours"] < 2 * found["bfloat16_autocast"]
    exact = gradient_error(dataclasses.replace(shared.encoder, precision="float32"), rows)
    assert exact["ours"] < 1e-4


def test_trainers_batches_cover_every_row_once_an_epoch():
    batches = list(trainers_batches(np.arange(1, 41), 16, 8, seed=3, window=1))
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
    assert set(found["macro_f1_difference"]) == {"example", "best", "best_on_its_batches", "best_again"}
    assert found["seed_noise"] > 0 and found["gradient_error"]["bfloat16_autocast"] > 0
    assert found["setting"]["machine"]["processor"]
    assert 0 < found["share_of_gemm_peak"] < found["mfu"] < 1
    assert set(found["step"]) == {"ours", "best"}


@pytest.mark.slow
def test_trials_share_a_device(small):
    assert training_gpu.trials_per_hour(small[0].encoder, 2, steps=2) > 0
