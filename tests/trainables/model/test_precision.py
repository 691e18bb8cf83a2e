"""What computes in low precision, and what stays float32."""

from __future__ import annotations

import torch

from tests.trainables.trained import train_with
from trainables.model.encoder import build_classifier
from trainables.model.precision import compute_in


def test_matrices_compute_in_bfloat16_and_heads_and_normalisations_in_float32(encoder):
    model = build_classifier(encoder, 3, seed=1)
    before = {name: p.data_ptr() for name, p in model.named_parameters()}
    with compute_in(model, torch.bfloat16) as masters:
        for name, parameter in model.named_parameters():
            full = "LayerNorm" in name or name.startswith("classifier")
            assert parameter.dtype == (torch.float32 if full else torch.bfloat16), name
            assert masters[parameter].data_ptr() == before[name]
            assert masters[parameter].dtype == torch.float32
    assert all(p.data_ptr() == before[name] for name, p in model.named_parameters())


def test_a_short_stage_in_bfloat16_moves_the_normalisations_that_it_computes_with(encoder, toy):
    """Steps of 1e-5 are lost where a weight near 1 is rounded to bfloat16."""
    model = build_classifier(encoder, 3, seed=1)
    norm = model.bert.encoder.layer[0].output.LayerNorm
    start, seen = norm.weight.data.clone(), []
    train_with(
        model,
        *toy,
        steps=3,
        learning_rate=1e-5,
        schedule="constant",
        warmup=0.0,
        precision=torch.bfloat16,
        after_step=lambda stage: seen.append(norm.weight.data.clone()),
    )
    assert all((weight != start).any() for weight in seen)
    assert torch.equal(seen[-1], norm.weight.data)
