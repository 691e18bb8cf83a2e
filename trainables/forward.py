"""From token ids to logits: padding, the forward pass of whatever model it is, and prediction."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.batching import Rows, evaluation_batches
from trainables.bert import bert_logits, has_fast_forward
from trainables.dropout import FastDropout, MaskGenerator
from trainables.precision import compute_in
from trainables.tokens import TokenisedTexts
from trainables.world import World

EVALUATION_TOKENS = {"cpu": 2048, "cuda": 32768}


def padded_multiple(device: torch.device) -> int:
    """Return what padded lengths are rounded up to.

    Kernels are compiled per shape, which on a CPU takes as long as running them, and GPUs like multiples of 8.
    """
    return 8


def pad(
    tokens: TokenisedTexts, rows: Rows, pad_id: int, multiple: int = 1
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return a padded batch.

    Returns
    -------
    ids
        (b, l) int64; l is the longest length, rounded up to a multiple of ``multiple``.
    attention_mask
        (b, l) int64, 1 on tokens and 0 on padding; None where nothing is padded, which spares the model
        its mask arithmetic.
    """
    part = tokens.select(rows)
    lengths = part.lengths
    width = -(-int(lengths.max()) // multiple) * multiple
    mask = np.arange(width) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, np.int64)
    ids[mask] = part.ids
    attention_mask = None if mask.all() else torch.from_numpy(mask.astype(np.int64))
    return torch.from_numpy(ids), attention_mask


def compute_logits(
    model: Any, ids: torch.Tensor, mask: torch.Tensor | None, masks: MaskGenerator | None = None
) -> torch.Tensor:
    """Return the (b, C) float32 logits of a padded batch, on the model's device.

    Parameters
    ----------
    masks
        Source of dropout masks on a CPU; None where there is no dropout, and on a GPU, which draws its own.
    """
    if has_fast_forward(model):
        return bert_logits(model, ids, mask, masks).float()
    device = next(model.parameters()).device
    mask = None if mask is None else mask.to(device)
    with FastDropout(masks) if masks is not None else nullcontext():
        logits: torch.Tensor = model(input_ids=ids.to(device), attention_mask=mask).logits
    return logits.float()


@torch.inference_mode()
def predict(
    model: Any,
    tokens: TokenisedTexts,
    *,
    precision: torch.dtype = torch.float32,
    world: World | None = None,
    max_tokens: int | None = None,
) -> npt.NDArray[np.float32]:
    """Return the (n, C) float32 logits of n texts, in their order, on every worker.

    Parameters
    ----------
    max_tokens
        Padded tokens in a batch; by default what suits the device.
    """
    world = world or World.single()
    device = next(model.parameters()).device
    logits = torch.zeros(len(tokens), model.config.num_labels, device=device)
    batches = evaluation_batches(tokens.lengths, max_tokens or EVALUATION_TOKENS.get(device.type, 8192))
    model.eval()
    with compute_in(model, precision):
        for rows in batches[world.rank :: world.size]:
            ids, mask = pad(tokens, rows, model.config.pad_token_id, padded_multiple(device))
            logits[torch.from_numpy(rows).to(device)] = compute_logits(model, ids, mask)
    world.all_reduce_sum(logits)
    return logits.cpu().numpy()
