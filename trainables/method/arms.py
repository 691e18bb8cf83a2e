"""Every arm in one table: which rows its stages train on, under which loss, and which settings it reads.

Most arms are one stage with the length and rate of stage 2, and differ from vanilla in one thing: the rows, the
loss, or what comes before or after. To add an arm, add its name to :mod:`trainables.settings`, a line to
:data:`ARM_TABLE`, and a grid to ``arm_spaces`` of :mod:`study.config.presets`.

An epoch is a pass over a stage's own rows. So oversampling takes C·n_max / N times vanilla's steps and undersampling
C·n_min / N times, as where imbalanced-learn's samplers go before a classifier; ``stage2_steps`` gives every
arm the same number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.errors import ConfigurationError
from trainables.method.resampling import oversample, undersample
from trainables.seeds import generator
from trainables.settings import POSTHOC_ARM, TrialSettings, duplicated_counterpart
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts
from trainables.training.losses import (
    Focal,
    Ldam,
    LogitAdjusted,
    Loss,
    Weighted,
    cross_entropy,
    effective_number_weights,
    inverse_frequency_weights,
    ldam_margins,
    prior_offsets,
)

LDAM_SCALE = 30.0  # s, and the start and β of deferred re-weighting, as in the code of Cao et al. 2019
LDAM_DEFERRED_FROM = 0.8
LDAM_BETA = 0.9999

Counts = npt.NDArray[np.int64]  # (C,) rows per class of the replicate


class ArmRows(NamedTuple):
    """Rows of one replicate: its training rows, and the stage-1 set where the arm has one."""

    original: LabelledTexts
    stage1: LabelledTexts | None = None


class RowsChoice(NamedTuple):
    """Rows that a stage trains on, and the settings that decide them."""

    select: Callable[[ArmRows, TrialSettings, int], LabelledTexts]  # the last argument is a seed
    reads: tuple[str, ...] = ()


class LossChoice(NamedTuple):
    """Loss of a stage, and the settings that it depends on."""

    make: Callable[[Counts, TrialSettings], Loss]
    reads: tuple[str, ...] = ()


class StageChoice(NamedTuple):
    """Rows and loss of a stage, and values that belong to the arm and are not read from the settings."""

    rows: RowsChoice
    loss: LossChoice
    fixed: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Arm:
    """One line of the table.

    Attributes
    ----------
    stage2
        The only stage, or the second one.
    stage1
        What comes before it.
    length
        Where the steps of stage 2 come from: ``own`` (its epochs or steps), ``given`` (its steps, which have to be
        set), ``both`` (as many as both stages of a pre-finetuning trial with these settings).
    head
        Settings that say how the head is trained anew afterwards; None where it is not.
    normalised
        Features and class weights of the output layer have length 1.
    """

    stage2: StageChoice
    stage1: StageChoice | None = None
    length: str = "own"
    head: tuple[str, ...] | None = None
    normalised: bool = False


def _stage1_set(rows: ArmRows, settings: TrialSettings, seed: int) -> LabelledTexts:
    if rows.stage1 is None:
        raise ValueError(f"arm {settings.arm!r} trains on a stage-1 set and was given none")
    return rows.stage1


def _original_and_stage1_set(rows: ArmRows, settings: TrialSettings, seed: int) -> LabelledTexts:
    stage1 = _stage1_set(rows, settings, seed)
    if settings.stage1_data.endswith("+original"):
        return stage1
    return LabelledTexts(
        TokenisedTexts.concatenate([rows.original.tokens, stage1.tokens]),
        np.concatenate([rows.original.labels, stage1.labels]),
    )


def _resampled(
    how: Callable[[Counts, np.random.Generator], npt.NDArray[np.int64]], purpose: str
) -> Callable[[ArmRows, TrialSettings, int], LabelledTexts]:
    def select(rows: ArmRows, settings: TrialSettings, seed: int) -> LabelledTexts:
        labels = rows.original.labels
        chosen = how(labels, generator(seed, purpose))
        return LabelledTexts(rows.original.tokens.select(chosen), labels[chosen])

    return select


_SET_READS = ("stage1_data", "operator", "strength", "copies")
ORIGINAL = RowsChoice(lambda rows, settings, seed: rows.original)
OVERSAMPLED = RowsChoice(_resampled(oversample, "oversample"))
UNDERSAMPLED = RowsChoice(_resampled(undersample, "undersample"))
AUGMENTED = RowsChoice(_stage1_set, _SET_READS)
DUPLICATED = RowsChoice(_stage1_set, ("stage1_data", "copies"))
ORIGINAL_AND_AUGMENTED = RowsChoice(_original_and_stage1_set, _SET_READS)

CROSS_ENTROPY = LossChoice(lambda counts, s: cross_entropy)
LOGIT_ADJUSTED = LossChoice(lambda counts, s: LogitAdjusted(prior_offsets(counts, s.tau)), ("tau",))
INVERSE_FREQUENCY = LossChoice(
    lambda counts, s: Weighted(inverse_frequency_weights(counts, s.weight_power)), ("weight_power",)
)
EFFECTIVE_NUMBER = LossChoice(lambda counts, s: Weighted(effective_number_weights(counts, s.beta)), ("beta",))
FOCAL = LossChoice(lambda counts, s: Focal(s.gamma), ("gamma",))
DEFERRED_LDAM = LossChoice(
    lambda counts, s: Ldam(
        ldam_margins(counts), LDAM_SCALE, effective_number_weights(counts, LDAM_BETA), LDAM_DEFERRED_FROM
    )
)
# Stage 2 goes on with the same head under cross-entropy, so the logits are plain ones: scale 1.
WEIGHTED_LDAM = LossChoice(
    lambda counts, s: Ldam(ldam_margins(counts), 1.0, effective_number_weights(counts, s.beta), 0.0),
    ("beta",),
)

FINETUNING = StageChoice(ORIGINAL, CROSS_ENTROPY)
REWEIGHTING = StageChoice(ORIGINAL, WEIGHTED_LDAM, {"stage1_trainable": "last_block", "head": "keep"})

ARM_TABLE: Mapping[str, Arm] = {
    "vanilla": Arm(FINETUNING),
    "vanilla_matched": Arm(FINETUNING, length="given"),
    "logit_adjustment": Arm(StageChoice(ORIGINAL, LOGIT_ADJUSTED)),
    "oversample": Arm(StageChoice(OVERSAMPLED, CROSS_ENTROPY)),
    "undersample": Arm(StageChoice(UNDERSAMPLED, CROSS_ENTROPY)),
    "weighted": Arm(StageChoice(ORIGINAL, INVERSE_FREQUENCY)),
    "class_balanced": Arm(StageChoice(ORIGINAL, EFFECTIVE_NUMBER)),
    "focal": Arm(StageChoice(ORIGINAL, FOCAL)),
    "ldam_drw": Arm(StageChoice(ORIGINAL, DEFERRED_LDAM), normalised=True),
    "augment_single_stage": Arm(StageChoice(ORIGINAL_AND_AUGMENTED, CROSS_ENTROPY), length="both"),
    "prefinetune": Arm(FINETUNING, stage1=StageChoice(AUGMENTED, CROSS_ENTROPY)),
    "prefinetune_duplicated": Arm(FINETUNING, stage1=StageChoice(DUPLICATED, CROSS_ENTROPY)),
    "two_stage_reweight": Arm(FINETUNING, stage1=REWEIGHTING),
    "crt": Arm(FINETUNING, head=()),
    "feature_smote": Arm(FINETUNING, head=("smote_neighbours",)),
}

_EVERY_STAGE_READS = (
    "arm",
    "imbalance_ratio",
    "warmup",
    "batch_size",
    "weight_decay",
    "max_grad_norm",
    "layer_decay",
    "dropout",
)
_STAGE1_LENGTH = ("stage1_epochs", "stage1_steps")
_STAGE1_READS = (*_STAGE1_LENGTH, "stage1_learning_rate", "stage1_schedule", "stage1_trainable", "head")
_STAGE2_READS = ("stage2_epochs", "stage2_steps", "stage2_learning_rate", "stage2_schedule")
_HEAD_READS = ("head_epochs", "head_learning_rate")


def arm_of(name: str) -> Arm:
    """Return an arm's line of the table.

    Raises
    ------
    ConfigurationError
        Unknown arm.
    """
    if name not in ARM_TABLE:
        raise ConfigurationError(f"unknown arm {name!r}; expected one of {', '.join(ARM_TABLE)}")
    return ARM_TABLE[name]


def settings_of(arm: str) -> tuple[str, ...]:
    """Return the names of the settings that influence an arm, in the order of :class:`TrialSettings`.

    The others can take any value without changing a number: they belong neither in the arm's search space nor in what
    tells two of its trials apart. Post-hoc logit adjustment reads what vanilla reads.

    Raises
    ------
    ConfigurationError
        Unknown arm.
    """
    line = arm_of("vanilla" if arm == POSTHOC_ARM else arm)
    reads = {*_EVERY_STAGE_READS, *_STAGE2_READS, *line.stage2.rows.reads, *line.stage2.loss.reads}
    if line.length == "given":
        reads.remove("stage2_epochs")
    if line.length == "both":
        reads.update(_STAGE1_LENGTH)
    if line.stage1 is not None:
        reads.update(_STAGE1_READS, line.stage1.rows.reads, line.stage1.loss.reads)
        reads.difference_update(line.stage1.fixed)
    if line.head is not None:
        reads.update(_HEAD_READS, line.head)
    return tuple(field.name for field in dataclasses.fields(TrialSettings) if field.name in reads)


def stage1_recipe(settings: TrialSettings) -> str | None:
    """Return the recipe of the stage-1 set that an arm trains on; None where it has none."""
    arm = arm_of(settings.arm)
    choices = {stage.rows for stage in (arm.stage1, arm.stage2) if stage is not None}
    if DUPLICATED in choices:
        return duplicated_counterpart(settings.stage1_data)
    return settings.stage1_data if choices & {AUGMENTED, ORIGINAL_AND_AUGMENTED} else None
