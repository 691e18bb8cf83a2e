"""The forward and backward pass of a BERT classifier on a CPU, on the model's own parameters.

Same function as transformers' ``BertForSequenceClassification``, and faster because

- texts lie end to end, so that nothing but attention computes on padding;
- the last layer computes only the first token of each text: the classifier reads no other;
- query, key and value are one matrix product;
- dropout masks come from a fast generator and join the residual sum in one operation;
- compiled kernels do what lies between the matrix products (:mod:`trainables.cpu.fused`), where there are any.

Other architectures, and GPUs, run through transformers.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from trainables.cpu.dropout import MaskGenerator
from trainables.cpu.fused import fused_layer, weight_gradient
from trainables.cpu.kernels import COMPILED_KERNELS, LANES, TORCH_KERNELS, Kernels, compiled_kernels
from trainables.cpu.packing import PackedTexts
from trainables.errors import TrialFailed

Tensor = torch.Tensor


def has_fast_forward(model: Any) -> bool:
    """Return whether :func:`bert_logits` computes the same function as the model's own forward pass."""
    return type(model).__name__ == "BertForSequenceClassification" and has_fast_layers(model)


def has_fast_layers(model: Any) -> bool:
    """Return whether :func:`bert_hidden_states` computes the same function as the model's own encoder."""
    return (
        type(model).__name__ in ("BertForSequenceClassification", "BertForMaskedLM")
        and next(model.parameters()).device.type == "cpu"
        and _has_plain_layers(model.config)
    )


def fits_kernels(config: Any) -> bool:
    """Return whether the compiled kernels take the layers of a model with this configuration of transformers."""
    return config.model_type == "bert" and _has_plain_layers(config) and _has_kernel_widths(config)


def _has_plain_layers(config: Any) -> bool:
    return (
        config.hidden_act == "gelu"
        and not config.is_decoder
        and not config.add_cross_attention
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
    )


def bert_logits(model: Any, packed: PackedTexts, masks: MaskGenerator | None) -> Tensor:
    """Return the (b, C) logits of b texts.

    Parameters
    ----------
    model
        A model that :func:`has_fast_forward` accepts.
    packed
        The texts.
    masks
        Source of dropout masks; None for no dropout.
    """
    x = _through_layers(model, packed, masks, first_only=True)
    pooled = torch.tanh(model.bert.pooler.dense(x))
    logits: Tensor = model.classifier(_dropped(pooled, model.dropout.p, masks))
    return logits


def bert_hidden_states(model: Any, packed: PackedTexts, masks: MaskGenerator | None = None) -> Tensor:
    """Return the last layer's output on every row, (t, h).

    Parameters
    ----------
    model
        A model that :func:`has_fast_layers` accepts.
    packed
        The texts.
    masks
        Source of dropout masks; None for no dropout.
    """
    return _through_layers(model, packed, masks, first_only=False)


def _through_layers(model: Any, packed: PackedTexts, masks: MaskGenerator | None, first_only: bool) -> Tensor:
    """Return the last layer's output: (t, h), or (b, h) for the first tokens alone."""
    bert = model.bert
    table = bert.embeddings
    x = table.word_embeddings(packed.ids) + (
        F.embedding(packed.positions, table.position_embeddings.weight)
        + table.token_type_embeddings.weight[0]
    )
    x = _dropped(_normalise(table.LayerNorm, x), table.dropout.p, masks)
    kernels = _kernels(model, x)
    *layers, last = bert.encoder.layer
    for layer in (*layers, last):
        is_first_only = first_only and layer is last
        if kernels is not None:
            x = fused_layer(kernels, layer, x, packed, is_first_only, masks)
        else:
            x = _layer(layer, x, packed, is_first_only, masks)
    return x


def _kernels(model: Any, x: Tensor) -> Kernels | None:
    """Return the compiled kernels where they take this model's layers and it may use them.

    Raises
    ------
    TrialFailed
        The model is to be computed with them alone, and this machine has none.
    """
    asked = getattr(model, "kernels", "auto")
    if asked == TORCH_KERNELS or not _has_kernel_widths(model.config):
        return None
    kernels = compiled_kernels()
    if kernels is None and asked == COMPILED_KERNELS:
        raise TrialFailed(
            f"{platform.node()} lacks the compiled kernels with which the study's other trials compute: they need an "
            "x86 processor with AVX2 and a C compiler (cc). Take the machine out of the cluster, or install a compiler "
            "there.",
            can_pass=True,
        )
    return kernels


def _has_kernel_widths(config: Any) -> bool:
    return all(width % LANES == 0 for width in (config.hidden_size, config.intermediate_size))


def _layer(
    layer: Any, x: Tensor, packed: PackedTexts, first_only: bool, masks: MaskGenerator | None
) -> Tensor:
    """Return one encoder layer's output on (t, h) rows: (t, h), or (b, h) for the first tokens alone."""
    own = layer.attention.self
    parts = (own.query, own.key, own.value)
    qkv = _JointLinear.apply(  # type: ignore[no-untyped-call]
        x, own.attention_head_size**-0.5, *(part.weight for part in parts), *(part.bias for part in parts)
    )
    mask = None
    if masks and own.dropout.p:
        queries = 1 if first_only else packed.length
        shape = (len(packed.first) * own.num_attention_heads, queries, packed.length)
        mask = masks.mask(shape, own.dropout.p, x.dtype)
    context = _Attention.apply(qkv, packed, own.num_attention_heads, first_only, mask)  # type: ignore[no-untyped-call]
    if first_only:
        x = x.index_select(0, packed.first)
    x = _residual(layer.attention.output, context, x, masks)
    inner = F.gelu(_linear(layer.intermediate.dense, x))
    return _residual(layer.output, inner, x, masks)


def _residual(output: Any, inner: Tensor, x: Tensor, masks: MaskGenerator | None) -> Tensor:
    inner = _linear(output.dense, inner)
    p = output.dropout.p
    if masks and p:
        return _normalise(output.LayerNorm, torch.addcmul(x, inner, masks.mask(inner.shape, p, x.dtype)))
    return _normalise(output.LayerNorm, x + inner)


def _dropped(x: Tensor, p: float, masks: MaskGenerator | None) -> Tensor:
    return x * masks.mask(x.shape, p, x.dtype) if masks and p else x


def _normalise(norm: Any, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _linear(linear: Any, x: Tensor) -> Tensor:
    y: Tensor = _Linear.apply(x, linear.weight, linear.bias)  # type: ignore[no-untyped-call]
    return y


class _Linear(Function):
    """x·Wᵀ + b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            gradient @ weight if for_x else None,
            weight_gradient(x, gradient) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )


class _JointLinear(Function):
    """Query, key and value of all heads, (t, 3·h), as one matrix product; the query is scaled by 1/√d."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, *parameters: Tensor) -> Tensor:
        query, key, value, query_bias, key_bias, value_bias = parameters
        joint = torch.cat([query * scale, key, value])
        ctx.save_for_backward(x, joint)
        ctx.scale = scale
        return F.linear(x, joint, torch.cat([query_bias * scale, key_bias, value_bias]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, joint = ctx.saved_tensors
        for_parameters: tuple[Tensor | None, ...] = (None,) * 6
        if any(ctx.needs_input_grad[2:]):
            weights = weight_gradient(x, gradient).chunk(3)
            biases = gradient.sum(0).chunk(3)
            weights[0].mul_(ctx.scale)
            biases[0].mul_(ctx.scale)
            for_parameters = (*weights, *biases)
        return (gradient @ joint if ctx.needs_input_grad[0] else None, None, *for_parameters)


class _Attention(Function):
    """softmax(q·kᵀ + bias)·v per text and head, with dropout on the softmax; rows in, rows out."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, packed: PackedTexts, heads: int, first_only: bool, mask: Tensor | None
    ) -> Tensor:
        batch, length = len(packed.first), packed.length
        slots = qkv.index_select(0, packed.row_of_slot).view(batch, length, 3, heads, -1)
        q, k, v = slots.permute(2, 0, 3, 1, 4).reshape(3, batch * heads, length, -1)
        if first_only:
            q = q[:, :1].contiguous()
        scores = torch.bmm(q, k.transpose(1, 2))
        scores.view(batch, heads, -1, length).add_(packed.bias.to(scores.dtype))
        share = torch.softmax(scores, -1)
        kept = share if mask is None else share * mask
        ctx.save_for_backward(q, k, v, share, kept, mask)
        ctx.packed, ctx.heads, ctx.first_only = packed, heads, first_only
        context = torch.bmm(kept, v).view(batch, heads, q.shape[1], -1).transpose(1, 2)
        context = context.reshape(batch * q.shape[1], -1)
        return context if first_only else context.index_select(0, packed.slot_of_row)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, share, kept, mask = ctx.saved_tensors
        packed, heads = ctx.packed, ctx.heads
        batch = len(packed.first)
        if not ctx.first_only:
            gradient = gradient.index_select(0, packed.row_of_slot)
        gradient = gradient.view(batch, q.shape[1], heads, -1).transpose(1, 2).reshape(q.shape)
        for_share = torch.bmm(gradient, v.transpose(1, 2))
        if mask is not None:
            for_share.mul_(mask)
        for_scores = torch.ops.aten._softmax_backward_data(for_share, share, -1, share.dtype)
        joint = torch.empty(3, *k.shape, dtype=k.dtype)
        if ctx.first_only:
            joint[0].zero_()[:, :1] = torch.bmm(for_scores, k)
        else:
            torch.bmm(for_scores, k, out=joint[0])
        torch.bmm(for_scores.transpose(1, 2), q, out=joint[1])
        torch.bmm(kept.transpose(1, 2), gradient, out=joint[2])
        slots = joint.view(3, batch, heads, packed.length, -1).permute(1, 3, 0, 2, 4)
        for_qkv = slots.reshape(batch * packed.length, -1).index_select(0, packed.slot_of_row)
        for_qkv[packed.n :] = 0.0
        return for_qkv, None, None, None, None
