"""Two-stage training, and the arms that it is compared with.

::

    model ← pretrained encoder + fresh head
    for each stage of the arm:             # pre-finetuning has two, vanilla has the second alone
        if head = reinit: draw a new head
        train model on the stage's rows    # a new optimizer, a new schedule
    if the arm trains the head anew:       # crt, feature_smote: they start from vanilla
        draw a new output layer and train it on the frozen encoder's pooled outputs
    score model on the evaluation sets

Which rows and which loss a stage has: :mod:`trainables.method.arms`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.cpu.dropout import set_dropout
from trainables.method.arms import LDAM_SCALE, ArmRows, arm_of
from trainables.method.head_retraining import HeadReport, retrain_head
from trainables.method.stages import Stage, stages_of
from trainables.model.encoder import build_classifier, reinitialise_head, resolve_precision
from trainables.model.forward import predict
from trainables.model.output_layer import normalise_output_layer
from trainables.reuse.cache import ContentCache
from trainables.reuse.checkpoint import EVERY_S, Checkpoints
from trainables.reuse.keys import model_key, stage_key
from trainables.reuse.lengths import NO_LENGTHS, StageLengths
from trainables.reuse.stage_tree import train_or_reuse
from trainables.seeds import derive_seed
from trainables.settings import EncoderSettings, TrialSettings
from trainables.texts.tokens import TokenisedTexts
from trainables.training.stage import StageReport
from trainables.world import World

__all__ = ["ArmResult", "train_arm"]


@dataclass(frozen=True)
class ArmResult:
    """What came of one run.

    Attributes
    ----------
    logits
        (n, C) float32 per evaluation set.
    stages
        The stages, in order.
    reports
        What each stage did, by its name and ``head``; None where its weights came from the cache.
    seconds, scoring_seconds
        Wall time of everything, and of scoring the evaluation sets.
    model
        The trained float32 classifier where it was asked for.
    """

    logits: dict[str, npt.NDArray[np.float32]]
    stages: tuple[Stage, ...]
    reports: dict[str, StageReport | HeadReport | None]
    seconds: float
    scoring_seconds: float
    model: Any = None


def train_arm(
    settings: TrialSettings,
    encoder: EncoderSettings,
    n_classes: int,
    rows: ArmRows,
    evaluation: Mapping[str, TokenisedTexts],
    *,
    study_seed: int,
    replicate: int,
    world: World | None = None,
    cache: ContentCache | None = None,
    share_vanilla: bool = False,
    stage1_grid: StageLengths = NO_LENGTHS,
    checkpoint_every_s: float = EVERY_S,
    keep_model: bool = False,
) -> ArmResult:
    """Train one arm on one replicate and return its logits on the evaluation sets.

    Every seed is derived from (study seed, purpose, replicate) alone, so that two arms on one replicate share the
    fresh head, and the batches and dropout masks of stage 2.

    Parameters
    ----------
    settings
        The trial: arm, lengths, learning rates and the other values.
    encoder
        The pretrained encoder.
    n_classes
        Classes C.
    rows
        Training rows of the replicate, and the stage-1 set of an arm that has one.
    evaluation
        Texts to score, by name of the set.
    study_seed, replicate
        Where all randomness comes from.
    world
        The workers that share this run.
    cache
        Where weights are kept that other trials begin with: after stage 1, and after the vanilla part of arms that
        train the head anew; and the state of an unfinished stage. A hit gives the same result as training, bit for
        bit.
    share_vanilla
        Keep the weights of arm ``vanilla`` too, for those arms.
    stage1_grid
        Lengths of stage 1 that other trials may ask for.
    checkpoint_every_s
        Seconds between two checkpoints within a stage.
    keep_model
        Return the model too.

    Raises
    ------
    ConfigurationError
        Unknown arm, or a setting that the arm needs is missing.
    TrialFailed
        Training diverged.
    """
    started = time.perf_counter()
    world = world or World.single()
    precision = resolve_precision(encoder)
    arm = arm_of(settings.arm)
    stages = stages_of(settings, rows, n_classes, study_seed, replicate)
    head_seed = derive_seed(study_seed, "head", replicate)

    model = build_classifier(encoder, n_classes, head_seed)
    key = model_key(encoder, n_classes, head_seed, normalised=arm.normalised, dropout=settings.dropout)
    set_dropout(model, settings.dropout)
    if arm.normalised:
        normalise_output_layer(model, LDAM_SCALE)
    reports: dict[str, StageReport | HeadReport | None] = {}
    for stage in stages:
        if stage.head_seed is not None:
            reinitialise_head(model, stage.head_seed)
        how = _arguments(stage, settings, precision)
        key = stage_key(key, stage.rows, stage.head_seed, how, world)
        trained = f"{key}-{stage.steps}"
        reports[stage.name] = train_or_reuse(
            model,
            stage.rows,
            world,
            cache if _others_begin_with(stage, settings, share_vanilla) else None,
            key,
            steps=stage.steps,
            grid=stage1_grid if stage.name == "stage1" else NO_LENGTHS,
            checkpoint=Checkpoints(cache, trained, checkpoint_every_s).stage(stage.name) if cache else None,
            **how,
        )
        key = trained
    if arm.head is not None:
        reports["head"] = retrain_head(
            model,
            rows.original,
            settings,
            seed=derive_seed(study_seed, "retrained head", replicate),
            precision=precision,
            world=world,
        )

    scoring = time.perf_counter()
    logits = {
        name: predict(model, tokens, precision=precision, world=world) for name, tokens in evaluation.items()
    }
    ended = time.perf_counter()
    return ArmResult(logits, stages, reports, ended - started, ended - scoring, model if keep_model else None)


def _arguments(stage: Stage, settings: TrialSettings, precision: torch.dtype) -> dict[str, Any]:
    """Return what a stage is trained with, but for its rows and its length."""
    return {
        "loss": stage.loss,
        "learning_rate": stage.learning_rate,
        "schedule": stage.schedule,
        "trainable": stage.trainable,
        "seed": stage.seed,
        "warmup": settings.warmup,
        "batch_size": settings.batch_size,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "layer_decay": settings.layer_decay,
        "precision": precision,
    }


def _others_begin_with(stage: Stage, settings: TrialSettings, share_vanilla: bool) -> bool:
    """Return whether trials of other settings begin with this stage's weights, so that they are worth keeping."""
    if stage.name == "stage1":
        return True
    return arm_of(settings.arm).head is not None or (settings.arm == "vanilla" and share_vanilla)
