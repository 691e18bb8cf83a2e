"""Results of stages from the content-addressed cache: trials that differ in later stages alone share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load, save

from trainables.cache import ContentCache
from trainables.embedding import occurring_tokens
from trainables.stage import StageReport, train_stage, trained_parameters
from trainables.tokens import TokenisedTexts
from trainables.world import World

_CACHE_KIND = "stage1"


@dataclass(frozen=True)
class TrainingRows:
    """Rows of one stage: n texts and their (n,) int64 labels."""

    tokens: TokenisedTexts
    labels: npt.NDArray[np.int64]


def train_or_reuse(
    model: Any,
    rows: TrainingRows,
    world: World,
    cache: ContentCache | None,
    key: str | None,
    *,
    trainable: str,
    **how: Any,
) -> StageReport | None:
    """Train a stage, or take its weights from the cache: the same result, bit for bit.

    Parameters
    ----------
    model
        The classifier, trained in place.
    rows
        Rows of the stage.
    world
        The workers that share the run.
    cache, key
        Where the stage's weights are kept, and a digest of all that they depend on.
    trainable, how
        As in :func:`trainables.stage.train_stage`.

    Returns
    -------
    The stage's report, or None where its weights came from the cache.
    """
    stored = cache.get(_CACHE_KIND, key) if cache and key else None
    # Another trial may store it between two workers' look-ups: it is taken when every worker has found it.
    if world.all_agree(stored is not None) and stored is not None:
        _load_trained(model, stored)
        return None
    report = train_stage(model, rows.tokens, rows.labels, trainable=trainable, world=world, **how)
    if cache and key and world.rank == 0:
        cache.put(_CACHE_KIND, key, _trained_bytes(model, trainable, rows))
    return report


def _trained_bytes(model: Any, trainable: str, rows: TrainingRows) -> bytes:
    """Return what stage 1 may have changed; of the word embeddings, the rows of the tokens that it saw."""
    trained = trained_parameters(model, trainable)
    embedding = model.get_input_embeddings().weight
    tensors = {}
    for name, parameter in model.named_parameters():
        if parameter is embedding and parameter in trained:
            tensors["rows"] = torch.from_numpy(occurring_tokens(rows.tokens.ids, model.config.pad_token_id))
            tensors[name] = parameter.detach().cpu()[tensors["rows"]]
        elif parameter in trained:
            tensors[name] = parameter.detach().cpu()
    content: bytes = save(tensors)
    return content


def _load_trained(model: Any, stored: bytes) -> None:
    tensors = load(stored)
    embedding = model.get_input_embeddings().weight
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in tensors and parameter is embedding:
                parameter[tensors["rows"].to(parameter.device)] = tensors[name].to(parameter.device)
            elif name in tensors:
                parameter.copy_(tensors[name])
