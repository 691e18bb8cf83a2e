"""The compiled kernels equal PyTorch's operations, and their dropout has the statistics of dropout."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from tests.trainables.conftest import without_dropout
from tests.trainables.cpu.test_bert import texts_of
from trainables.cpu import bert
from trainables.cpu.attention import attend, attend_backward
from trainables.cpu.bert import bert_logits
from trainables.cpu.dropout import NO_DROPOUT, DropoutKey, MaskGenerator
from trainables.cpu.kernels import compiled_kernels
from trainables.cpu.packing import PackedTexts
from trainables.model.encoder import build_classifier

kernels = compiled_kernels()
pytestmark = pytest.mark.skipif(
    kernels is None, reason="no C compiler here, or no AVX2: PyTorch's operations are used"
)
BF16 = torch.bfloat16
# Largest relative error of a whole tensor.
TOLERANCE = {BF16: 2e-2, torch.float32: 5e-6}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def kept(key, rows=512, width=512):
    """Return which numbers the kernel keeps under a key, (rows, width) bool."""
    zeros, ones = torch.zeros(rows, width, dtype=BF16), torch.ones(rows, width, dtype=BF16)
    weight = torch.ones(width, dtype=BF16)
    return kernels.residual(zeros, ones, weight, torch.zeros_like(weight), 1e-12, key)[0] != 0


def kernel_mask(place, n, key):
    """Return the mask of elements place, place + 1, … under a key, (n,) float32."""
    total = -(-(place + n) // 64) * 64
    return kept(key, total // 64, 64).float().flatten()[place : place + n] / (1 - key.p)


def close(found, expected, dtype):
    error = (found.float() - expected.float()).norm()
    assert error < TOLERANCE[dtype] * expected.float().norm() + 1e-6


@DTYPES
def test_gelu_gradient_and_its_column_sums(dtype):
    x, gradient = torch.linspace(-8, 8, 64 * 48).view(64, 48).to(dtype), torch.randn(64, 48).to(dtype)
    expected = torch.ops.aten.gelu_backward(gradient.float(), x.float())
    found = gradient.clone()
    sums = kernels.gelu_backward_(found, x)
    rough = dtype == BF16
    torch.testing.assert_close(
        found.float(), expected, rtol=8e-3 if rough else 1e-5, atol=1e-5 if rough else 2e-6
    )
    torch.testing.assert_close(sums, expected.sum(0), rtol=1e-3, atol=1e-3 if rough else 1e-4)


@DTYPES
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_residual_and_its_gradient(p, dtype):
    torch.manual_seed(0)
    key = DropoutKey(12345, 67890, p)
    x, inner, upstream = (torch.randn(40, 64).to(dtype) for _ in range(3))
    weight, bias = torch.rand(64).to(dtype), torch.randn(64).to(dtype)
    mask = kept(key, 40, 64).float() / (1 - p)
    leaves = [t.float().requires_grad_() for t in (x, inner, weight, bias)]
    reference = F.layer_norm(leaves[0] + leaves[1] * mask, (64,), leaves[2], leaves[3], 1e-12)
    reference.backward(upstream.float())
    total, y, norm_stats = kernels.residual(x, inner, weight, bias, 1e-12, key)
    close(y, reference.detach(), dtype)
    for_x, for_inner, sums = kernels.residual_backward(upstream, total, norm_stats, weight, key)
    for found, leaf in zip((for_x, for_inner, sums[0], sums[1]), leaves, strict=True):
        close(found, leaf.grad, dtype)
    torch.testing.assert_close(
        sums[2], for_inner.float().sum(0), rtol=1e-2, atol=1e-2 if dtype == BF16 else 1e-4
    )


@DTYPES
@pytest.mark.parametrize("queries", [48, 1])
def test_softmax_and_its_gradient_over_each_texts_length(queries, dtype):
    torch.manual_seed(0)
    lengths, heads = torch.tensor([48, 5, 17, 33]), 3
    scores, upstream = (torch.randn(12, queries, 48).to(dtype) * 3 for _ in range(2))
    hidden = (torch.arange(48) >= lengths[:, None]).repeat_interleave(heads, 0)[:, None]
    leaf = scores.float().requires_grad_()
    reference = leaf.masked_fill(hidden, -torch.inf).softmax(-1)
    reference.backward(upstream.float())
    used = ~hidden[:, 0, :, None] if queries > 1 else torch.ones(12, 1, 1, dtype=torch.bool)
    share, gradient = scores.clone(), upstream.clone()
    kept_share = kernels.softmax_(share, lengths, NO_DROPOUT)
    assert torch.equal(share, kept_share)
    close(share, reference.detach() * used, dtype)
    kernels.softmax_backward_(gradient, share, lengths, NO_DROPOUT)
    close(gradient, leaf.grad * used, dtype)


@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("first_only", [False, True])
def test_attention_and_its_gradient_on_texts_that_lie_end_to_end(first_only, p):
    """Lengths on both sides of a vector, of a tile of rows and of a block of queries; two heads of 16 and of 32."""
    torch.manual_seed(0)
    lengths, key = [1, 7, 16, 49, 130], DropoutKey(3, 4, p)
    packed = PackedTexts.of(texts_of(lengths), 0)
    for size in (16, 32):
        rows = torch.randn(len(packed.ids), (2 if first_only else 3) * 2 * size).requires_grad_()
        asking = torch.randn(len(lengths), 2 * size).requires_grad_() if first_only else None
        context, saved = attend(kernels, asking, rows, packed, 2, key)
        upstream = torch.randn_like(context)
        queries = asking if first_only else rows[:, : 2 * size]
        k, v = rows[:, -4 * size : -2 * size], rows[:, -2 * size :]
        share, place, expected = saved[1], 0, []
        for text, (first, length) in enumerate(zip(packed.first.tolist(), lengths, strict=True)):
            q = queries[text : text + 1] if first_only else queries[first : first + length]
            parts = []
            for head in range(2):
                own, width = slice(head * size, (head + 1) * size), -(-length // 16) * 16
                found = share[place : place + len(q) * width].view(len(q), width)
                exact = (q[:, own] @ k[first : first + length, own].t()).softmax(-1)
                close(found[:, :length].detach(), exact.detach(), torch.float32)
                assert not found[:, length:].any()
                # The mask is a hash of the element's place in the softmax.
                mask = kernel_mask(place, len(q) * width, key).view(len(q), width)[:, :length]
                parts.append(exact * mask @ v[first : first + length, own])
                place += len(q) * width
            expected.append(torch.cat(parts, 1))
        assert place == len(share)
        exact = torch.cat(expected)
        close(context[: len(exact)].detach(), exact.detach(), torch.float32)
        assert not context[len(exact) :].any()
        exact.backward(upstream[: len(exact)])
        for_asking, for_rows = attend_backward(kernels, upstream, asking, saved, packed, 2, key)
        assert not for_rows[packed.n :].any()
        close(for_rows, rows.grad, torch.float32)
        if asking is not None:
            close(for_asking, asking.grad, torch.float32)


@DTYPES
def test_slots_and_rows_are_each_others_reverse(dtype):
    lengths = torch.tensor([3, 16, 1])
    starts = torch.tensor([0, 3, 19])
    rows = torch.randn(32, 2 * 4 * 8).to(dtype)
    rows[20:] = 0.0
    slots = kernels.to_slots(rows, starts, lengths, 2, 4, 16)
    assert slots.shape == (2, 12, 16, 8)
    assert slots.view(2, 3, 4, 16, 8)[:, 2, :, 1:].abs().sum() == 0
    assert torch.equal(slots[1].view(3, 4, 16, 8)[1, 2, 5], rows[3 + 5].view(2, 4, 8)[1, 2])
    assert torch.equal(kernels.to_rows(slots, starts, lengths, 4, 20, 32), rows)


@pytest.mark.parametrize("lengths", [[3], [2, 9, 16, 5], [1, 1, 30], [63]])
def test_the_fused_pass_is_as_close_to_float32_as_pytorchs_bfloat16(encoder, lengths, monkeypatch):
    model, packed = (
        without_dropout(build_classifier(encoder, 3, seed=1)),
        PackedTexts.of(texts_of(lengths), 0),
    )

    def run(dtype, found):
        monkeypatch.setattr(bert, "compiled_kernels", lambda: found)
        trained = copy.deepcopy(model).to(dtype)
        logits = bert_logits(trained, packed, MaskGenerator(0)).float()
        (logits * torch.arange(1.0, 1 + logits.numel()).view(logits.shape)).sum().backward()
        return logits.detach(), {name: p.grad.float() for name, p in trained.named_parameters()}

    exact, plain, fused = run(torch.float32, None), run(BF16, None), run(BF16, kernels)
    assert (fused[0] - exact[0]).norm() < 1.5 * (plain[0] - exact[0]).norm() + 0.01 * exact[0].norm()
    for name, gradient in exact[1].items():
        if name.endswith("key.bias"):
            continue  # softmax cancels it: rounding noise in both
        error, expected = (run_[1][name] - gradient for run_ in (fused, plain))
        assert error.norm() < 1.5 * expected.norm() + 0.02 * gradient.norm(), name


@pytest.mark.parametrize("lengths", [[3], [2, 9, 16, 5], [1, 1, 30], [63]])
def test_the_fused_pass_in_float32_is_pytorchs(encoder, lengths, monkeypatch):
    model, packed = (
        without_dropout(build_classifier(encoder, 3, seed=1)),
        PackedTexts.of(texts_of(lengths), 0),
    )

    def run(found):
        monkeypatch.setattr(bert, "compiled_kernels", lambda: found)
        trained = copy.deepcopy(model)
        logits = bert_logits(trained, packed, MaskGenerator(0))
        (logits * torch.arange(1.0, 1 + logits.numel()).view(logits.shape)).sum().backward()
        return logits.detach(), {name: p.grad for name, p in trained.named_parameters()}

    plain, fused = run(None), run(kernels)
    torch.testing.assert_close(fused[0], plain[0], rtol=1e-5, atol=1e-5)
    for name, gradient in plain[1].items():
        torch.testing.assert_close(
            fused[1][name], gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max().item() + 1e-5
        )


@DTYPES
def test_the_same_key_keeps_the_same_numbers_in_both_data_types(dtype):
    ones, weight = torch.ones(64, 48, dtype=dtype), torch.ones(48, dtype=dtype)
    total = kernels.residual(0 * ones, ones, weight, weight, 1e-12, DropoutKey(7, 8, 0.4))[0]
    assert torch.equal(total != 0, kept(DropoutKey(7, 8, 0.4), 64, 48))


@DTYPES
def test_frozen_layers_below_the_last(encoder, dtype):
    model = build_classifier(encoder, 3, seed=1).to(dtype)
    for parameter in (*model.bert.embeddings.parameters(), *model.bert.encoder.layer[0].parameters()):
        parameter.requires_grad_(False)
    bert_logits(model, PackedTexts.of(texts_of([5, 7]), 0), MaskGenerator(0)).sum().backward()
    assert all(p.grad is None for p in model.bert.encoder.layer[0].parameters())
    assert all(p.grad is not None for p in model.bert.encoder.layer[1].parameters())


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5])
def test_dropout_keeps_its_share_in_all_and_in_every_row_and_column(p):
    """Binomial bounds on the whole; chi-square over rows, columns and places in a vector (per text and position)."""
    found = kept(MaskGenerator(1).key(p))
    n = found.numel()
    assert abs(found.float().mean().item() - (1 - p)) < 4 * (p * (1 - p) / n) ** 0.5
    for counts, size in (
        (found.sum(0), 512),
        (found.sum(1), 512),
        (found.view(-1, 16).sum(0), n // 16),
    ):
        deviation = (counts.double() - size * (1 - p)).square().sum().item() / (size * p * (1 - p))
        assert stats.chi2.sf(deviation, len(counts)) > 1e-4
        assert stats.chi2.cdf(deviation, len(counts)) > 1e-4


def test_dropout_is_independent_between_neighbours_rows_and_masks():
    generator = MaskGenerator(2)
    masks = [kept(generator.key(0.1)) for _ in range(6)]
    first = masks[0]
    pairs = [(first, other) for other in masks[1:]]
    pairs += [(first[:, :-lag], first[:, lag:]) for lag in (1, 2, 8, 16)]
    pairs += [(first[:-lag], first[lag:]) for lag in (1, 2, 16)]
    for one, other in pairs:
        table = [[int((a & b).sum()) for b in (other, ~other)] for a in (one, ~one)]
        assert stats.chi2_contingency(np.array(table)).pvalue > 1e-4


def test_scale_keeps_the_mean_exact_and_same_seed_same_mask():
    one, same, other = (kept(MaskGenerator(s).key(0.1)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    zeros = torch.zeros(16, 16, dtype=BF16)
    total, *_ = kernels.residual(zeros, zeros + 1, zeros[0], zeros[0], 1e-12, DropoutKey(1, 2, 0.1))
    assert set(total.unique().tolist()) == {0.0, torch.tensor(1 / 0.9).to(BF16).item()}


def test_the_fused_pass_reproduces_with_its_seed(encoder):
    model, packed = build_classifier(encoder, 3, seed=1).to(BF16), PackedTexts.of(texts_of([4, 12]), 0)
    one, same, other = (bert_logits(model, packed, MaskGenerator(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_view_that_is_not_contiguous_is_refused():
    with pytest.raises(ValueError, match="contiguous"):
        kernels.gelu_backward_(torch.zeros(16, 32, dtype=BF16).t(), torch.zeros(32, 16, dtype=BF16))


def test_without_a_compiler_pytorch_does_it_and_a_warning_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", str(tmp_path / "absent"))
    with pytest.warns(UserWarning, match="no C compiler"):
        assert compiled_kernels.__wrapped__() is None
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.warns(UserWarning, match="it is broken"):
        assert compiled_kernels.__wrapped__() is None
    monkeypatch.delenv("CC")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="directory"):
        assert compiled_kernels.__wrapped__() is None
    monkeypatch.setenv("STUDY_KERNELS", "off")
    assert compiled_kernels.__wrapped__() is None


def test_compiled_once_and_found_again(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled_kernels.__wrapped__() is not None
    libraries = list((tmp_path / "imbalance-study" / "kernels").iterdir())
    assert len(libraries) == len(TOLERANCE)
    changed = [library.stat().st_mtime_ns for library in libraries]
    assert compiled_kernels.__wrapped__() is not None
    assert [library.stat().st_mtime_ns for library in libraries] == changed
