"""Stage-1 sets from the content-addressed cache: trials that differ in training alone share one."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from trainables.augment.reach import words_in_reach
from trainables.augment.registry import OPERATORS, make_operator, operator_identity
from trainables.augment.stage1_set import DrawnRows, Stage1Set, build_stage1_set
from trainables.model.encoder import encoder_digest, resolve_device, resolve_precision
from trainables.reuse.cache import ContentCache
from trainables.reuse.lease import lease
from trainables.settings import EncoderSettings, TrialSettings, augments, digest_of

_VERSION = 4  # raise when build_stage1_set's output or the layout of an entry changes
_KIND = "augmentation"


def cached_stage1_set(
    cache: ContentCache,
    corpus_digest: str,
    rows: DrawnRows,
    recipe: str,
    settings: TrialSettings,
    encoder: EncoderSettings,
    *,
    seed: int,
    options: Mapping[str, Any] | None = None,
) -> Stage1Set:
    """Return the stage-1 set of :func:`~trainables.augment.stage1_set.build_stage1_set`, built once.

    Of trials and nodes that ask for it at the same time one builds it, and the others wait
    (:mod:`trainables.reuse.lease`).

    The key covers the training rows themselves, so neither another order of the corpus nor another draw can
    be mistaken for this one. Where the recipe duplicates, operator and strength do not enter; where the operator
    does not use the encoder, the encoder does not. Where a model writes the texts, the kind of device and the
    precision that it computes in enter: another rounding may choose another word. So does how much
    of a text is rewritten.

    Parameters
    ----------
    cache
        Where it is kept.
    corpus_digest
        Of the corpus that the rows are from.
    rows, recipe, seed
        As in :func:`~trainables.augment.stage1_set.build_stage1_set`.
    settings
        The trial: ``operator``, ``strength``, ``copies`` and ``stage1_rows_per_class`` are read.
    encoder
        For operators that use it.
    options
        Of the operator.

    Raises
    ------
    ConfigurationError
        As in :func:`~trainables.augment.stage1_set.build_stage1_set`; unknown operator, impossible strength.
    """
    augmented, operator = augments(recipe), settings.operator
    identity = operator_identity(operator, options) if augmented else ""
    per_class = settings.stage1_rows_per_class if recipe.endswith("_equal") else None
    key = digest_of(
        {
            "version": _VERSION,
            "corpus": corpus_digest,
            "rows": _rows_digest(rows),
            "n_classes": rows.n_classes,
            "recipe": recipe,
            "operator": [identity, settings.strength, dict(options or {})] if augmented else None,
            "encoder": encoder_digest(encoder) if augmented and OPERATORS[operator].uses_encoder else None,
            "computed": _numerics(encoder) if augmented and OPERATORS[operator].computes else None,
            "reach": words_in_reach(encoder) if augmented and OPERATORS[operator].asks_a_model else None,
            "copies": settings.copies,
            **({} if per_class is None else {"rows_per_class": per_class}),
            "seed": seed,
        },
        length=40,
    )
    stored = cache.get(_KIND, key)
    if stored is not None:
        return _unpack(stored)
    with lease(cache.path(_KIND, key)) as mine:
        stored = None if mine else cache.get(_KIND, key)
        if stored is not None:
            return _unpack(stored)
        made = build_stage1_set(
            recipe,
            rows,
            make_operator(operator, settings.strength, encoder, options, cache) if augmented else None,
            copies=settings.copies,
            rows_per_class=per_class,
            seed=seed,
        )
        cache.offer(_KIND, key, _pack(made))
        return made


def _numerics(encoder: EncoderSettings) -> list[str]:
    return [resolve_device(encoder).type, str(resolve_precision(encoder))]


def _rows_digest(rows: DrawnRows) -> str:
    return hashlib.sha256(json.dumps([list(rows.texts), rows.labels.tolist()]).encode()).hexdigest()


def _pack(stage1_set: Stage1Set) -> bytes:
    # JSON in ASCII carries every str, lone surrogates included.
    content = {
        "texts": stage1_set.texts,
        "labels": stage1_set.labels.tolist(),
        "source_rows": stage1_set.source_rows.tolist(),
        "counts": [
            stage1_set.unchanged,
            stage1_set.near_copies_dropped,
            stage1_set.near_copies_kept,
            stage1_set.rows_missing,
        ],
    }
    return zlib.compress(json.dumps(content).encode(), level=6)


def _unpack(stored: bytes) -> Stage1Set:
    content = json.loads(zlib.decompress(stored))
    return Stage1Set(
        content["texts"],
        np.array(content["labels"], dtype=np.int64),
        np.array(content["source_rows"], dtype=np.int64),
        *content["counts"],
    )
