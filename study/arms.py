"""The arms that a study can run beside vanilla and pre-finetuning, and where each gets its settings from.

Four arms run in every study: the reference ``vanilla``, post-hoc logit adjustment of its logits (free),
``vanilla_matched``, and the searched ``prefinetune``. :data:`CONTROLS` are the others, chosen by name.

An arm is tuned by a search of its own, or runs once at settings that were tuned for another arm:

- :data:`MATCHED` arms say what a part of the leading pre-finetuning trial contributes, so they take that trial's
  settings or steps. Of these only ``prefinetune_duplicated`` can be tuned instead; it then stands on its own.
- Every other arm takes those of the reference vanilla.
"""

from __future__ import annotations

from typing import Any

from trainables.settings import ARMS, POSTHOC_ARM

ALWAYS = ("vanilla", POSTHOC_ARM, "vanilla_matched", "prefinetune")
CONTROLS = tuple(arm for arm in ARMS if arm not in ALWAYS)
MATCHED = ("vanilla_matched", "prefinetune_duplicated", "augment_single_stage")
# Given the steps of another run: with lengths of their own they would no longer be the controls that they are.
NEVER_TUNED = ("vanilla_matched", "augment_single_stage")
# What makes an arm what it is, whatever the settings that it takes over.
DEFINING_SETTINGS: dict[str, dict[str, Any]] = {
    "prefinetune_duplicated": {"stage1_data": "duplicated_balanced"},
    "two_stage_reweight": {"stage1_trainable": "last_block"},
}

_EVERY_STAGE = ("warmup", "batch_size", "weight_decay", "max_grad_norm", "layer_decay", "dropout")
_STAGE1 = (
    "stage1_trainable",
    "stage1_schedule",
    "stage1_epochs",
    "stage1_steps",
    "stage1_learning_rate",
    "head",
)
_STAGE2 = ("stage2_schedule", "stage2_epochs", "stage2_steps", "stage2_learning_rate")
_AUGMENTATION = ("operator", "strength", "copies")
_SINGLE = (*_STAGE2, *_EVERY_STAGE)
_OWN: dict[str, tuple[str, ...]] = {
    "prefinetune": (*_AUGMENTATION, "stage1_data", *_STAGE1),
    "prefinetune_duplicated": ("copies", *_STAGE1),
    "two_stage_reweight": ("beta", *_STAGE1),
    "augment_single_stage": _AUGMENTATION,
    "logit_adjustment": ("tau",),
    "weighted": ("weight_power",),
    "class_balanced": ("beta",),
    "focal": ("gamma",),
    "ldam_drw": ("beta",),
    "crt": ("head_epochs", "head_learning_rate"),
    "feature_smote": ("head_epochs", "head_learning_rate", "smote_neighbours"),
}


def settings_of(arm: str) -> tuple[str, ...]:
    """Return the names of the settings that an arm reads, its imbalance ratio left out."""
    return (*_OWN.get(arm, ()), *_SINGLE)
