"""Two-stage training: pre-finetuning on augmented rows, then finetuning on the imbalanced ones.

::

    model ← pretrained encoder + fresh head
    if stage-1 rows:                      # vanilla has none
        train model on stage-1 rows       # pre-finetuning
        if head = reinit: draw a new head
    train model on stage-2 rows           # finetuning: a new optimizer, a new schedule
    score model on the evaluation sets
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.cache import ContentCache
from trainables.checkpoint import Checkpoints, train_resumably
from trainables.encoder import (
    EncoderSettings,
    build_classifier,
    reinitialise_head,
    resolve_precision,
)
from trainables.forward import predict
from trainables.seeds import derive_seed
from trainables.settings import TrialSettings
from trainables.stage import StageReport
from trainables.stage_tree import TrainingRows, train_or_reuse
from trainables.tokens import TokenisedTexts
from trainables.world import World

__all__ = ["TrainingRows", "TwoStageResult", "train_two_stage"]


@dataclass(frozen=True)
class TwoStageResult:
    """What came of one run.

    Attributes
    ----------
    logits
        (n, C) float32 per evaluation set.
    stage1, stage2
        Reports; ``stage1`` is None for vanilla and where stage 1 came from the cache.
    seconds
        Wall time of everything.
    diagnostics
        Flat numbers about the run, for the records.
    model
        The trained float32 classifier where it was asked for.
    """

    logits: dict[str, npt.NDArray[np.float32]]
    stage1: StageReport | None
    stage2: StageReport
    seconds: float
    diagnostics: dict[str, float]
    model: Any = None


def train_two_stage(
    settings: TrialSettings,
    encoder: EncoderSettings,
    n_classes: int,
    stage1_rows: TrainingRows | None,
    stage2_rows: TrainingRows,
    evaluation: Mapping[str, TokenisedTexts],
    *,
    study_seed: int,
    replicate: int,
    world: World | None = None,
    stage1_cache: ContentCache | None = None,
    stage1_key: str | None = None,
    stage1_grid: Sequence[float] = (),
    checkpoints: Checkpoints | None = None,
    keep_model: bool = False,
) -> TwoStageResult:
    """Train one arm on one replicate and return its logits on the evaluation sets.

    Vanilla is the same code without stage-1 rows. Every seed is derived from (study seed, purpose, replicate)
    alone, so that two arms on one replicate share the fresh head, and the batches and dropout masks of stage 2.

    Parameters
    ----------
    settings
        Lengths, learning rates and the other values of both stages.
    encoder
        The pretrained encoder.
    n_classes
        Classes C.
    stage1_rows, stage2_rows
        Rows of the stages; None for no stage 1.
    evaluation
        Texts to score, by name of the set.
    study_seed, replicate
        Where all randomness comes from.
    world
        The workers that share this run.
    stage1_cache, stage1_key
        Where stage 1's weights are kept, and a digest of all that they depend on besides the stage's length. A hit
        gives the same result as training, bit for bit.
    stage1_grid
        Lengths of stage 1, in epochs, that other trials may ask for.
    checkpoints
        Where the run keeps the state of its unfinished stages; None for nowhere.
    keep_model
        Return the model too.

    Raises
    ------
    TrialFailed
        Training diverged.
    """
    started = time.perf_counter()
    world = world or World.single()
    precision = resolve_precision(encoder)
    model = build_classifier(encoder, n_classes, derive_seed(study_seed, "head", replicate))
    shared: dict[str, Any] = {
        "warmup": settings.warmup,
        "batch_size": settings.batch_size,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "precision": precision,
    }

    stage1 = None
    if stage1_rows is not None:
        stage1 = train_or_reuse(
            model,
            stage1_rows,
            world,
            stage1_cache,
            stage1_key,
            epochs=settings.stage1_epochs,
            grid=stage1_grid,
            checkpoint=checkpoints.stage("stage1") if checkpoints else None,
            learning_rate=settings.stage1_learning_rate,
            schedule=settings.stage1_schedule,
            trainable=settings.stage1_trainable,
            seed=derive_seed(study_seed, "stage1", replicate),
            **shared,
        )
        if settings.head == "reinit":
            reinitialise_head(model, derive_seed(study_seed, "stage2/head", replicate))

    stage2 = train_resumably(
        model,
        stage2_rows.tokens,
        stage2_rows.labels,
        checkpoint=checkpoints.stage("stage2") if checkpoints else None,
        epochs=None if settings.stage2_steps is not None else settings.stage2_epochs,
        steps=settings.stage2_steps,
        learning_rate=settings.stage2_learning_rate,
        schedule=settings.stage2_schedule,
        seed=derive_seed(study_seed, "stage2", replicate),
        world=world,
        **shared,
    )

    scoring = time.perf_counter()
    logits = {
        name: predict(model, tokens, precision=precision, world=world) for name, tokens in evaluation.items()
    }
    scored = sum(len(tokens) for tokens in evaluation.values())
    diagnostics = {
        **_stage_diagnostics("stage1", stage1),
        **_stage_diagnostics("stage2", stage2),
        "evaluation_rows_per_second": scored / (time.perf_counter() - scoring),
    }
    return TwoStageResult(
        logits, stage1, stage2, time.perf_counter() - started, diagnostics, model if keep_model else None
    )


def _stage_diagnostics(stage: str, report: StageReport | None) -> dict[str, float]:
    if report is None:
        return {}
    return {
        f"{stage}_steps": float(report.steps),
        f"{stage}_seconds": report.seconds,
        f"{stage}_mean_loss": report.mean_loss,
        f"{stage}_padding_share": 1.0 - report.real_tokens / max(report.padded_tokens, 1),
        f"{stage}_micro_batch": float(report.micro_batch),
        f"{stage}_resumed_at": float(report.resumed_at),
        f"{stage}_tokens_per_second": report.real_tokens / report.seconds,
        **({} if report.mfu is None else {f"{stage}_mfu": report.mfu}),
    }
