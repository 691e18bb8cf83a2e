"""The forward pass of a BERT classifier for training on a CPU: the model's own parameters, fewer and larger operations.

Same function as transformers' ``BertForSequenceClassification``, and faster because

- query, key and value are one matrix product;
- weight gradients transpose a narrow operand first, which the matrix kernels like better;
- attention saves what its backward pass needs and nothing else, and skips the mask where nothing is padded;
- dropout masks come from a fast generator and join the residual sum in one operation.

Other architectures run through transformers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from trainables.dropout import MaskGenerator

Tensor = torch.Tensor


def has_fast_forward(model: Any) -> bool:
    """Return whether :func:`bert_logits` computes the same function as the model's own forward pass."""
    config = model.config
    return (
        type(model).__name__ == "BertForSequenceClassification"
        and next(model.parameters()).device.type == "cpu"
        and config.hidden_act == "gelu"
        and not config.is_decoder
        and not config.add_cross_attention
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
    )


def bert_logits(
    model: Any, ids: Tensor, attention_mask: Tensor | None, masks: MaskGenerator | None
) -> Tensor:
    """Return the (b, C) logits of a padded batch.

    Parameters
    ----------
    model
        A model that :func:`has_fast_forward` accepts.
    ids
        (b, l) int64 token ids.
    attention_mask
        (b, l) 1 on tokens, 0 on padding; None where nothing is padded.
    masks
        Source of dropout masks; None for no dropout.
    """
    bert = model.bert
    batch, length = ids.shape
    table = bert.embeddings
    x = table.word_embeddings(ids) + (
        table.position_embeddings.weight[:length] + table.token_type_embeddings.weight[0]
    )
    x = _normalise(table.LayerNorm, x.view(batch * length, -1))
    x = _dropped(x, table.dropout.p, masks)
    bias = None
    if attention_mask is not None:
        bias = torch.zeros(batch, 1, 1, length, dtype=x.dtype)
        bias.masked_fill_(attention_mask.view(batch, 1, 1, length) == 0, torch.finfo(x.dtype).min)
    for layer in bert.encoder.layer:
        x = _layer(layer, x, batch, length, bias, masks)
    pooled = torch.tanh(bert.pooler.dense(x.view(batch, length, -1)[:, 0]))
    logits: Tensor = model.classifier(_dropped(pooled, model.dropout.p, masks))
    return logits


def _layer(
    layer: Any,
    x: Tensor,
    batch: int,
    length: int,
    bias: Tensor | None,
    masks: MaskGenerator | None,
) -> Tensor:
    """Return the (b·l, h) output of one encoder layer."""
    own = layer.attention.self
    heads = own.num_attention_heads
    scale = own.attention_head_size**-0.5
    parts = (own.query, own.key, own.value)
    qkv = _JointLinear.apply(x, scale, *(part.weight for part in parts), *(part.bias for part in parts))  # type: ignore[no-untyped-call]
    dropout = own.dropout.p
    mask = masks.mask((batch * heads, length, length), dropout, x.dtype) if masks and dropout else None
    context = _Attention.apply(qkv, batch, length, heads, bias, mask)  # type: ignore[no-untyped-call]
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


def _weight_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """Return gradientᵀ·x, (n, k), from x (t, k) and gradient (t, n)."""
    # The kernel turns a wide operand itself; a narrow one is cheaper to turn first.
    narrow = gradient.shape[1] < x.shape[1]
    return (gradient.t().contiguous() if narrow else gradient.t()) @ x


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
            _weight_gradient(x, gradient) if for_weight else None,
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
            weights = _weight_gradient(x, gradient).chunk(3)
            biases = gradient.sum(0).chunk(3)
            weights[0].mul_(ctx.scale)
            biases[0].mul_(ctx.scale)
            for_parameters = (*weights, *biases)
        return (gradient @ joint if ctx.needs_input_grad[0] else None, None, *for_parameters)


class _Attention(Function):
    """softmax(q·kᵀ + bias)·v per text and head, with dropout on the softmax."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, batch: int, length: int, heads: int, bias: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        # (b·l, 3·h) to 3 × (b·heads, l, d)
        q, k, v = (
            qkv.view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4).reshape(3, batch * heads, length, -1)
        )
        scores = torch.bmm(q, k.transpose(1, 2))
        if bias is not None:
            scores.view(batch, heads, length, length).add_(bias)
        share = torch.softmax(scores, -1)
        kept = share if mask is None else share * mask
        ctx.save_for_backward(q, k, v, share, kept, mask)
        ctx.shape = batch, length, heads
        return torch.bmm(kept, v).view(batch, heads, length, -1).transpose(1, 2).reshape(batch * length, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, share, kept, mask = ctx.saved_tensors
        batch, length, heads = ctx.shape
        gradient = gradient.view(batch, length, heads, -1).transpose(1, 2).reshape(batch * heads, length, -1)
        for_share = torch.bmm(gradient, v.transpose(1, 2))
        if mask is not None:
            for_share.mul_(mask)
        for_scores = torch.ops.aten._softmax_backward_data(for_share, share, -1, share.dtype)
        joint = torch.empty(3, *q.shape, dtype=q.dtype)
        torch.bmm(for_scores, k, out=joint[0])
        torch.bmm(for_scores.transpose(1, 2), q, out=joint[1])
        torch.bmm(kept.transpose(1, 2), gradient, out=joint[2])
        for_qkv = joint.view(3, batch, heads, length, -1).permute(1, 3, 0, 2, 4).reshape(batch * length, -1)
        return for_qkv, None, None, None, None, None
