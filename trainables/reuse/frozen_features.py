"""Features of texts under an encoder that is never trained, from the content-addressed cache: each text once.

An entry holds the features of the texts that one caller lacked, and its key begins with what they were computed with.
So all entries with that beginning together are what is known, and draws, ratios, evaluation sets and launches that
have texts in common share them. Two processes that need the same text at the same time both compute it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import io

import numpy as np
import numpy.typing as npt
import torch

from trainables.model.encoder import (
    build_classifier,
    encoder_digest,
    resolve_device,
    resolve_precision,
    uses_compiled_kernels,
)
from trainables.model.mean_pooling import mean_pooled
from trainables.reuse.cache import ContentCache
from trainables.settings import EncoderSettings, digest_of
from trainables.texts.tokens import TokenisedTexts

KIND = "frozen_features"
_VERSION = 1  # raise when mean_pooled's output or the layout of an entry changes
_DIGEST_BYTES = 16
_PREFIX = 24  # of a key's 40 digits


def frozen_features(
    encoder: EncoderSettings, n_classes: int, tokens: TokenisedTexts, cache: ContentCache | None
) -> tuple[npt.NDArray[np.float32], int]:
    """Return the mean-pooled last hidden states of n texts, (n, H) float32, and how many of them had to be computed.

    Parameters
    ----------
    encoder
        The pretrained encoder.
    n_classes
        Classes of the study; a head for them is loaded with the encoder, and is not used.
    tokens
        The texts, n >= 1.
    cache
        Where features are kept; None computes all of them.

    Raises
    ------
    TrialFailed
        Not even one text fits in memory.
    """
    asked = [_digest(tokens, row) for row in range(len(tokens))]
    prefix = _prefix(encoder)
    known = {} if cache is None else _known(cache, prefix, {*asked})
    missing = {digest: row for row, digest in enumerate(asked) if digest not in known}
    if missing:
        model = build_classifier(dataclasses.replace(encoder, compile=False), n_classes, seed=0)
        rows = np.fromiter(missing.values(), np.int64)
        found = mean_pooled(model, tokens.select(rows), precision=resolve_precision(encoder))
        known.update(zip(missing, found, strict=True))
        if cache is not None:
            ending = hashlib.sha256(b"".join(missing)).hexdigest()
            cache.offer(KIND, prefix + ending[: 40 - _PREFIX], _pack(list(missing), found))
    return np.stack([known[digest] for digest in asked]), len(missing)


def _digest(tokens: TokenisedTexts, row: int) -> bytes:
    ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]]
    return hashlib.sha256(ids.tobytes()).digest()[:_DIGEST_BYTES]


def _prefix(encoder: EncoderSettings) -> str:
    """Return the beginning of all keys of an encoder's features: everything that they depend on beside the tokens."""
    return digest_of(
        {
            "version": [_VERSION, torch.__version__, importlib.metadata.version("transformers")],
            "encoder": [encoder_digest(encoder), encoder.layers],
            "computed": [resolve_device(encoder).type, str(resolve_precision(encoder))],
            "kernels": "own" if uses_compiled_kernels(encoder) else "torch",
        },
        length=_PREFIX,
    )


def _known(cache: ContentCache, prefix: str, asked: set[bytes]) -> dict[bytes, npt.NDArray[np.float32]]:
    """Return the features of those of the texts that were computed before."""
    known: dict[bytes, npt.NDArray[np.float32]] = {}
    for key in cache.keys(KIND, prefix):
        content = cache.get(KIND, key)
        if content is None:  # removed by another process, or damaged
            continue
        digests, features = _unpack(content)
        known.update((digest, features[i]) for i, digest in enumerate(digests) if digest in asked)
        if len(known) == len(asked):
            break
    return known


def _pack(digests: list[bytes], features: npt.NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    names = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), _DIGEST_BYTES)
    np.savez(file, digests=names, features=features)
    return file.getvalue()


def _unpack(content: bytes) -> tuple[list[bytes], npt.NDArray[np.float32]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return [bytes(name) for name in stored["digests"]], stored["features"]
