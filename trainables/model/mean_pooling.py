"""Mean-pooled hidden states: what a pretrained encoder that is not trained says about a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.cpu.bert import bert_hidden_states, has_fast_forward
from trainables.cpu.packing import PackedTexts
from trainables.model.forward import PADDED_MULTIPLE, evaluation_tokens, pad
from trainables.model.precision import compute_in
from trainables.model.token_budget import token_budget
from trainables.texts.batching import Rows, evaluation_batches
from trainables.texts.tokens import TokenisedTexts


@torch.inference_mode()
def mean_pooled(
    model: Any, tokens: TokenisedTexts, *, precision: torch.dtype = torch.float32
) -> npt.NDArray[np.float32]:
    """Return the mean over the tokens of each of n texts of a classifier's last hidden states, (n, H) float32.

    Special tokens count, as in sentence-transformers' mean pooling (Reimers & Gurevych 2019, section 3); padding does
    not. There is no dropout. The head is not used.

    Parameters
    ----------
    model
        A classifier of :func:`trainables.model.encoder.build_classifier`.
    tokens
        The texts, n >= 1.
    precision
        Data type to compute in.

    Raises
    ------
    TrialFailed
        Not even one text fits in memory.
    """
    widths = -(-tokens.lengths // PADDED_MULTIPLE) * PADDED_MULTIPLE
    budget = token_budget("prediction", model, precision)
    means: list[tuple[Rows, torch.Tensor]] = []
    model.eval()

    def compute(rows: Rows, is_first: bool) -> tuple[Rows, torch.Tensor]:
        return rows, _means(model, tokens.select(rows)).cpu()

    with compute_in(model, precision):
        for batch in evaluation_batches(widths, evaluation_tokens(next(model.parameters()).device)):
            means += budget.run(batch, widths, compute, lambda: None)
    found = np.empty((len(tokens), means[0][1].shape[1]), np.float32)
    for rows, values in means:
        found[rows] = values.numpy()
    return found


def _means(model: Any, texts: TokenisedTexts) -> torch.Tensor:
    """Return the means of a batch, (b, H) float32."""
    pad_id = model.config.pad_token_id
    if has_fast_forward(model):
        packed = PackedTexts.of(texts, pad_id)
        states = bert_hidden_states(model, packed)[: packed.n].float()
        text_of_row = torch.repeat_interleave(torch.arange(len(texts)), packed.lengths)
        sums = torch.zeros(len(texts), states.shape[1]).index_add_(0, text_of_row, states)
        return sums / packed.lengths[:, None]
    device = next(model.parameters()).device
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    ids, mask = (x.to(device) for x in pad(texts, pad_id, most=positions if positions > 0 else None))
    states = model.base_model(input_ids=ids, attention_mask=mask)[0].float()
    if states.shape[1] == ids.shape[1]:
        shares = mask / mask.sum(1, keepdim=True)
        return torch.einsum("bl,blh->bh", shares, states)
    # An encoder that shortens its sequence (Funnel) has no state for each token: without padding, all of them count.
    if len(texts) > 1:
        return torch.cat([_means(model, texts.select([row])) for row in range(len(texts))])
    alone = torch.from_numpy(texts.ids.astype(np.int64))[None].to(device)
    means: torch.Tensor = model.base_model(input_ids=alone)[0].float().mean(1)
    return means
