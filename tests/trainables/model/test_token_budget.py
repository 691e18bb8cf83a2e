"""A batch that does not fit in memory is computed in parts: the same gradient, the same effective batch."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from tests.trainables.conftest import states_equal, without_dropout
from tests.trainables.trained import train_with
from trainables.errors import TrialFailed
from trainables.model import forward, token_budget
from trainables.model.encoder import build_classifier
from trainables.model.forward import compute_logits, predict
from trainables.training import batch_gradient, objective


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(token_budget, "_budgets", {})


@pytest.fixture
def scarce(monkeypatch):
    """Let more than so many padded tokens run out of memory, after the forward pass or in the backward pass."""

    def scarce(most, where="backward"):
        sizes = []

        def limited(model, texts, masks=None):
            size = len(texts) * int(texts.lengths.max())
            sizes.append(size)
            logits, computed = compute_logits(model, texts, masks)
            if size > most:
                if where == "forward" or not logits.requires_grad:
                    raise torch.OutOfMemoryError("CUDA out of memory")

                def fail(gradient):
                    handle.remove()
                    raise torch.OutOfMemoryError("CUDA out of memory")

                # The encoder's embedding has had its gradient by the time that the first layer asks for its own.
                handle = model.bert.encoder.layer[0].attention.self.query.weight.register_hook(fail)
            return logits, computed

        monkeypatch.setattr(objective, "compute_logits", limited)
        monkeypatch.setattr(forward, "compute_logits", limited)
        return sizes

    return scarce


def train(encoder, toy, dropout=True, **how):
    model = build_classifier(encoder, 3, seed=1)
    if not dropout:
        without_dropout(model)
    report = train_with(model, *toy, **{"steps": 12, "learning_rate": 1e-3, "seed": 3, **how})
    return model, report


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize(("precision", "apart"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_parts_give_the_gradient_of_the_whole(encoder, toy, scarce, monkeypatch, precision, apart, where):
    gradients = []

    def recording(self, rate):
        gradients.append(self.gradient.clone())
        return step(self, rate)

    step = batch_gradient.FlatAdamW.step
    monkeypatch.setattr(batch_gradient.FlatAdamW, "step", recording)
    _, whole = train(encoder, toy, dropout=False, precision=precision, steps=1)
    sizes = scarce(100, where)
    _, parts = train(encoder, toy, dropout=False, precision=precision, steps=1)
    assert min(sizes) <= 100 < max(sizes)
    assert (gradients[1] - gradients[0]).norm() < apart * gradients[0].norm()
    assert parts.micro_batch < whole.micro_batch == 16
    assert (parts.rows, parts.real_tokens) == (whole.rows, whole.real_tokens)
    assert parts.last_loss == pytest.approx(whole.last_loss, rel=apart)


def test_a_failed_try_leaves_nothing_behind(encoder, toy, scarce):
    """Running out in the first step equals knowing the budget from the start, dropout masks included."""
    scarce(100)
    found, _ = train(encoder, toy)
    known, _ = train(encoder, toy)
    assert states_equal(found, known)


def test_the_process_remembers_and_says_it_once(encoder, toy, scarce, caplog):
    caplog.set_level(logging.WARNING)
    sizes = scarce(100)
    train(encoder, toy)
    assert max(sizes) > 100
    sizes.clear()
    _, report = train(encoder, toy)
    assert max(sizes) <= 100
    assert report.micro_batch < 16
    assert len([r for r in caplog.records if "out of memory in training" in r.message]) == 1


def test_a_model_that_trains_a_smaller_part_is_not_held_back(encoder, toy, scarce):
    scarce(100)
    train(encoder, toy)
    scarce(10**6)
    assert train(encoder, toy, trainable="head")[1].micro_batch == 16


def test_not_even_one_row_fails_the_trial_and_says_what_to_do(encoder, toy, scarce):
    scarce(1)
    with pytest.raises(TrialFailed, match=r"not even one text of \d+ tokens fits; use a smaller encoder"):
        train(encoder, toy)


def test_other_errors_pass(encoder, toy, monkeypatch):
    def broken(model, texts, masks=None):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(objective, "compute_logits", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        train(encoder, toy)


def test_prediction_halves_its_batches_and_gives_the_same_logits(encoder, toy, scarce):
    model = build_classifier(encoder, 3, seed=1)
    expected = predict(model, toy[0])
    sizes = scarce(200, "forward")
    np.testing.assert_allclose(predict(model, toy[0]), expected, rtol=1e-4, atol=1e-5)
    assert max(sizes) > 200
    sizes.clear()
    predict(model, toy[0])
    assert max(sizes) <= 200


def test_this_machines_own_allocator_is_understood():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55, dtype=torch.uint8)
    assert token_budget.is_out_of_memory(caught.value)
    assert not token_budget.is_out_of_memory(RuntimeError("size mismatch"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.AcceleratorError(
            "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"
        ),
        RuntimeError("CUDA driver error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_what_a_shared_gpu_says_is_understood(error):
    assert token_budget.is_out_of_memory(error)


def test_an_error_that_may_have_another_cause_is_none_of_memory():
    error = RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`")
    assert not token_budget.is_out_of_memory(error)
