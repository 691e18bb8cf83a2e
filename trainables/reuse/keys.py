"""Names of trained weights in the cache: a digest of everything that they depend on, and of nothing else.

Left out are the number of processor threads, which may change the last bits of a sum, and whether memory ran out: a
run that had to compute its batches in parts draws other dropout masks, and its weights stand under the same key.

Keys form a chain. The first stands for the fresh model; each stage's is made from the key before it, the stage's
rows, and the very arguments that it is trained with; its length comes last. So stage 1 is found again whatever stage 2
will be, vanilla whatever follows it, and a value that a stage does not read cannot part two equal results.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from trainables.cpu.kernels import compiled_kernels
from trainables.model.encoder import encoder_digest, resolve_device
from trainables.settings import EncoderSettings, digest_of
from trainables.texts.labelled import LabelledTexts
from trainables.world import World

TRAINING_VERSION = 6  # raised when the same arguments no longer give the same weights


def model_key(
    encoder: EncoderSettings, n_classes: int, head_seed: int, *, normalised: bool, dropout: float | None
) -> str:
    """Return the key of a classifier before any training."""
    return digest_of(
        {
            "version": [TRAINING_VERSION, torch.__version__],
            # They draw heads, compute other architectures' passes, and make batches and masks.
            "libraries": [importlib.metadata.version("transformers"), np.__version__],
            "encoder": [
                encoder_digest(encoder),
                encoder.layers,
                str(resolve_device(encoder)),
                encoder.compile,
            ],
            "kernels": "torch" if compiled_kernels() is None else "own",
            "n_classes": n_classes,
            "head_seed": head_seed,
            "normalised": normalised,
            "dropout": dropout,
        },
        length=32,
    )


def stage_key(
    before: str, rows: LabelledTexts, head_seed: int | None, how: Mapping[str, Any], world: World
) -> str:
    """Return the key of a model after a stage of whatever length.

    Parameters
    ----------
    before
        Key of the model before it.
    rows
        Rows of the stage.
    head_seed
        Seed of the head drawn before it, or None.
    how
        Other arguments of :func:`trainables.training.stage.train_stage` but the length; a function's name, or a value's
        ``repr``, says what it is.
    world
        Workers draw dropout masks of their own, so their number counts.
    """
    return digest_of(
        {
            "before": before,
            "rows": _rows_digest(rows),
            "head_seed": head_seed,
            "how": {name: getattr(value, "__name__", None) or repr(value) for name, value in how.items()},
            "workers": world.size,
        },
        length=32,
    )


def _rows_digest(rows: LabelledTexts) -> str:
    whole = hashlib.sha256()
    for array in (rows.tokens.ids, rows.tokens.offsets, rows.labels):
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()
