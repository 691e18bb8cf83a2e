"""The stages of a trial in one replicate: its arm's entry of the table, filled in with texts, counts and values."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from trainables.errors import ConfigurationError
from trainables.method.arms import Arm, arm_of
from trainables.method.texts import ReplicateTexts
from trainables.seeds import ReplicateSeeds
from trainables.settings import TrialSettings
from trainables.texts.batching import steps_of
from trainables.training.losses import LOSSES
from trainables.training.stage_settings import Stage, StageSettings


def stages_of(
    trial: TrialSettings,
    texts: ReplicateTexts,
    n_classes: int,
    seeds: ReplicateSeeds,
    precision: torch.dtype = torch.float32,
) -> tuple[Stage, ...]:
    """Return the stages of a trial in one replicate, in their order.

    Two arms on one replicate share the batches and dropout masks of stage 2, because they share its seed.

    Parameters
    ----------
    trial
        The trial.
    texts
        Texts of the replicate, with the stage-1 set that :func:`trainables.method.arms.stage1_recipe` asks for.
    n_classes
        Classes C.
    seeds
        Where all randomness comes from.
    precision
        Data type to compute in.

    Raises
    ------
    ConfigurationError
        Unknown arm, or ``vanilla_matched`` without ``stage2_steps``.
    """
    arm = arm_of(trial.arm)
    counts = np.bincount(texts.original.labels, minlength=n_classes)
    settings = partial(
        StageSettings,
        warmup=trial.warmup,
        batch_size=trial.batch_size,
        weight_decay=trial.weight_decay,
        max_grad_norm=trial.max_grad_norm,
        layer_decay=trial.layer_decay,
        precision=precision,
    )
    stages, head_seed = [], None
    if arm.stage1 is not None:
        values = {"stage1_trainable": trial.stage1_trainable, "head": trial.head, **arm.stage1.fixed}
        chosen = arm.stage1.texts.select(texts, trial, seeds.of("resample"))
        how = settings(
            steps=_stage1_steps(trial, len(chosen)),
            learning_rate=trial.stage1_learning_rate,
            schedule=trial.stage1_schedule,
            trainable=values["stage1_trainable"],
            loss=LOSSES[arm.stage1.loss.name](counts, trial),
            seed=seeds.of("stage1"),
        )
        stages.append(Stage("stage1", chosen, how))
        head_seed = seeds.of("stage2/head") if values["head"] == "reinit" else None
    chosen = arm.stage2.texts.select(texts, trial, seeds.of("resample"))
    how = settings(
        steps=_stage2_steps(arm, trial, texts, len(chosen)),
        learning_rate=trial.stage2_learning_rate,
        schedule=trial.stage2_schedule,
        loss=LOSSES[arm.stage2.loss.name](counts, trial),
        seed=seeds.of("stage2"),
    )
    stages.append(Stage("stage2", chosen, how, head_seed))
    return tuple(stages)


def _stage1_steps(trial: TrialSettings, n_texts: int) -> int:
    return _steps(trial, n_texts, trial.stage1_epochs, trial.stage1_steps)


def _stage2_steps(arm: Arm, trial: TrialSettings, texts: ReplicateTexts, n_texts: int) -> int:
    if arm.length == "given" and trial.stage2_steps is None:
        raise ConfigurationError(
            f"arm {trial.arm!r} needs stage2_steps: the sum of both stages' optimizer steps in the trial that it is "
            "matched to"
        )
    if arm.length == "both":
        assert texts.stage1 is not None
        before, n_texts = _stage1_steps(trial, len(texts.stage1)), len(texts.original)
    else:
        before = 0
    return before + _steps(trial, n_texts, trial.stage2_epochs, trial.stage2_steps)


def _steps(trial: TrialSettings, n_texts: int, epochs: float, steps: int | None) -> int:
    return steps if steps is not None else steps_of(n_texts, trial.batch_size, epochs)
