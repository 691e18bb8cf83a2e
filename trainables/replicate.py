"""One replicate of one trial: draw the rows, make the stage-1 set, train, score.

This is the whole of what a trial repeats. It needs torch alone; who runs it (a test, a Tune trial, a group of
Ray Train workers) is decided in :mod:`trainables.worker`.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.augment.cached import cached_stage1_set
from trainables.augment.stage1_set import Stage1Set
from trainables.batching import steps_of
from trainables.cache import ContentCache
from trainables.checkpoint import Checkpoints
from trainables.corpora.imbalance import draw
from trainables.encoder import encoder_digest, load_tokenizer, resolve_device, resolve_precision
from trainables.losses import adjust_logits
from trainables.metrics import evaluate
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.seeds import derive_seed, generator
from trainables.settings import TWO_STAGE_ARMS, TrialSettings, digest_of
from trainables.tokens import tokenise
from trainables.two_stage import TrainingRows, train_two_stage
from trainables.world import World

_VERSION = 2  # of the training code: raised when the same settings no longer give the same weights or states


@dataclass(frozen=True)
class ReplicateOutcome:
    """What one replicate gives back to the driver.

    Attributes
    ----------
    replicate
        Its index.
    metrics
        ``val/…`` metrics of the arm.
    posthoc_metrics
        The same after post-hoc logit adjustment (Menon et al. 2021, eq. 9), which costs no training.
    seconds
        Wall-clock of everything the replicate did.
    diagnostics
        Steps, padding, rows, cache hits and the like.
    """

    replicate: int
    metrics: dict[str, float]
    posthoc_metrics: dict[str, float]
    seconds: float
    diagnostics: dict[str, float] = field(default_factory=dict)


def draw_rows(
    prepared: PreparedCorpus, run: RunSettings, imbalance_ratio: float | str, replicate: int
) -> npt.NDArray[np.int64]:
    """Return the training rows of a replicate at an imbalance ratio: the same for every arm."""
    return draw(
        prepared.train_labels,
        imbalance_ratio,
        profile=run.profile,
        n_max=run.n_max,
        max_rows=run.max_train_rows,
        rng=generator(run.study_seed, "draw", replicate),
    )


def run_replicate(
    prepared: PreparedCorpus,
    run: RunSettings,
    settings: TrialSettings,
    replicate: int,
    world: World,
) -> ReplicateOutcome:
    """Train and score one arm on one replicate.

    Raises
    ------
    TrialFailed
        Training diverged.
    """
    started = time.perf_counter()
    cache = ContentCache(Path(run.cache_dir), run.cache_max_bytes)
    rows = draw_rows(prepared, run, settings.imbalance_ratio, replicate)
    labels = prepared.train_labels[rows]
    stage1_rows, stage1_key, diagnostics = None, None, {}
    if settings.arm in TWO_STAGE_ARMS:
        stage1_set = _stage1_set(prepared, run, settings, replicate, rows, cache)
        tokens = tokenise(stage1_set.texts, load_tokenizer(run.encoder), run.encoder.max_length)
        stage1_rows = TrainingRows(tokens, stage1_set.labels)
        stage1_key = _training_key(run, _stage1_settings(settings), replicate, world, stage1_rows)
        diagnostics = {
            "stage1_rows": float(len(stage1_set.labels)),
            # Also where stage 1 comes from the cache: compute-matched vanilla is given as many steps.
            "stage1_steps": float(
                steps_of(len(stage1_set.labels), settings.batch_size, settings.stage1_epochs)
            ),
            "augmentations_unchanged": float(stage1_set.unchanged),
            "near_copies_kept": float(stage1_set.near_copies_kept),
            "augmentation_seconds": time.perf_counter() - started,
            "augmentation_cache_hits": float(cache.hits.get("augmentation", 0)),
        }
    stage2_rows = TrainingRows(prepared.train_tokens.select(rows), labels)
    stages = (stage2_rows,) if stage1_rows is None else (stage1_rows, stage2_rows)
    run_key = _training_key(run, settings.to_config(), replicate, world, *stages)
    result = train_two_stage(
        settings,
        run.encoder,
        len(prepared.classes),
        stage1_rows,
        stage2_rows,
        {"val": prepared.validation_tokens},
        study_seed=run.study_seed,
        replicate=replicate,
        world=world,
        stage1_cache=cache,
        stage1_key=stage1_key,
        stage1_grid=run.stage1_grid,
        checkpoints=Checkpoints(cache, run_key, run.checkpoint_every_s),
    )
    logits = result.logits["val"]
    counts = np.bincount(labels, minlength=len(prepared.classes))
    adjusted = adjust_logits(logits, counts)
    return ReplicateOutcome(
        replicate,
        _prefixed(evaluate(logits, prepared.validation_labels, prepared.classes)),
        _prefixed(evaluate(adjusted, prepared.validation_labels, prepared.classes)),
        time.perf_counter() - started,
        {
            "stage2_rows": float(len(rows)),
            **diagnostics,
            "stage1_cache_hits": float(cache.hits.get("stage1", 0)),
            "cache_corrupt": float(sum(cache.corrupt.values())),
            "cache_evicted": float(cache.evicted),
            **result.diagnostics,
        },
    )


def _prefixed(metrics: dict[str, float]) -> dict[str, float]:
    return {f"val/{name}": value for name, value in metrics.items()}


def _stage1_set(
    prepared: PreparedCorpus,
    run: RunSettings,
    settings: TrialSettings,
    replicate: int,
    rows: npt.NDArray[np.int64],
    cache: ContentCache,
) -> Stage1Set:
    return cached_stage1_set(
        cache,
        corpus_digest=prepared.digest,
        texts=[prepared.train_texts[i] for i in rows],
        labels=prepared.train_labels[rows],
        n_classes=len(prepared.classes),
        recipe=settings.stage1_data,
        operator=settings.operator,
        strength=settings.strength,
        copies=settings.copies,
        encoder=run.encoder,
        seed=derive_seed(run.study_seed, "augment", replicate),
        options=run.operator_options.get(settings.operator),
    )


def _stage1_settings(settings: TrialSettings) -> dict[str, Any]:
    """Return the settings that stage 1 depends on, but for its length: what only stage 2 depends on is left out."""
    config = settings.to_config()
    left_out = ("head", "stage1_epochs", "stage1_steps")
    return {k: v for k, v in config.items() if not k.startswith("stage2_") and k not in left_out}


def _training_key(
    run: RunSettings, settings: dict[str, Any], replicate: int, world: World, *stages: TrainingRows
) -> str:
    """Digest of everything that training with some settings on the rows of some stages depends on."""
    return digest_of(
        {
            "version": [_VERSION, torch.__version__],
            "rows": [_digest_of_arrays(x.tokens.ids, x.tokens.offsets, x.labels) for x in stages],
            "encoder": [repr(run.encoder), encoder_digest(run.encoder)],
            "numerics": [str(resolve_device(run.encoder)), str(resolve_precision(run.encoder))],
            "seed": run.study_seed,
            "settings": settings,
            "replicate": replicate,
            "workers": world.size,
        },
        length=32,
    )


def _digest_of_arrays(*arrays: npt.NDArray[Any]) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()
