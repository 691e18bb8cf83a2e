"""From token ids to logits: padding, the forward pass of any model, and prediction."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.cpu.bert import bert_logits, has_fast_forward
from trainables.cpu.dropout import FastDropout, MaskGenerator
from trainables.cpu.packing import PackedTexts
from trainables.model.precision import compute_in
from trainables.model.token_budget import token_budget
from trainables.texts.batching import Rows, evaluation_batches
from trainables.texts.tokens import TokenisedTexts
from trainables.world import World

# Padded lengths are rounded up to this: CPU kernels are compiled per shape, which takes several times as long as
# running them, and a GPU multiplies fastest in multiples of 8.
PADDED_MULTIPLE = 8
# Tokens of a batch without gradients: what fits a processor's caches, and what fills a GPU. Other devices were not
# measured; their number lies in between.
EVALUATION_TOKENS = {"cpu": 2048, "cuda": 32768}
_UNMEASURED_TOKENS = 8192


def evaluation_tokens(device: torch.device) -> int:
    """Return how many tokens a batch without gradients has on a device."""
    return EVALUATION_TOKENS.get(device.type, _UNMEASURED_TOKENS)


def pad(
    texts: TokenisedTexts,
    pad_id: int,
    multiple: int = PADDED_MULTIPLE,
    *,
    most: int | None = None,
    before: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return texts as a padded batch.

    Parameters
    ----------
    most
        Positions of the model, which padding must not exceed; None where it has no limit.
    before
        Whether padding comes before the tokens; else it comes after them.

    Returns
    -------
    ids
        (b, l) int64; l is the longest length, rounded up to a multiple of ``multiple`` as far as positions reach.
    attention_mask
        (b, l) int64, 1 on tokens and 0 on padding.
    """
    lengths = texts.lengths
    longest = int(lengths.max())
    width = -(-longest // multiple) * multiple
    if most is not None:
        width = max(longest, min(width, most))
    places = np.arange(width)
    mask = (places >= width - lengths[:, None]) if before else (places < lengths[:, None])
    ids = np.full(mask.shape, pad_id, np.int64)
    ids[mask] = texts.ids
    return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))


def compute_logits(
    model: Any, texts: TokenisedTexts, masks: MaskGenerator | None = None
) -> tuple[torch.Tensor, int]:
    """Return the (b, C) float32 logits of texts on the model's device, and the tokens computed with padding.

    Parameters
    ----------
    masks
        Source of dropout masks on a CPU; None where there is no dropout, and on a GPU, which draws its own.
    """
    pad_id = model.config.pad_token_id
    if has_fast_forward(model):
        packed = PackedTexts.of(texts, pad_id)
        return bert_logits(model, packed, masks).float(), len(packed.ids)
    device = next(model.parameters()).device
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    ids, attention_mask = pad(
        texts, pad_id, most=positions if positions > 0 else None, before=_reads_last_position(model)
    )
    # Attention without a mask takes the fastest kernel. The mask is checked on the CPU, so that no GPU is waited for.
    mask = None if bool(attention_mask.all()) else _on(device, attention_mask)
    with FastDropout(masks) if masks is not None else nullcontext():
        output = model(input_ids=_on(device, ids), attention_mask=mask)
    return output.logits.float(), ids.numel()


def _reads_last_position(model: Any) -> bool:
    """Return whether a classifier's head reads the last position of a batch, where padding must not be (XLNet)."""
    return hasattr(model, "sequence_summary") and getattr(model.config, "summary_type", None) == "last"


def _on(device: torch.device, tensor: torch.Tensor) -> torch.Tensor:
    """Copy to a device; to a GPU from locked memory, so that the copy waits for nothing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


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
        Padded tokens in a batch; by default what suits the device, and less where memory ran out.

    Raises
    ------
    TrialFailed
        Not even one text fits in memory.
    """
    world = world or World.single()
    device = next(model.parameters()).device
    logits = torch.zeros(len(tokens), model.config.num_labels, device=device)
    widths = -(-tokens.lengths // PADDED_MULTIPLE) * PADDED_MULTIPLE
    batches = evaluation_batches(widths, max_tokens or evaluation_tokens(device))
    model.eval()
    budget = token_budget("prediction", model, precision)

    def score(rows: Rows, is_first: bool) -> None:
        logits[torch.from_numpy(rows).to(device)], _ = compute_logits(model, tokens.select(rows))

    with compute_in(model, precision):
        for rows in batches[world.rank :: world.size]:
            budget.run(rows, widths, score, lambda: None)
    world.all_reduce_sum(logits)
    return logits.cpu().numpy()
