"""The stages of a trial in one replicate: its arm's line of the table, filled in with rows, counts and values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainables.errors import ConfigurationError
from trainables.method.arms import Arm, ArmRows, arm_of
from trainables.seeds import derive_seed
from trainables.settings import TrialSettings
from trainables.texts.batching import steps_of
from trainables.texts.labelled import LabelledTexts
from trainables.training.losses import Loss


@dataclass(frozen=True)
class Stage:
    """One stage of a run, with every value of its own that it depends on.

    Attributes
    ----------
    name
        ``stage1`` or ``stage2``.
    rows, loss
        What it trains on.
    steps, learning_rate, schedule, trainable, seed
        As in :func:`trainables.training.stage.train_stage`.
    head_seed
        Draw a new head from this seed first; None keeps the head.
    """

    name: str
    rows: LabelledTexts
    loss: Loss
    steps: int
    learning_rate: float
    schedule: str
    trainable: str
    seed: int
    head_seed: int | None = None


def stages_of(
    settings: TrialSettings, rows: ArmRows, n_classes: int, study_seed: int, replicate: int
) -> tuple[Stage, ...]:
    """Return the stages of a trial in one replicate, in their order.

    Every seed is derived from (study seed, purpose, replicate) alone, so that two arms on one replicate share the
    batches and dropout masks of stage 2.

    Parameters
    ----------
    settings
        The trial.
    rows
        Training rows of the replicate, and the stage-1 set that :func:`stage1_recipe` asks for.
    n_classes
        Classes C.
    study_seed, replicate
        Where all randomness comes from.

    Raises
    ------
    ConfigurationError
        Unknown arm, or ``vanilla_matched`` without ``stage2_steps``.
    """
    arm = arm_of(settings.arm)
    counts = np.bincount(rows.original.labels, minlength=n_classes)
    resampling = derive_seed(study_seed, "resample", replicate)
    stages = []
    if arm.stage1 is not None:
        values = {"stage1_trainable": settings.stage1_trainable, "head": settings.head, **arm.stage1.fixed}
        chosen = arm.stage1.rows.select(rows, settings, resampling)
        stages.append(
            Stage(
                "stage1",
                chosen,
                arm.stage1.loss.make(counts, settings),
                _steps(settings, len(chosen.labels), settings.stage1_epochs, settings.stage1_steps),
                settings.stage1_learning_rate,
                settings.stage1_schedule,
                values["stage1_trainable"],
                derive_seed(study_seed, "stage1", replicate),
            )
        )
    new_head = arm.stage1 is not None and values["head"] == "reinit"
    chosen = arm.stage2.rows.select(rows, settings, resampling)
    stages.append(
        Stage(
            "stage2",
            chosen,
            arm.stage2.loss.make(counts, settings),
            _stage2_steps(arm, settings, rows, len(chosen.labels)),
            settings.stage2_learning_rate,
            settings.stage2_schedule,
            "all",
            derive_seed(study_seed, "stage2", replicate),
            derive_seed(study_seed, "stage2/head", replicate) if new_head else None,
        )
    )
    return tuple(stages)


def _stage2_steps(arm: Arm, settings: TrialSettings, rows: ArmRows, n_rows: int) -> int:
    if arm.length == "given" and settings.stage2_steps is None:
        raise ConfigurationError(
            f"arm {settings.arm!r} needs stage2_steps: the optimizer steps of both stages of the trial that it is "
            "matched to"
        )
    if arm.length == "both":
        assert rows.stage1 is not None
        before = _steps(settings, len(rows.stage1.labels), settings.stage1_epochs, settings.stage1_steps)
        n_rows = len(rows.original.labels)
        return before + _steps(settings, n_rows, settings.stage2_epochs, settings.stage2_steps)
    return _steps(settings, n_rows, settings.stage2_epochs, settings.stage2_steps)


def _steps(settings: TrialSettings, n_rows: int, epochs: float, steps: int | None) -> int:
    return steps if steps is not None else steps_of(n_rows, settings.batch_size, epochs)
