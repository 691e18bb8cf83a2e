"""The arms that a study can run beside vanilla and pre-finetuning, and where each gets its settings from.

Four arms run in every study: the reference ``vanilla``, post-hoc logit adjustment of its logits (free),
``vanilla_matched``, and the searched ``prefinetune``. :data:`CONTROLS` are the others, chosen by name.

A control is tuned by a search of its own, or it runs once at settings that were tuned for another arm:

- :data:`MATCHED` arms say what a part of the leading pre-finetuning trial contributes, so they take that trial's
  settings or its steps.
- Every other arm takes the settings of the reference vanilla.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.settings import ARMS, POSTHOC_ARM, duplicated_counterpart

ALWAYS = ("vanilla", POSTHOC_ARM, "vanilla_matched", "prefinetune")
CONTROLS = tuple(arm for arm in ARMS if arm not in ALWAYS)
MATCHED = ("vanilla_matched", "prefinetune_duplicated", "augment_single_stage")
# What makes an arm what it is whatever it takes over; a search of its own may try other rates.
_RATES_AND_AXES: dict[str, dict[str, Any]] = {
    # Its paper finetunes at a tenth of the first stage's rate (arXiv 2207.10858).
    "two_stage_reweight": {
        "stage1_trainable": "last_block",
        "head": "keep",
        "stage1_learning_rate": 1e-4,
        "stage2_learning_rate": 1e-5,
    },
}


def defining_settings(arm: str, taken_over: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes an arm what it is beside the configuration that it takes over from another one.

    Duplicates have the rows of that configuration's own recipe, so that they differ from it in the augmentation alone.
    """
    if arm == "prefinetune_duplicated":
        return {"stage1_data": duplicated_counterpart(taken_over["stage1_data"])}
    return _RATES_AND_AXES.get(arm, {})


def settings_of(arm: str) -> tuple[str, ...]:
    """Return the names of the settings that influence an arm: :func:`trainables.method.arms.settings_of`."""
    # The table of arms holds their losses and so loads torch, which study.compare does without.
    from trainables.method import arms

    return arms.settings_of(arm)
