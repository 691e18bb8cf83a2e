"""The own BERT pass equals transformers' forward and backward pass on the same parameters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.trainables.conftest import without_dropout
from trainables.cpu import bert
from trainables.cpu.bert import bert_logits, has_fast_forward
from trainables.cpu.dropout import FastDropout, MaskGenerator
from trainables.cpu.packing import PackedTexts
from trainables.errors import TrialFailed
from trainables.model.encoder import build_classifier
from trainables.model.forward import pad
from trainables.texts.tokens import TokenisedTexts


def texts_of(lengths):
    rng = np.random.default_rng(len(lengths))
    return TokenisedTexts(
        rng.integers(5, 65, sum(lengths)).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)])
    )


def gradients(model, logits):
    model.zero_grad()
    (logits * torch.arange(1.0, 1 + logits.numel()).view(logits.shape)).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("lengths", [[3], [8, 8], [2, 9, 16, 5], [1, 1, 30], [63]])
def test_logits_and_gradients_equal_those_of_transformers(encoder, lengths):
    model, texts = without_dropout(build_classifier(encoder, 3, seed=1)), texts_of(lengths)
    model.train()
    ids, attention_mask = pad(texts, 0, multiple=1)
    reference = model(input_ids=ids, attention_mask=attention_mask).logits
    own = bert_logits(model, PackedTexts.of(texts, 0), MaskGenerator(0))
    torch.testing.assert_close(own, reference, rtol=1e-4, atol=1e-5)
    expected, found = gradients(model, reference), gradients(model, own)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=2e-4, msg=name)


def test_bfloat16_stays_close_to_float32(encoder):
    model, texts = build_classifier(encoder, 3, seed=1), texts_of([4, 12, 20])
    packed = PackedTexts.of(texts, 0)
    exact = bert_logits(model, packed, None)
    rounded = bert_logits(model.to(torch.bfloat16), packed, None)
    assert (rounded.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_dropout_has_the_statistics_of_transformers(encoder):
    """Mean and spread of the logits over many masks agree between both passes."""
    model, texts = build_classifier(encoder, 3, seed=1), texts_of([4, 12])
    model.train()
    packed, (ids, attention_mask) = PackedTexts.of(texts, 0), pad(texts, 0)
    own, reference = [], []
    with torch.no_grad():
        masks = MaskGenerator(1)
        for _ in range(400):
            own.append(bert_logits(model, packed, masks))
            with FastDropout(masks):
                reference.append(model(input_ids=ids, attention_mask=attention_mask).logits)
    own, reference = torch.stack(own), torch.stack(reference)
    error = (own.var(0) / 400 + reference.var(0) / 400).sqrt()
    assert ((own.mean(0) - reference.mean(0)).abs() < 4.5 * error).all()
    assert (own.std(0) / reference.std(0) - 1).abs().max() < 0.25


def test_frozen_parts_get_no_gradient(encoder):
    model = build_classifier(encoder, 3, seed=1)
    for parameter in model.bert.encoder.layer[0].parameters():
        parameter.requires_grad_(False)
    bert_logits(model, PackedTexts.of(texts_of([5, 7]), 0), None).sum().backward()
    assert all(p.grad is None for p in model.bert.encoder.layer[0].parameters())
    assert all(p.grad is not None for p in model.bert.encoder.layer[1].parameters())


def test_other_functions_than_bert_are_left_to_transformers(encoder):
    model = build_classifier(encoder, 3, seed=1)
    assert has_fast_forward(model)
    model.config.hidden_act = "relu"
    assert not has_fast_forward(model)


def test_a_machine_without_the_kernels_of_a_study_fails_the_trial_and_says_why(encoder, monkeypatch):
    monkeypatch.setattr(bert, "compiled_kernels", lambda: None)
    packed = PackedTexts.of(texts_of([3, 5]), 0)
    logits = {}
    for kernels in ("auto", "torch", "compiled"):
        model = build_classifier(dataclasses.replace(encoder, kernels=kernels), 3, seed=1)
        if kernels == "compiled":
            with pytest.raises(TrialFailed, match="lacks the compiled kernels") as failed:
                bert_logits(model, packed, None)
            assert failed.value.can_pass
        else:
            logits[kernels] = bert_logits(model, packed, None)
    assert torch.equal(logits["auto"], logits["torch"])


def test_a_study_of_pytorchs_operations_uses_no_kernels_where_there_are_some(encoder, monkeypatch):
    monkeypatch.setattr(bert, "compiled_kernels", lambda: pytest.fail("it looked for kernels"))
    model = build_classifier(dataclasses.replace(encoder, kernels="torch"), 3, seed=1)
    bert_logits(model, PackedTexts.of(texts_of([3, 5]), 0), None)
