"""The share of a model's arithmetic that our own forward and backward pass computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.cpu.bert import has_fast_forward
from trainables.model.encoder import encoder_layers
from trainables.model.flops import model_flops


def executed_share(model: Any, lengths: npt.NDArray[np.int64]) -> float:
    """Return the arithmetic that our CPU pass of a BERT computes, over the arithmetic of the model as defined.

    In the last layer our pass computes keys and values for all tokens, but everything else only for the first one.
    Attention on padding is not counted.
    """
    if not has_fast_forward(model):
        return 1.0
    asked = model_flops(model, backward=True)
    layers, width = len(encoder_layers(model)), model.config.hidden_size
    tokens, texts = float(lengths.sum()), len(lengths)
    layer = asked.per_token / layers
    keys_and_values = 3 * 2 * 2.0 * width**2
    skipped = (layer - keys_and_values) * (tokens - texts)
    skipped += asked.per_square / layers * float((np.square(lengths.astype(np.float64)) - lengths).sum())
    return float(1.0 - skipped / asked.of(lengths))
