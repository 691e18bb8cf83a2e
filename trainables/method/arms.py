"""Every arm in one table: what it is, which texts and which loss its stages have, and which settings it reads.

Most arms are one stage with the length and rate of stage 2, and differ from vanilla in one thing: the texts, the
loss, or what comes before or after. To add an arm, add an entry to :data:`ARM_TABLE`: names, search spaces, reports and
MLflow's records follow from it. If its loss is new, add it to :data:`trainables.training.losses.LOSSES`; if its choice
of texts is new, add it to :mod:`trainables.method.texts`. Its laws are tested by a subclass of ``ArmContract`` in
``tests/trainables/method/test_arms.py``.

Every arm is also scored with class offsets fitted on validation, argmax of z_c + b_c (:mod:`trainables.class_offsets`),
so that none wins by its operating point alone.

An epoch is a pass over a stage's own texts. So oversampling takes C·n_max / N times vanilla's steps and undersampling
C·n_min / N times, as when imbalanced-learn's samplers precede a classifier; setting ``stage2_steps`` gives every arm
the same number.

Nothing here needs torch: a study is checked and shown without it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from trainables.errors import ConfigurationError
from trainables.method.texts import (
    AUGMENTED,
    DUPLICATED,
    ORIGINAL,
    ORIGINAL_AND_AUGMENTED,
    OVERSAMPLED,
    UNDERSAMPLED,
    TextsChoice,
)
from trainables.settings import TrialSettings, duplicated_counterpart

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class LossChoice(NamedTuple):
    """A loss of :data:`trainables.training.losses.LOSSES` by its name, and the settings that it depends on."""

    name: str
    reads: tuple[str, ...] = ()


class StageChoice(NamedTuple):
    """Texts and loss of a stage, and values that belong to the arm and are not read from the settings."""

    texts: TextsChoice
    loss: LossChoice
    fixed: Mapping[str, Any] = _NOTHING


CROSS_ENTROPY = LossChoice("cross_entropy")
FINETUNING = StageChoice(ORIGINAL, CROSS_ENTROPY)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One entry of the table.

    Attributes
    ----------
    title, meaning
        Its name for people, and half a sentence that says what it is.
    stage2
        The only stage, or the second one.
    stage1
        What comes before it.
    length
        Where the steps of stage 2 come from: ``own`` (its epochs or steps), ``given`` (its steps, which have to be
        set), ``both`` (the sum over both stages of a pre-finetuning trial with these settings).
    head
        Further settings that say how the head is trained anew afterwards; None if it is not.
    features
        Of a linear classifier on fixed features, which ones: ``tfidf`` or ``frozen``. It has no stages and tunes
        itself, see :mod:`trainables.method.linear_classifiers`. None for an arm that finetunes.
    normalised
        Features and class weights of the output layer have length 1.
    is_trained
        False if it is only scored, from vanilla's logits.
    in_every_study
        Whether it runs without being asked for.
    takes_from_leading_trial
        Whether, as an untuned control, it takes its settings or its steps from the leading pre-finetuning trial
        instead of from vanilla; it shows what a part of that trial contributes.
    grid
        Values of the settings that only this arm reads, to try in its own search.
    recipe
        Values of its paper, used unless it is tuned.
    only_tuned
        Whether it is chosen by its name alone, and with a search.
    epochs_scale
        Factor on the lengths that its search tries, for an arm whose epochs are short.
    """

    title: str
    meaning: str
    stage2: StageChoice = FINETUNING
    stage1: StageChoice | None = None
    length: str = "own"
    head: tuple[str, ...] | None = None
    features: str | None = None
    normalised: bool = False
    is_trained: bool = True
    in_every_study: bool = False
    takes_from_leading_trial: bool = False
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    only_tuned: bool = False
    epochs_scale: int = 1


ARM_TABLE: Mapping[str, Arm] = {
    "prefinetune": Arm(
        title="pre-finetuning",
        meaning="a first training stage on augmented data, then finetuning on the original imbalanced data",
        stage1=StageChoice(AUGMENTED, CROSS_ENTROPY),
        in_every_study=True,
    ),
    "prefinetune_duplicated": Arm(
        title="pre-finetuning on duplicates",
        meaning="pre-finetuning on repeated rows instead of augmented ones; if it is matched to the leading trial, it "
        "has as many rows of each class: the gain that remains is not due to augmentation",
        stage1=StageChoice(DUPLICATED, CROSS_ENTROPY),
        takes_from_leading_trial=True,
    ),
    "two_stage_reweight": Arm(
        title="two-stage re-weighting",
        meaning="a first stage under a re-weighted margin loss, then finetuning (arXiv 2207.10858)",
        stage1=StageChoice(
            ORIGINAL,
            LossChoice("weighted_ldam", ("beta",)),
            {"stage1_trainable": "last_block", "head": "keep"},
        ),
        # Its paper finetunes at a tenth of the first stage's rate.
        recipe={"stage1_learning_rate": 1e-4, "stage2_learning_rate": 1e-5},
    ),
    "lp_ft": Arm(
        title="linear probing, then finetuning (LP-FT)",
        meaning="the head alone on the frozen encoder first, then everything, both on the original rows (Kumar et al. "
        "2022): what a first stage brings without any augmentation",
        stage1=StageChoice(ORIGINAL, CROSS_ENTROPY, {"stage1_trainable": "head", "head": "keep"}),
        # Neither paper states the head's rate and length; a head that is drawn anew learns at the rate of cRT's.
        recipe={"stage1_learning_rate": 1e-3},
        grid={"stage1_learning_rate": (1e-4, 3e-4, 1e-3, 3e-3)},
    ),
    "tapt": Arm(
        title="task-adaptive pretraining (TAPT)",
        meaning="masked-language training, mean -log p(hidden token | text), goes on over the training rows, then "
        "vanilla with a fresh head (Gururangan et al. 2020): what a first stage brings without labels or "
        "augmentation; only for encoders with a masked-language head",
        stage1=StageChoice(
            # As in their section 4, what varies from pass to pass is which tokens are hidden, and no row is augmented.
            ORIGINAL,
            LossChoice("masked_tokens", ("masking_rate",)),
            {"stage1_trainable": "all", "head": "keep"},
        ),
        # Their rate and schedule; they take 100 passes in batches of 256. In 10 passes, batches of 16 make 1.6 times as
        # many steps.
        recipe={
            "stage1_epochs": 10.0,
            "stage1_steps": None,
            "stage1_learning_rate": 1e-4,
            "stage1_schedule": "linear",
        },
        grid={
            "stage1_epochs": (3.0, 10.0, 30.0),
            "stage1_learning_rate": (5e-5, 1e-4, 2e-4),
            "masking_rate": (0.15, 0.3),
        },
    ),
    "paper": Arm(
        title="the paper's recipe",
        meaning="pre-finetuning as published (Shi et al. 2022): the topmost layer and the classifier on "
        "back-translated rows, as many of each class, then finetuning of everything; not tuned",
        stage1=StageChoice(AUGMENTED, CROSS_ENTROPY),
        in_every_study=True,
        recipe={
            "stage1_data": "augmented_equal",
            "stage1_rows_per_class": None,  # not stated but for IMDB, where it is the smallest class
            "stage1_trainable": "last_block",
            "stage1_epochs": 1.0,
            "stage1_steps": None,
            "stage1_learning_rate": 1e-4,
            "head": "keep",
            "stage2_epochs": 3.0,  # of its ADME experiment
            "stage2_steps": None,
            "stage2_learning_rate": 1e-5,
            "batch_size": 16,  # likewise
            # Not stated; these are the defaults of the same authors' public code.
            "stage1_schedule": "linear",
            "stage2_schedule": "linear",
            "warmup": 0.0,
            # Every row goes through both pivot languages.
            "operator": "back_translation",
            "strength": 1.0,
            "copies": 2,
        },
    ),
    "vanilla": Arm(
        title="vanilla finetuning",
        meaning="standard single-stage finetuning with settings of its own; every gain is taken against it",
        in_every_study=True,
    ),
    "vanilla_tuned": Arm(
        title="vanilla tuned on its own grid",
        meaning="vanilla with a search of its own over learning rates, lengths and batch sizes, beside a reference "
        "vanilla whose recipe is given; not run untuned, where it would be the reference",
        only_tuned=True,
        grid={"batch_size": (8, 16, 32)},
    ),
    "vanilla_matched": Arm(
        title="compute-matched vanilla",
        meaning="vanilla given as many optimizer steps as both stages together of the trial that it is matched to",
        length="given",
        in_every_study=True,
        takes_from_leading_trial=True,
    ),
    "logit_adjustment": Arm(
        title="logit-adjusted loss",
        meaning="vanilla whose loss is corrected for the class frequencies (Menon et al. 2021; balanced softmax at "
        "τ = 1)",
        stage2=StageChoice(ORIGINAL, LossChoice("logit_adjusted", ("tau",))),
        grid={"tau": (0.5, 1.0, 1.5)},
    ),
    "oversample": Arm(
        title="oversampling",
        meaning="vanilla on rows that are repeated until every class is as large as the largest",
        stage2=StageChoice(OVERSAMPLED, CROSS_ENTROPY),
    ),
    "undersample": Arm(
        title="undersampling",
        meaning="vanilla on the rows that remain when every class is cut to the size of the smallest",
        stage2=StageChoice(UNDERSAMPLED, CROSS_ENTROPY),
        epochs_scale=4,  # an epoch of the reduced rows is short
    ),
    "weighted": Arm(
        title="class-weighted loss",
        meaning="vanilla with class weights that fall with the class frequency",
        stage2=StageChoice(ORIGINAL, LossChoice("inverse_frequency", ("weight_power",))),
        grid={"weight_power": (0.5, 1.0)},
    ),
    "class_balanced": Arm(
        title="class-balanced loss",
        meaning="vanilla weighted by the effective number of rows (Cui et al. 2019)",
        stage2=StageChoice(ORIGINAL, LossChoice("effective_number", ("beta",))),
        grid={"beta": (0.9, 0.99, 0.999, 0.9999)},
    ),
    "focal": Arm(
        title="focal loss",
        meaning="vanilla with a loss that concentrates on hard rows (Lin et al. 2017)",
        stage2=StageChoice(ORIGINAL, LossChoice("focal", ("gamma",))),
        grid={"gamma": (1.0, 2.0, 5.0)},
    ),
    "ldam_drw": Arm(
        title="LDAM-DRW",
        meaning="margins that grow with rarity, class weights late in training (Cao et al. 2019)",
        stage2=StageChoice(ORIGINAL, LossChoice("deferred_ldam")),
        normalised=True,
    ),
    "augment_single_stage": Arm(
        title="augmentation in a single stage",
        meaning="one stage on original and augmented rows together, with the steps of both stages: the gain that "
        "remains is due to the data, not to the staging",
        stage2=StageChoice(ORIGINAL_AND_AUGMENTED, CROSS_ENTROPY),
        length="both",
        takes_from_leading_trial=True,
    ),
    "crt": Arm(
        title="classifier re-training (cRT)",
        meaning="vanilla, then its head trained anew on balanced samples (Kang et al. 2020)",
        head=(),
    ),
    "feature_smote": Arm(
        title="SMOTE on features",
        meaning="vanilla, then its head trained anew on interpolated features of the rare classes (SMOTE)",
        head=("smote_neighbours",),
        grid={"smote_neighbours": (3, 5, 10)},
    ),
    "tfidf_lr": Arm(
        title="TF-IDF with logistic regression",
        meaning="the words of the whole texts, weighed by (1 + ln count)·(ln((1 + n)/(1 + df)) + 1), under a logistic "
        "regression that is tuned by cross-validation inside the training rows (scikit-learn); seconds of work, "
        "so that a gain has to beat it",
        features="tfidf",
        in_every_study=True,
    ),
    "frozen_lr": Arm(
        title="frozen encoder with logistic regression",
        meaning="the mean of the pretrained encoder's last hidden states (Reimers & Gurevych 2019), which is not "
        "trained, under a logistic regression that is tuned by cross-validation inside the training rows: what "
        "finetuning adds to the encoder has to beat it",
        features="frozen",
        in_every_study=True,
    ),
    "logit_adjustment_posthoc": Arm(
        title="post-hoc logit adjustment",
        meaning="vanilla's outputs, corrected for the class frequencies after training (Menon et al. 2021); it costs "
        "no training, so it is the control that a gain has to beat",
        is_trained=False,
        in_every_study=True,
    ),
}
POSTHOC_ARM = "logit_adjustment_posthoc"  # scored from vanilla's logits, not trained
PAPER_ARM = "paper"
FROZEN_ARM = "frozen_lr"  # begins where finetuning does
# Arms that are trained, in the order in which a study runs them.
ARMS = tuple(name for name, arm in ARM_TABLE.items() if arm.is_trained)
TWO_STAGE_ARMS = tuple(name for name, arm in ARM_TABLE.items() if arm.stage1 is not None)
# Linear classifiers on fixed features, which take no setting from any other arm.
LINEAR_ARMS = tuple(name for name, arm in ARM_TABLE.items() if arm.features is not None)
# Those with a stage that needs the encoder's masked-language head.
MASKED_LM_ARMS = tuple(
    name
    for name, arm in ARM_TABLE.items()
    if arm.stage1 is not None and arm.stage1.loss.name == "masked_tokens"
)
# Vanilla, then a head trained anew on its frozen encoder.
HEAD_ARMS = tuple(name for name, arm in ARM_TABLE.items() if arm.head is not None)

_EVERY_ARM_READS = ("arm", "imbalance_ratio")
_EVERY_STAGE_READS = (
    *_EVERY_ARM_READS,
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
    """Return a trained arm's entry of the table.

    Raises
    ------
    ConfigurationError
        Unknown arm.
    """
    if name not in ARMS:
        raise ConfigurationError(f"unknown arm {name!r}; expected one of {', '.join(ARMS)}")
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
    entry = arm_of("vanilla" if arm == POSTHOC_ARM else arm)
    if entry.features is not None:
        return _EVERY_ARM_READS
    reads = {*_EVERY_STAGE_READS, *_STAGE2_READS, *stage_reads(entry.stage2)}
    if entry.length == "given":
        reads.remove("stage2_epochs")
    if entry.length == "both":
        reads.update(_STAGE1_LENGTH)
    if entry.stage1 is not None:
        reads.update(_STAGE1_READS, stage_reads(entry.stage1))
        reads.difference_update(entry.stage1.fixed)
    if entry.head is not None:
        reads.update(_HEAD_READS, entry.head)
    return tuple(f.name for f in dataclasses.fields(TrialSettings) if f.name in reads)


def stage_reads(stage: StageChoice) -> tuple[str, ...]:
    """Return the settings that decide a stage's texts and its loss."""
    return (*stage.texts.reads, *stage.loss.reads)


def stage1_recipe(settings: TrialSettings) -> str | None:
    """Return the recipe of the stage-1 set that an arm trains on; None where it has none."""
    arm = arm_of(settings.arm)
    choices = {stage.texts for stage in (arm.stage1, arm.stage2) if stage is not None}
    if DUPLICATED in choices:
        return duplicated_counterpart(settings.stage1_data)
    return settings.stage1_data if choices & {AUGMENTED, ORIGINAL_AND_AUGMENTED} else None
