from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForSequenceClassification

from trainables.model.encoder import build_classifier
from trainables.model.memory_estimate import (
    MOST_PER_GPU,
    SHARE_OF_GPU,
    EncoderShape,
    activation_bytes,
    shape_of,
    trial_bytes,
    trials_per_gpu,
)

BERT_BASE = EncoderShape(109_483_778, 12, 768, 3072)
MINILM = EncoderShape(22_714_757, 6, 384, 1536)
GIB = 2**30


@pytest.mark.parametrize("layers", [None, 1])
def test_the_shape_counts_the_parameters_that_are_built(encoder, layers):
    from dataclasses import replace

    settings = replace(encoder, layers=layers)
    shape = shape_of(settings)
    built = sum(p.numel() for p in build_classifier(settings, 2, seed=0).parameters())
    assert shape == EncoderShape(built, layers or 2, 32, 64)


def test_the_shape_of_another_architecture(distilbert):
    shape = shape_of(distilbert)
    assert (shape.layers, shape.hidden, shape.intermediate) == (2, 32, 64)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("hidden", "intermediate", "layers"), [(64, 256, 4), (96, 192, 2)])
def test_activations_are_what_autograd_keeps(precision, hidden, intermediate, layers):
    """Within a quarter; fused attention, as on a GPU, so its own dropout is off on a CPU."""
    config = BertConfig(
        vocab_size=50,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=intermediate,
        attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",
    )
    model = BertForSequenceClassification(config).to(precision).train()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(torch.randint(0, 50, (16, 64)), labels=torch.zeros(16, dtype=torch.int64)).loss
    measured = sum(storage.nbytes() for storage in kept.values())
    assert loss.requires_grad
    estimated = activation_bytes(EncoderShape(0, layers, hidden, intermediate), 16 * 64, precision)
    assert 0.8 < estimated / measured < 1.25


def test_in_bfloat16_a_layer_keeps_34_bytes_a_token_and_hidden_unit():
    deeper = EncoderShape(0, 13, 768, 3072)
    layer = activation_bytes(deeper, 1000, torch.bfloat16) - activation_bytes(BERT_BASE, 1000, torch.bfloat16)
    assert layer == 34 * 1000 * 768


@pytest.mark.parametrize(
    ("shape", "tokens", "gpu_gib", "expected"),
    [
        (MINILM, 32 * 128, 80, 8),
        (MINILM, 16 * 64, 16, 8),
        (MINILM, 16 * 64, 6, 3),
        (BERT_BASE, 16 * 128, 80, 8),
        (BERT_BASE, 16 * 128, 24, 5),
        (BERT_BASE, 16 * 128, 16, 3),
        (BERT_BASE, 256 * 128, 24, 1),
        (BERT_BASE, 16 * 128, 2, 1),
    ],
)
def test_trials_that_share_a_gpu(shape, tokens, gpu_gib, expected):
    assert trials_per_gpu(gpu_gib * GIB, trial_bytes(shape, tokens, torch.bfloat16)) == expected


@given(st.integers(1, 10**12), st.integers(10**8, 10**11))
def test_what_shares_a_gpu_fits_into_it(gpu_bytes, needed):
    n = trials_per_gpu(gpu_bytes, needed)
    assert 1 <= n <= MOST_PER_GPU
    assert n == 1 or n * needed <= SHARE_OF_GPU * gpu_bytes


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_more_tokens_never_need_less(tokens, more):
    assert trial_bytes(MINILM, tokens + more, torch.bfloat16) >= trial_bytes(MINILM, tokens, torch.bfloat16)
    assert trial_bytes(MINILM, tokens, torch.float32) > trial_bytes(MINILM, tokens, torch.bfloat16)
