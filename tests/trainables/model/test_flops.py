from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.trainables.conftest import without_dropout
from tests.trainables.trained import train_with
from trainables.model.encoder import build_classifier
from trainables.model.flops import gpu_peak, model_flops, peak_flops
from trainables.training.running_stage import StageProgress


def counted(model, texts, length, backward):
    """Count with PyTorch's own counter what transformers computes for texts without padding."""
    ids = torch.full((texts, length), 7)
    with FlopCounterMode(display=False) as counter:
        logits = model(input_ids=ids).logits
        if backward:
            logits.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("which", ["encoder", "distilbert"])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("texts", "length"), [(1, 5), (4, 30)])
def test_counts_what_transformers_computes(which, backward, texts, length, request):
    model = without_dropout(build_classifier(request.getfixturevalue(which), 3, seed=1)).train()
    expected = counted(model, texts, length, backward)
    found = model_flops(model, backward=backward).of(np.full(texts, length))
    assert found == pytest.approx(expected, rel=0.01)


def test_frozen_layers_have_no_backward_pass(encoder):
    model = build_classifier(encoder, 3, seed=1)
    lengths = np.array([10, 20])
    whole, forward = (model_flops(model, backward=b).of(lengths) for b in (True, False))
    for parameter in model.bert.parameters():
        parameter.requires_grad_(False)
    head_alone = model_flops(model, backward=True).of(lengths)
    assert whole == 3 * forward
    assert forward < head_alone < 1.01 * forward


def test_peaks():
    assert gpu_peak("NVIDIA H100 80GB HBM3") == 989.4e12
    assert gpu_peak("NVIDIA H100 PCIe") == 756.5e12
    assert gpu_peak("NVIDIA L40S") == 362e12
    assert gpu_peak("NVIDIA L4") == 121e12
    assert gpu_peak("NVIDIA H200") == gpu_peak("NVIDIA GH200 480GB") == 989.4e12
    assert gpu_peak("NVIDIA A10G") == 70e12
    assert gpu_peak("NVIDIA A100 80GB PCIe") == 312e12
    assert gpu_peak("NVIDIA H200 NVL") == gpu_peak("NVIDIA H100 NVL") == 835.5e12
    peak = peak_flops(torch.device("cpu"), torch.float32)
    assert peak is not None and peak > 1e8


@pytest.mark.parametrize(
    "name",
    [
        "an unknown one",
        "NVIDIA L40",
        "NVIDIA RTX A4000",
        "NVIDIA RTX A1000",
        "NVIDIA A100X",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 3090 Ti",
    ],
)
def test_a_name_that_only_resembles_one_in_the_table_has_no_peak(name):
    assert gpu_peak(name) is None


def test_what_is_kept_of_a_stage_is_not_counted_as_its_time(encoder, toy):
    model = build_classifier(encoder, 3, seed=1)
    began = time.perf_counter()
    report = train_with(model, *toy, steps=4, learning_rate=1e-4, after_step=lambda stage: time.sleep(0.05))
    assert 0 < report.seconds < time.perf_counter() - began - 0.2


def test_waiting_for_steps_under_way_is_counted_as_training(encoder, toy, monkeypatch):
    """As on a GPU, the steps before end only when somebody asks for their outcome."""

    def under_way(progress):
        time.sleep(0.3)
        return True

    def keep(stage):
        with monkeypatch.context() as patch:
            patch.setattr(StageProgress, "_is_finite", under_way)
            stage.weights()
        time.sleep(0.2)

    model = build_classifier(encoder, 3, seed=1)
    began = time.perf_counter()
    report = train_with(model, *toy, steps=2, learning_rate=1e-4, after_step=keep)
    wall = time.perf_counter() - began
    assert 0.6 < report.seconds < wall - 0.4


def test_a_stage_reports_flops_and_their_share_of_the_peak(encoder, toy):
    tokens, labels = toy
    model = build_classifier(encoder, 3, seed=1)
    report = train_with(model, tokens, labels, epochs=2, learning_rate=1e-4)
    assert report.flops == pytest.approx(2 * model_flops(model, backward=True).of(tokens.lengths))
    assert report.mfu is not None and 0 < report.mfu < 1
    frozen = train_with(model, tokens, labels, epochs=2, learning_rate=1e-4, trainable="head")
    assert frozen.flops < 0.5 * report.flops
