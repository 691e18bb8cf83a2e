"""Attention on texts that lie end to end, with the compiled kernels: forward and backward pass.

In float32 it is a kernel of its own, which computes nothing on padding. In bfloat16 every text is padded to the
longest, and PyTorch multiplies the matrices: processors that multiply bfloat16 do that several times as fast.
"""

from __future__ import annotations

import ctypes

import torch

from trainables.cpu.dropout import DropoutKey
from trainables.cpu.kernels import LANES, Kernels
from trainables.cpu.packing import PackedTexts

Tensor = torch.Tensor
Saved = tuple[Tensor, ...]


def attend(
    kernels: Kernels, asking: Tensor | None, rows: Tensor, packed: PackedTexts, heads: int, key: DropoutKey
) -> tuple[Tensor, Saved]:
    """Return dropout(softmax(q·kᵀ))·v of each text and head, and what :func:`attend_backward` reads.

    Parameters
    ----------
    kernels
        The compiled kernels.
    asking
        (b, h) queries of the first token of each text; None for those of every row.
    rows
        (t, 3·h) queries, keys and values of every row, or (t, 2·h) keys and values where ``asking`` is given.
    packed
        The texts.
    heads
        Attention heads.
    key
        Of the mask of dropout on the softmax.

    Returns
    -------
    (b, h) or (t, h), zero on rows that belong to no text; and the saved tensors.
    """
    width = rows.shape[1] // (3 if asking is None else 2)
    if not _fits_own_kernel(rows.dtype, width // heads):
        return _attend_padded(kernels, asking, rows, packed, heads, key)
    context = rows.new_zeros(len(rows), width) if asking is None else torch.empty_like(asking)
    queries = rows if asking is None else asking
    shares = packed.widths * packed.lengths if asking is None else packed.widths
    share = rows.new_empty(heads * int(shares.sum()))
    where = _where(queries, rows, packed, context, heads)
    kernels.call("attention", queries, *_keys_and_values(rows, asking), context, share, *where, key)
    return context, (rows, share)


def attend_backward(
    kernels: Kernels,
    gradient: Tensor,
    asking: Tensor | None,
    saved: Saved,
    packed: PackedTexts,
    heads: int,
    key: DropoutKey,
) -> tuple[Tensor | None, Tensor]:
    """Return the gradients of ``asking`` and of ``rows`` from that of what :func:`attend` returned for them."""
    if not _fits_own_kernel(gradient.dtype, gradient.shape[1] // heads):
        return _attend_padded_backward(kernels, gradient, asking, saved, packed, heads, key)
    rows, share = saved
    for_asking = None if asking is None else torch.empty_like(asking)
    for_rows = torch.empty_like(rows)
    for_rows[packed.n :] = 0.0
    queries = rows if asking is None else asking
    read = (queries, *_keys_and_values(rows, asking), share)
    written = (for_rows if for_asking is None else for_asking, *_keys_and_values(for_rows, asking))
    where = _where(queries, rows, packed, gradient, heads)
    kernels.call("attention_backward", gradient.contiguous(), *read, *written, *where, key)
    return for_asking, for_rows


def _fits_own_kernel(dtype: torch.dtype, head_size: int) -> bool:
    return dtype == torch.float32 and head_size % LANES == 0


def _keys_and_values(rows: Tensor, asking: Tensor | None) -> tuple[ctypes.c_void_p, ctypes.c_void_p]:
    """Return where the keys and the values of the first of contiguous rows begin."""
    parts = 3 if asking is None else 2
    size = rows.shape[1] // parts * rows.element_size()
    keys = rows.data_ptr() + (parts - 2) * size
    return ctypes.c_void_p(keys), ctypes.c_void_p(keys + size)


def _where(
    queries: Tensor, rows: Tensor, packed: PackedTexts, context: Tensor, heads: int
) -> tuple[Tensor | int, ...]:
    is_first_only = queries is not rows
    sizes = len(packed.first), heads, context.shape[1] // heads, packed.length, int(is_first_only)
    return (packed.first, packed.lengths, queries.shape[1], rows.shape[1], *sizes)


def _attend_padded(
    kernels: Kernels, asking: Tensor | None, rows: Tensor, packed: PackedTexts, heads: int, key: DropoutKey
) -> tuple[Tensor, Saved]:
    texts = packed.first, packed.lengths
    *q, k, v = kernels.to_slots(rows, *texts, 3 if asking is None else 2, heads, packed.length)
    query = q[0] if asking is None else asking.view(len(k), 1, -1)
    share = torch.bmm(query, k.transpose(1, 2))
    kept = kernels.softmax_(share, packed.lengths, key)
    slots = torch.bmm(kept, v)
    if asking is not None:
        return slots.view(asking.shape), (query, k, v, share, kept)
    context = kernels.to_rows(slots[None], *texts, heads, packed.n, len(rows))
    return context, (query, k, v, share, kept)


def _attend_padded_backward(
    kernels: Kernels,
    gradient: Tensor,
    asking: Tensor | None,
    saved: Saved,
    packed: PackedTexts,
    heads: int,
    key: DropoutKey,
) -> tuple[Tensor | None, Tensor]:
    query, k, v, share, kept = saved
    texts = packed.first, packed.lengths
    if asking is not None:
        for_slots = gradient.view(query.shape)
    else:
        (for_slots,) = kernels.to_slots(gradient, *texts, 1, heads, packed.length)
    for_scores = torch.bmm(for_slots, v.transpose(1, 2))
    kernels.softmax_backward_(for_scores, share, packed.lengths, key)
    for_parts = torch.empty(3 if asking is None else 2, *k.shape, dtype=k.dtype)
    torch.bmm(for_scores.transpose(1, 2), query, out=for_parts[-2])
    torch.bmm(kept.transpose(1, 2), for_slots, out=for_parts[-1])
    for_asking = None
    if asking is not None:
        for_asking = torch.bmm(for_scores, k).view(asking.shape)
    else:
        torch.bmm(for_scores, k, out=for_parts[0])
    return for_asking, kernels.to_rows(for_parts, *texts, heads, packed.n, len(packed.ids))
