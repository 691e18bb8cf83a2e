"""The arms as a study runs them: which always run, which are chosen by name, and where each gets its settings.

Seven arms run in every study: the reference ``vanilla``, post-hoc logit adjustment of its logits (free),
``vanilla_matched``, the recipe of the ``paper``, the linear classifiers ``tfidf_lr`` and ``frozen_lr`` (seconds), and
the searched ``prefinetune``. :data:`CONTROLS` are the others, chosen by name.

A control is tuned by a search of its own, or it runs once at settings that were tuned for another arm:

- :data:`MATCHED` arms measure what one part of the leading pre-finetuning trial contributes, so they take that
  trial's settings or its number of steps.
- Every other arm takes the settings of the reference vanilla.

Linear classifiers read no settings: they tune themselves in every replicate, by cross-validation inside its training
rows.

All of it follows from :data:`trainables.method.arms.ARM_TABLE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.method.arms import ARM_TABLE, ARMS, arm_of, settings_of
from trainables.method.texts import DUPLICATED
from trainables.settings import duplicated_counterpart

Grid = tuple[Any, ...]

ALWAYS = tuple(name for name, arm in ARM_TABLE.items() if arm.in_every_study)
CONTROLS = tuple(arm for arm in ARMS if not ARM_TABLE[arm].in_every_study)
# What ``all`` means: a second search for vanilla is of use only beside a reference vanilla that is not tuned.
ALL_CONTROLS = tuple(arm for arm in CONTROLS if not ARM_TABLE[arm].only_tuned)
MATCHED = tuple(arm for arm in ARMS if ARM_TABLE[arm].takes_from_leading_trial)
# Lengths and learning rates of a head that is trained anew. Vanilla is not trained again for these arms: they take
# the reference's encoder, so only the head's settings are searched.
_HEAD_GRID: Mapping[str, Grid] = {
    "head_epochs": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
    "head_learning_rate": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
}
# Settings, with their grids, that an arm with augmented rows or a first stage shares with pre-finetuning.
_SHARED_WITH_PREFINETUNING = ("operator", "strength", "copies", "stage1_learning_rate", "stage1_epochs")


def defining_settings(arm: str, taken_over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that define an arm, to be laid over the configuration that it takes over from another arm.

    Duplicates follow the row recipe of that configuration, so that they differ from it only in the augmentation.
    A search of the arm's own may try other learning rates.
    """
    entry = arm_of(arm)
    if _is_duplicated(arm):
        return {"stage1_data": duplicated_counterpart(taken_over["stage1_data"])}
    return {**(entry.stage1.fixed if entry.stage1 is not None else {}), **entry.recipe}


def arm_space(arm: str, prefinetuning: Mapping[str, Grid], *, rates: Grid, epochs: Grid) -> dict[str, Grid]:
    """Return a small search space for a control: vanilla's settings and its own.

    Parameters
    ----------
    arm
        One of :data:`CONTROLS`.
    prefinetuning
        Pre-finetuning's space. Arms with augmented rows or with a first stage take these grids from it.
    rates, epochs
        Learning rates and lengths of stage 2, the only stage of a single-stage arm.
    """
    entry = arm_of(arm)
    if entry.head is not None:
        return {**_HEAD_GRID, **entry.grid}
    reads = settings_of(arm)
    space = {name: prefinetuning[name] for name in _SHARED_WITH_PREFINETUNING if name in reads}
    recipes = tuple(dict.fromkeys(map(duplicated_counterpart, prefinetuning.get("stage1_data", ()))))
    if recipes and _is_duplicated(arm):
        space["stage1_data"] = recipes
    own_rate = entry.recipe.get("stage2_learning_rate")
    return {
        **space,
        "stage2_learning_rate": rates if own_rate is None else tuple(sorted({own_rate, *rates})),
        "stage2_epochs": tuple(entry.epochs_scale * n for n in epochs),
        "warmup": (0.0, 0.1),
        **entry.grid,
    }


def _is_duplicated(arm: str) -> bool:
    stage1 = arm_of(arm).stage1
    return stage1 is not None and stage1.texts is DUPLICATED
