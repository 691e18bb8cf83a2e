"""How near texts are in the pretrained encoder's own space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from trainables.model.encoder import build_classifier, load_tokenizer, resolve_precision
from trainables.model.forward import PADDED_MULTIPLE, evaluation_tokens, pad
from trainables.model.precision import compute_in
from trainables.settings import EncoderSettings
from trainables.texts.batching import evaluation_batches
from trainables.texts.tokens import tokenise


@torch.inference_mode()
def mean_pooled(texts: Sequence[str], encoder: EncoderSettings) -> npt.NDArray[np.float32]:
    """Return the (n, h) mean of each text's last hidden states, scaled to length 1.

    Special tokens count, as in sentence-transformers' mean pooling. What lies beyond the encoder's
    ``max_length`` is not seen: texts that differ there alone are the same.

    Parameters
    ----------
    texts
        n texts; equal ones are encoded once.
    encoder
        The pretrained encoder.
    """
    distinct = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(distinct)}
    tokens = tokenise(distinct, load_tokenizer(encoder), encoder.max_length)
    model = build_classifier(encoder, 2, seed=0)
    device = next(model.parameters()).device
    widths = -(-tokens.lengths // PADDED_MULTIPLE) * PADDED_MULTIPLE
    pooled = np.zeros((len(distinct), model.config.hidden_size), np.float32)
    with compute_in(model, resolve_precision(encoder)):
        for rows in evaluation_batches(widths, evaluation_tokens(device)):
            ids, mask = (part.to(device) for part in pad(tokens.select(rows), model.config.pad_token_id))
            hidden = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            summed = (hidden * mask[:, :, None]).sum(1)
            pooled[rows] = torch.nn.functional.normalize(summed, dim=1).cpu().numpy()
    return pooled[[place[text] for text in texts]]
