"""One encoder layer of BERT on the compiled kernels: two autograd functions, written out by hand.

In bfloat16 the weights of normalisations are float32 all the same. Between matrix products every tensor is read and
written once, and nothing is kept for the backward pass that it does not read.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from trainables.cpu.attention import attend, attend_backward
from trainables.cpu.dropout import NO_DROPOUT, DropoutKey, MaskGenerator
from trainables.cpu.kernels import Kernels
from trainables.cpu.packing import PackedTexts

Tensor = torch.Tensor
Gradients = tuple[Tensor | None, ...]


def fused_layer(
    kernels: Kernels,
    layer: Any,
    x: Tensor,
    packed: PackedTexts,
    first_only: bool,
    masks: MaskGenerator | None,
) -> Tensor:
    """Return one layer's output on (t, h) rows: (t, h), or (b, h) for the first tokens alone."""
    own, out = layer.attention.self, layer.attention.output
    linear = (own.query, own.key, own.value, out.dense)
    keys = _key(masks, own.dropout.p), _key(masks, out.dropout.p)
    setting = (kernels, packed, own.num_attention_heads, first_only, keys, out.LayerNorm.eps)
    x = _AttentionBlock.apply(  # type: ignore[no-untyped-call]
        x, setting, *(m.weight for m in (*linear, out.LayerNorm)), *(m.bias for m in (*linear, out.LayerNorm))
    )
    modules = (layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm)
    forward = (kernels, _key(masks, layer.output.dropout.p), layer.output.LayerNorm.eps)
    y: Tensor = _FeedForward.apply(x, forward, *(m.weight for m in modules), *(m.bias for m in modules))  # type: ignore[no-untyped-call]
    return y


def _key(masks: MaskGenerator | None, p: float) -> DropoutKey:
    return masks.key(p) if masks is not None and p else NO_DROPOUT


def weight_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Return gradientᵀ·x, (n, k), from x (t, k) and gradient (t, n)."""
    # The matrix product transposes a wide operand by itself; a narrow one is cheaper to transpose beforehand.
    narrow = gradient.shape[1] < x.shape[1]
    return (gradient.t().contiguous() if narrow else gradient.t()) @ x


class _FeedForward(Function):
    """norm(x + dropout(gelu(x·W₁ᵀ + b₁)·W₂ᵀ + b₂))."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, setting: tuple[Kernels, DropoutKey, float], *parameters: Tensor
    ) -> Tensor:
        kernels, key, eps = setting
        up, down, norm, up_bias, down_bias, norm_bias = parameters
        hidden = F.linear(x, up, up_bias)
        active = F.gelu(hidden)
        total, y, stats = kernels.residual(x, F.linear(active, down, down_bias), norm, norm_bias, eps, key)
        ctx.save_for_backward(x, hidden, active, total, stats, up, down, norm)
        ctx.setting = setting
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, hidden, active, total, stats, up, down, norm = ctx.saved_tensors
        kernels, key, _ = ctx.setting
        for_x, for_inner, sums = kernels.residual_backward(gradient.contiguous(), total, stats, norm, key)
        for_hidden = for_inner @ down
        hidden_sums = kernels.gelu_backward_(for_hidden, hidden)
        for_parameters: Gradients = (None,) * 6
        if any(ctx.needs_input_grad[2:]):
            weights = weight_gradient(x, for_hidden), weight_gradient(active, for_inner)
            for_norm, for_norm_bias, for_down_bias = sums
            biases = hidden_sums.to(x.dtype), for_down_bias.to(x.dtype)
            for_parameters = (*weights, for_norm, *biases, for_norm_bias)
        return (for_x.addmm_(for_hidden, up) if ctx.needs_input_grad[0] else None, None, *for_parameters)


class _AttentionBlock(Function):
    """norm(x + dropout(attention(x)·Wᵀ + b)); for the first token of each text alone if so asked."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        setting: tuple[Kernels, PackedTexts, int, bool, tuple[DropoutKey, DropoutKey], float],
        *parameters: Tensor,
    ) -> Tensor:
        kernels, packed, heads, first_only, (share_key, key), eps = setting
        query, key_weight, value, out, norm, query_bias, key_bias, value_bias, out_bias, norm_bias = (
            parameters
        )
        scale = (query.shape[0] // heads) ** -0.5
        asking = x.index_select(0, packed.first) if first_only else x
        if first_only:
            joint = torch.cat([key_weight, value])
            rows = F.linear(x, joint, torch.cat([key_bias, value_bias]))
            query = query * scale
            queries = F.linear(asking, query, query_bias * scale)
        else:
            joint = torch.cat([query * scale, key_weight, value])
            rows = F.linear(x, joint, torch.cat([query_bias * scale, key_bias, value_bias]))
            queries = None
        context, saved = attend(kernels, queries, rows, packed, heads, share_key)
        total, y, stats = kernels.residual(
            asking, F.linear(context, out, out_bias), norm, norm_bias, eps, key
        )
        ctx.save_for_backward(x, asking, query, joint, queries, context, total, stats, out, norm, *saved)
        ctx.setting, ctx.scale = setting, scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        x, asking, query, joint, queries, context, total, stats, out, norm, *saved = ctx.saved_tensors
        kernels, packed, heads, first_only, (share_key, key), _ = ctx.setting
        for_asking, for_inner, sums = kernels.residual_backward(
            gradient.contiguous(), total, stats, norm, key
        )
        for_query_rows, for_rows = attend_backward(
            kernels, for_inner @ out, queries, tuple(saved), packed, heads, share_key
        )

        for_x = None
        if ctx.needs_input_grad[0]:
            if for_query_rows is not None:
                for_x = for_rows @ joint
                for_x.index_add_(0, packed.first, for_asking.addmm_(for_query_rows, query))
            else:
                for_x = for_asking.addmm_(for_rows, joint)
        for_parameters: Gradients = (None,) * 10
        if any(ctx.needs_input_grad[2:]):
            weights, biases = [weight_gradient(x, for_rows)], [for_rows.sum(0)]
            if for_query_rows is not None:
                weights.insert(0, weight_gradient(asking, for_query_rows))
                biases.insert(0, for_query_rows.sum(0))
            query_weight, key_weight, value = (
                torch.cat(weights).chunk(3) if first_only else weights[0].chunk(3)
            )
            query_bias, key_bias, value_bias = torch.cat(biases).chunk(3)
            for_norm, for_norm_bias, for_out_bias = sums
            for_weights = (
                query_weight.mul_(ctx.scale),
                key_weight,
                value,
                weight_gradient(context, for_inner),
                for_norm,
            )
            for_biases = (
                query_bias.mul_(ctx.scale),
                key_bias,
                value_bias,
                for_out_bias.to(x.dtype),
                for_norm_bias,
            )
            for_parameters = (*for_weights, *for_biases)
        return (for_x, None, *for_parameters)
