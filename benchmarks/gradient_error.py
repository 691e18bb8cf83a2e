"""How far low-precision gradients lie from float32's, for ours and for bfloat16 autocast, which Trainer has."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.training_rows import Rows
from trainables.cpu.dropout import set_dropout
from trainables.model.encoder import build_classifier, resolve_precision
from trainables.model.forward import compute_logits, pad
from trainables.model.precision import compute_in
from trainables.settings import EncoderSettings
from trainables.texts.batching import Rows as RowNumbers

_BATCHES, _BATCH_SIZE = 4, 16


def gradient_error(encoder: EncoderSettings, rows: Rows) -> dict[str, float]:
    """Return the relative error of each program's gradient, |gradient - float32's| / |float32's|; mean over batches.

    The model is the pretrained one with a fresh head and without dropout, so that only rounding differs.
    """
    model = build_classifier(encoder, len(rows.classes), seed=0)
    set_dropout(model, 0.0)
    rng = np.random.default_rng(0)
    size = min(_BATCH_SIZE, len(rows.labels))
    found: dict[str, list[float]] = {"ours": [], "bfloat16_autocast": []}
    for _ in range(_BATCHES):
        batch = rng.choice(len(rows.labels), size, replace=False)
        exact = _transformers(model, rows, batch, torch.float32)
        for name, gradient in (
            ("ours", _ours(model, rows, batch, resolve_precision(encoder))),
            ("bfloat16_autocast", _transformers(model, rows, batch, torch.bfloat16)),
        ):
            found[name].append(float((gradient - exact).norm() / exact.norm()))
    return {name: float(np.mean(errors)) for name, errors in found.items()}


def _ours(model: Any, rows: Rows, batch: RowNumbers, precision: torch.dtype) -> torch.Tensor:
    trained = copy.deepcopy(model)
    with compute_in(trained, precision):
        logits, _ = compute_logits(trained, rows.tokens.select(batch))
        return _gradient(trained, logits, rows, batch)


def _transformers(model: Any, rows: Rows, batch: RowNumbers, precision: torch.dtype) -> torch.Tensor:
    trained = copy.deepcopy(model)
    ids, mask = pad(rows.tokens.select(batch), model.config.pad_token_id)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        logits = trained(input_ids=ids, attention_mask=mask).logits
    return _gradient(trained, logits.float(), rows, batch)


def _gradient(model: Any, logits: torch.Tensor, rows: Rows, batch: RowNumbers) -> torch.Tensor:
    """Return the gradient of a batch's mean loss with respect to all parameters, flat and in float32."""
    F.cross_entropy(logits, torch.from_numpy(rows.labels[batch])).backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.float().flatten() for p in model.parameters() if p.grad is not None])
