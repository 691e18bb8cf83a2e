"""From token ids to logits: padding, the forward pass of any model, and prediction."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.cpu.bert import bert_hidden_states, bert_logits, has_fast_forward, has_fast_layers
from trainables.cpu.dropout import FastDropout, MaskGenerator
from trainables.cpu.packing import PackedTexts
from trainables.model.masked_lm import head_logits
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
    if has_fast_forward(model):
        packed = PackedTexts.of(texts, model.config.pad_token_id)
        return bert_logits(model, packed, masks).float(), len(packed.ids)
    device = next(model.parameters()).device
    ids, attention_mask = _padded(model, texts, before=_reads_last_position(model))
    with FastDropout(masks) if masks is not None else nullcontext():
        output = model(
            input_ids=on_device(device, ids), attention_mask=_mask_on(model, device, attention_mask)
        )
    return output.logits.float(), ids.numel()


def compute_token_logits(
    model: Any, texts: TokenisedTexts, places: npt.NDArray[np.int64], masks: MaskGenerator | None = None
) -> tuple[torch.Tensor, int]:
    """Return a masked language model's (m, V) float32 logits of some tokens, and the tokens computed with padding.

    The head, which costs as much as several encoder layers, computes on these tokens alone.

    Parameters
    ----------
    model
        A model of :func:`trainables.model.masked_lm.build_masked_lm`.
    texts
        What it sees.
    places
        (m,) positions in ``texts.ids`` of the tokens.
    masks
        As in :func:`compute_logits`.
    """
    device = next(model.parameters()).device
    with FastDropout(masks) if masks is not None else nullcontext():
        if has_fast_layers(model):
            packed = PackedTexts.of(texts, model.config.pad_token_id)
            hidden, computed, rows = bert_hidden_states(model, packed, masks), len(packed.ids), places
        else:
            ids, attention_mask = _padded(model, texts)
            output = model.base_model(
                input_ids=on_device(device, ids), attention_mask=_mask_on(model, device, attention_mask)
            )
            hidden, computed = output[0].flatten(0, 1), ids.numel()
            rows = np.flatnonzero(attention_mask.numpy())[places]
        logits = head_logits(model, hidden[on_device(device, torch.from_numpy(rows))])
    return logits.float(), computed


def _padded(model: Any, texts: TokenisedTexts, *, before: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    return pad(texts, model.config.pad_token_id, most=positions if positions > 0 else None, before=before)


def _mask_on(model: Any, device: torch.device, attention_mask: torch.Tensor) -> torch.Tensor | None:
    """Copy a mask to a device, unless it masks nothing: attention without a mask takes the fastest kernel.

    It is checked on the CPU, so that no GPU is waited for. Transformers would check a (b, l) mask once more, on the
    GPU, in every step; a whole one, (b, 1, l, l), it takes as it is. That BERT uses it for nothing else is known.
    """
    if bool(attention_mask.all()):
        return None
    if device.type == "cuda" and model.config.model_type == "bert":
        attended = on_device(device, attention_mask.bool()[:, None, None, :])
        return attended.expand(-1, -1, attention_mask.shape[1], -1)
    return on_device(device, attention_mask)


def _reads_last_position(model: Any) -> bool:
    """Return whether a classifier's head reads the last position of a batch, where padding must not be (XLNet)."""
    return hasattr(model, "sequence_summary") and getattr(model.config, "summary_type", None) == "last"


def on_device(device: torch.device, tensor: torch.Tensor) -> torch.Tensor:
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
