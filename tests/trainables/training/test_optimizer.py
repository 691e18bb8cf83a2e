"""The flat optimizer equals ``torch.optim.AdamW`` with parameter groups, and goes on from its state bit for bit."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForSequenceClassification,
    DebertaV2Config,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    MPNetConfig,
    NomicBertConfig,
)

from tests.trainables.conftest import without_dropout
from tests.trainables.trained import train_with
from trainables.model.encoder import build_classifier, encoder_layers, layer_rate_factors
from trainables.training.optimizer import FlatAdamW
from trainables.training.stage import trained_parameters
from trainables.training.stage_settings import StageSettings

SHAPES = [(7, 5), (5,), (3, 7), (1,), (33, 2)]
# Settings that the configurations of all encoders have.
TINY = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_labels": 3,
    "pad_token_id": 0,
}


def new_parameters(seed=0):
    torch.manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def flat(parameters, factors=None, **arguments):
    masters = {p: p.data.clone() for p in parameters}
    arguments = {"weight_decay": 0.1, "max_grad_norm": 1.0, **arguments}
    how = StageSettings(steps=1, learning_rate=0.0, **arguments)
    return FlatAdamW(masters, None, how, rate_factors=factors), masters


def draw_gradients(parameters, generator):
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 0.9, 0.5, 0.25]), min_size=len(SHAPES), max_size=len(SHAPES)),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.3, 1e3]),
)
def test_equals_torch_adamw_with_parameter_groups(factors, decay, clip):
    own, plain = new_parameters(), new_parameters()
    optimizer, masters = flat(
        own, dict(zip(own, factors, strict=True)), weight_decay=decay, max_grad_norm=clip
    )
    groups = [
        {"params": [p], "weight_decay": decay if p.dim() >= 2 else 0.0, "lr": 1e-2 * factor}
        for p, factor in zip(plain, factors, strict=True)
    ]
    reference = torch.optim.AdamW(groups)
    one, other = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for _ in range(5):
        draw_gradients(own, one)
        draw_gradients(plain, other)
        optimizer.collect()
        norm = optimizer.step(1e-2)
        expected = torch.nn.utils.clip_grad_norm_(plain, clip if clip else float("inf"))
        torch.testing.assert_close(norm, expected)
        reference.step()
    optimizer.write_back()
    for mine, theirs in zip(own, plain, strict=True):
        torch.testing.assert_close(masters[mine], theirs.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_goes_on_from_its_state_bit_for_bit(dtype):
    def run(optimizer, parameters, steps, seed):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            draw_gradients(parameters, generator)
            optimizer.collect()
            optimizer.step(1e-2)
        optimizer.write_back()

    def started(seed):
        parameters = new_parameters(seed)
        masters = {p: p.data.clone() for p in parameters}
        for parameter in parameters:
            parameter.data = parameter.data.to(dtype)
        how = StageSettings(steps=1, learning_rate=0.0, weight_decay=0.1, max_grad_norm=1.0)
        return parameters, masters, FlatAdamW(masters, None, how)

    parameters, masters, optimizer = started(0)
    run(optimizer, parameters, 3, seed=1)
    state = optimizer.state()
    run(optimizer, parameters, 3, seed=2)
    again, again_masters, resumed = started(5)
    resumed.load_state(state)
    run(resumed, again, 3, seed=2)
    for parameter, other in zip(parameters, again, strict=True):
        assert torch.equal(parameter, other)
        assert torch.equal(masters[parameter], again_masters[other])


def test_a_state_of_other_parameters_is_refused():
    optimizer, _ = flat(new_parameters()[:2])
    other, _ = flat(new_parameters())
    with pytest.raises(ValueError, match="expected"):
        optimizer.load_state(other.state())


@pytest.mark.parametrize("which", ["encoder", "distilbert"])
def test_layer_decay_falls_from_the_top_and_leaves_the_head(which, request):
    model = build_classifier(request.getfixturevalue(which), 3, seed=1)
    factors = {name: layer_rate_factors(model, 0.5)[p] for name, p in model.named_parameters()}
    assert len(encoder_layers(model)) == 2
    for name, factor in factors.items():
        if "embeddings" in name:
            assert factor == 0.25
        elif ".layer.0." in name:
            assert factor == 0.5
        else:
            assert factor == 1.0, name


def test_a_stage_with_layer_decay_equals_torch_adamw_with_parameter_groups(encoder, toy):
    """Without weight decay and clipping, the first step of each weight is its own rate times the same direction."""
    tokens, labels = toy
    arguments = {"steps": 1, "learning_rate": 1e-3, "warmup": 0.0, "seed": 2, "max_grad_norm": 0.0}
    before = build_classifier(encoder, 3, seed=1)
    plain, decayed = (without_dropout(build_classifier(encoder, 3, seed=1)) for _ in range(2))
    train_with(plain, tokens, labels, weight_decay=0.0, **arguments)
    train_with(decayed, tokens, labels, weight_decay=0.0, layer_decay=0.5, **arguments)
    factors = layer_rate_factors(before, 0.5)
    for start, one, other in zip(before.parameters(), plain.parameters(), decayed.parameters(), strict=True):
        torch.testing.assert_close(
            (other - start).detach(), ((one - start) * factors[start]).detach(), rtol=1e-3, atol=1e-7
        )


def test_what_lies_above_the_layers_learns_at_the_full_rate_in_other_architectures(tmp_path):
    model = ModernBertForSequenceClassification(ModernBertConfig(**TINY))
    factors = {name: layer_rate_factors(model, 0.5)[p] for name, p in model.named_parameters()}
    assert factors["model.final_norm.weight"] == factors["classifier.weight"] == 1.0
    assert {f for name, f in factors.items() if name.startswith("model.layers.1.")} == {1.0}
    assert {f for name, f in factors.items() if name.startswith("model.layers.0.")} == {0.5}
    assert factors["model.embeddings.tok_embeddings.weight"] == 0.25
    trained = trained_parameters(model, "last_block")
    assert {name for name, p in model.named_parameters() if p in trained} == {
        name for name, factor in factors.items() if factor == 1.0
    }


@pytest.mark.parametrize(
    "config",
    [
        ModernBertConfig,
        MPNetConfig,
        NomicBertConfig,
        partial(
            DebertaV2Config,
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            norm_rel_ebd="layer_norm",
            conv_kernel_size=3,
        ),
    ],
    ids=["modernbert", "mpnet", "nomicbert", "deberta-v2"],
)
def test_what_is_called_after_the_last_layer_lies_above_it_and_nothing_else(config):
    """Relative positions are registered behind the layers, which all read them; NomicBERT's pooler before them."""
    model = AutoModelForSequenceClassification.from_config(config(**TINY)).eval()
    top = encoder_layers(model)[-1]
    called: list[torch.nn.Module] = []
    for module in model.modules():
        module.register_forward_hook(lambda module, *_: called.append(module))
    model(input_ids=torch.full((1, 5), 7), attention_mask=torch.ones(1, 5, dtype=torch.long))
    after = {p for module in called[called.index(top) + 1 :] for p in module.parameters(recurse=False)}
    assert after
    factors = layer_rate_factors(model, 0.5)
    assert {p for p in factors if factors[p] == 1.0} == after | set(top.parameters())
    assert trained_parameters(model, "last_block") == after | set(top.parameters())
