"""Two-stage training, and the arms that it is compared with.

::

    model ← pretrained encoder + fresh head
    for each stage of the arm:             # pre-finetuning has two, vanilla has only the second
        if head = reinit: draw a new head
        if the stage learns hidden tokens: # tapt: a masked-language head takes the classifier's place meanwhile
        train model on the stage's texts   # a new optimizer, a new schedule
    if the arm trains the head anew:       # crt, feature_smote: they start from vanilla
        draw a new output layer and train it on the frozen encoder's pooled outputs
    score model on the evaluation sets

Two arms train no encoder, and so have no stages: :mod:`trainables.method.linear_classifiers`.

:mod:`trainables.method.arms` says which texts and which loss a stage has; the rows of a replicate and its stage-1 set
are made beforehand, in :mod:`trainables.replicate`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.cpu.dropout import set_dropout
from trainables.method.arms import arm_of
from trainables.method.head_retraining import HeadReport, retrain_head
from trainables.method.linear_classifiers import LinearReport, train_linear
from trainables.method.stages import stages_of
from trainables.method.texts import ReplicateTexts
from trainables.model.encoder import build_classifier, reinitialise_head, resolve_precision
from trainables.model.forward import predict
from trainables.model.masked_lm import build_masked_lm, take_encoder
from trainables.model.output_layer import normalise_output_layer
from trainables.reuse.keys import model_key
from trainables.reuse.stage_tree import Reuse, StageTree
from trainables.seeds import ReplicateSeeds
from trainables.settings import EncoderSettings, TrialSettings
from trainables.texts.tokens import TokenisedTexts
from trainables.training.losses import LDAM_SCALE, MaskedTokenLoss
from trainables.training.stage import StageReport
from trainables.training.stage_settings import Stage
from trainables.world import World

__all__ = ["ArmResult", "train_arm"]


@dataclass(frozen=True)
class ArmResult:
    """The outcome of one run.

    Attributes
    ----------
    logits
        (n, C) float32 per evaluation set.
    stages
        The stages, in order.
    reports
        What each stage did, by its name, and what training the head anew did, under ``head``; None where the weights
        came from the cache.
    seconds, scoring_seconds
        Wall time of everything, and of scoring the evaluation sets; a linear classifier's is in the first alone.
    model
        The trained float32 classifier where it was asked for; a linear classifier has none.
    linear
        What tuning and fitting a linear classifier did; None for the arms that have stages.
    """

    logits: dict[str, npt.NDArray[np.float32]]
    stages: tuple[Stage, ...]
    reports: dict[str, StageReport | HeadReport | None]
    seconds: float
    scoring_seconds: float
    model: Any = None
    linear: LinearReport | None = None


def train_arm(
    trial: TrialSettings,
    encoder: EncoderSettings,
    n_classes: int,
    texts: ReplicateTexts,
    evaluation: Mapping[str, TokenisedTexts],
    seeds: ReplicateSeeds,
    *,
    world: World | None = None,
    reuse: Reuse | None = None,
    keep_model: bool = False,
) -> ArmResult:
    """Train one arm on one replicate and return its logits on the evaluation sets.

    Two arms on one replicate share the fresh head, and the batches and dropout masks of stage 2.

    Parameters
    ----------
    trial
        Arm, lengths, learning rates and the other values.
    encoder
        The pretrained encoder.
    n_classes
        Classes C.
    texts
        Texts of the replicate, and the stage-1 set of an arm that has one.
    evaluation
        Texts to score, by name of the set.
    seeds
        Where all randomness comes from.
    world
        The workers that share this run.
    reuse
        Where to find weights that other trials begin with too, and the state of an unfinished stage. A hit gives the
        same result as training, bit for bit. None trains everything.
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
    world, reuse = world or World.single(), reuse or Reuse()
    arm = arm_of(trial.arm)
    if arm.features is not None:
        logits, report = train_linear(
            arm.features,
            texts.original,
            evaluation,
            encoder,
            n_classes,
            seed=seeds.of("folds"),
            world=world,
            cache=reuse.cache,
        )
        return ArmResult(logits, (), {}, report.seconds, 0.0, linear=report)
    precision = resolve_precision(encoder)
    stages = stages_of(trial, texts, n_classes, seeds, precision)
    head_seed = seeds.of("head")

    model = build_classifier(encoder, n_classes, head_seed)
    set_dropout(model, trial.dropout)
    if arm.normalised:
        normalise_output_layer(model, LDAM_SCALE)
    root = model_key(encoder, n_classes, head_seed, normalised=arm.normalised, dropout=trial.dropout)
    tree = StageTree(root, reuse, world)
    reports: dict[str, StageReport | HeadReport | None] = {}
    for stage in stages:
        if stage.head_seed is not None:
            reinitialise_head(model, stage.head_seed)
        is_shared = _others_begin_with(stage, trial, reuse)
        if isinstance(stage.settings.loss, MaskedTokenLoss):
            train = partial(tree.train, stage=stage, is_shared=is_shared)
            reports[stage.name] = _under_masked_lm_head(model, encoder, trial.dropout, train)
        else:
            reports[stage.name] = tree.train(model, stage, is_shared=is_shared)
    if arm.head is not None:
        seed = seeds.of("retrained head")
        reports["head"] = retrain_head(
            model, texts.original, trial, seed=seed, precision=precision, world=world
        )

    scoring = time.perf_counter()
    logits = {
        name: predict(model, tokens, precision=precision, world=world) for name, tokens in evaluation.items()
    }
    ended = time.perf_counter()
    return ArmResult(logits, stages, reports, ended - started, ended - scoring, model if keep_model else None)


def _under_masked_lm_head(
    model: Any, encoder: EncoderSettings, dropout: float | None, train: Callable[[Any], StageReport | None]
) -> StageReport | None:
    """Train the pretrained encoder under its masked-language head, and give its weights to the classifier."""
    device = next(model.parameters()).device
    model.cpu()  # a GPU that trials share holds one model of each at a time
    masked_lm = build_masked_lm(encoder)
    set_dropout(masked_lm, dropout)
    report = train(masked_lm)
    take_encoder(model, masked_lm.cpu())
    del masked_lm
    model.to(device)
    return report


def _others_begin_with(stage: Stage, trial: TrialSettings, reuse: Reuse) -> bool:
    """Return whether trials of other settings begin with this stage's weights, so that they are worth keeping."""
    if stage.name == "stage1":
        return True
    return arm_of(trial.arm).head is not None or (trial.arm == "vanilla" and reuse.share_vanilla)
