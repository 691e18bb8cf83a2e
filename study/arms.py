"""The arms that a study can run beside vanilla and pre-finetuning, and where each gets its settings from.

Four arms run in every study: the reference ``vanilla``, post-hoc logit adjustment of its logits (free),
``vanilla_matched``, and the searched ``prefinetune``. :data:`CONTROLS` are the others, chosen by name.

A control is tuned by a search of its own, or it runs once at settings that were tuned for another arm:

- :data:`MATCHED` arms say what a part of the leading pre-finetuning trial contributes, so they take that trial's
  settings or its steps.
- Every other arm takes the settings of the reference vanilla.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from trainables.errors import ConfigurationError
from trainables.settings import ARMS, POSTHOC_ARM, TrialSettings

ALWAYS = ("vanilla", POSTHOC_ARM, "vanilla_matched", "prefinetune")
CONTROLS = tuple(arm for arm in ARMS if arm not in ALWAYS)
MATCHED = ("vanilla_matched", "prefinetune_duplicated", "augment_single_stage")
# What makes an arm what it is, whatever the settings that it takes over.
DEFINING_SETTINGS: dict[str, dict[str, Any]] = {
    "prefinetune_duplicated": {"stage1_data": "duplicated_balanced"},
    "two_stage_reweight": {"stage1_trainable": "last_block", "head": "keep"},
}

_EVERY_STAGE = (
    "arm",
    "imbalance_ratio",
    "warmup",
    "batch_size",
    "weight_decay",
    "max_grad_norm",
    "layer_decay",
    "dropout",
)
_STAGE1 = ("stage1_schedule", "stage1_epochs", "stage1_steps", "stage1_learning_rate")
_STAGE2 = ("stage2_schedule", "stage2_epochs", "stage2_steps", "stage2_learning_rate")
_SET = ("stage1_data", "operator", "strength", "copies")
_OWN: dict[str, tuple[str, ...]] = {
    "prefinetune": (*_SET, "stage1_trainable", "head", *_STAGE1),
    "prefinetune_duplicated": ("copies", "stage1_trainable", "head", *_STAGE1),
    "two_stage_reweight": ("beta", *_STAGE1),
    "augment_single_stage": (*_SET, "stage1_epochs", "stage1_steps"),
    "logit_adjustment": ("tau",),
    "weighted": ("weight_power",),
    "class_balanced": ("beta",),
    "focal": ("gamma",),
    "crt": ("head_epochs", "head_learning_rate"),
    "feature_smote": ("head_epochs", "head_learning_rate", "smote_neighbours"),
}


def settings_of(arm: str) -> tuple[str, ...]:
    """Return the names of the settings that influence an arm, in the order of :class:`TrialSettings`.

    Raises
    ------
    ConfigurationError
        Unknown arm.
    """
    if arm not in (*ARMS, POSTHOC_ARM):
        raise ConfigurationError(f"unknown arm {arm!r}; expected one of {', '.join(ARMS)}")
    reads = {*_OWN.get(arm, ()), *_STAGE2, *_EVERY_STAGE}
    if arm == "vanilla_matched":
        reads.remove("stage2_epochs")
    return tuple(field.name for field in fields(TrialSettings) if field.name in reads)
