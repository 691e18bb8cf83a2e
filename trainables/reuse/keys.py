"""Names of trained weights in the cache: a digest of everything that they depend on, and of nothing else.

Two things are left out: the number of processor threads, which may change the last bits of a sum, and whether memory
ran out: a run that had to compute its batches in parts draws other dropout masks, yet its weights get the same key.

Keys form a chain. The first stands for the fresh model; each stage's is made from the key before it, the stage's
texts, and exactly the settings that it is trained with; its length comes last. So stage 1 is found again whatever
stage 2 is, vanilla whatever follows it, and two stages that differ only in a value that neither reads share a key.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import fields

import numpy as np
import torch

from trainables.model.encoder import encoder_digest, resolve_device, uses_compiled_kernels
from trainables.settings import EncoderSettings, digest_of
from trainables.texts.labelled import LabelledTexts
from trainables.training.stage_settings import Stage, StageSettings
from trainables.world import World

TRAINING_VERSION = 8  # raised when the same arguments no longer give the same weights


def model_key(
    encoder: EncoderSettings, n_classes: int, head_seed: int, *, normalised: bool, dropout: float | None
) -> str:
    """Return the key of a classifier before any training."""
    return digest_of(
        {
            "version": [TRAINING_VERSION, torch.__version__],
            # These libraries draw heads, compute other architectures' passes, and make batches and masks.
            "libraries": [importlib.metadata.version("transformers"), np.__version__],
            "encoder": [
                encoder_digest(encoder),
                encoder.layers,
                str(resolve_device(encoder)),
                encoder.compile,
            ],
            "kernels": "own" if uses_compiled_kernels(encoder) else "torch",
            "n_classes": n_classes,
            "head_seed": head_seed,
            "normalised": normalised,
            "dropout": dropout,
        },
        length=32,
    )


def stage_key(before: str, stage: Stage, world: World) -> str:
    """Return the key of a model after a stage, whatever the stage's length.

    Parameters
    ----------
    before
        Key of the model before it.
    stage
        The stage. All its settings except the length count: a function by its name, any other value by its ``repr``.
    world
        Workers draw dropout masks of their own, so their number counts.
    """
    settings = {f.name: getattr(stage.settings, f.name) for f in fields(StageSettings) if f.name != "steps"}
    return digest_of(
        {
            "before": before,
            "rows": texts_digest(stage.texts),
            "head_seed": stage.head_seed,
            "how": {name: getattr(x, "__name__", None) or repr(x) for name, x in settings.items()},
            "workers": world.size,
        },
        length=32,
    )


def texts_digest(texts: LabelledTexts) -> str:
    """Return a digest of texts as they are trained on: their tokens and labels, in their order."""
    whole = hashlib.sha256()
    for array in (texts.tokens.ids, texts.tokens.offsets, texts.labels):
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()
