"""Values that studies of short texts share; a study file states where it differs.

The search spaces are grids, not continuous ranges, so that configurations with the same stage-1 values share the
augmentations and the training of stage 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from study.config.arms import ALL_CONTROLS, CONTROLS, Grid, arm_space


def arm_spaces(space: Mapping[str, Grid], *, rates: Grid, epochs: Grid) -> dict[str, dict[str, Grid]]:
    """Return a small space for every control, see :func:`study.config.arms.arm_space`.

    Each grid holds 40 configurations or more: as many as the cluster preset's pre-finetuning tries at one of five
    ratios.
    """
    return {arm: arm_space(arm, space, rates=rates, epochs=epochs) for arm in CONTROLS}


# Chosen by reading augmentations of drug labels: these keep values with their words. Deletions drop what a value
# refers to, and WordNet picks wrong senses. In these texts safe neighbours run out at a strength of about .1, and
# swaps garble the text above .2.
OPERATORS: Grid = ("embedding_neighbours", "aeda", "random_swap", "eda")  # EDA is the paper's second choice
STRENGTHS: Grid = (0.05, 0.1, 0.2)

# The paper trains the topmost layer on as many rows of each class; all layers and larger sets are what it did not try.
STAGE1_AS_IN_THE_PAPER_OR_LARGER: dict[str, Grid] = {
    "stage1_data": ("augmented_equal", "augmented_balanced"),
    "stage1_trainable": ("last_block", "last_2", "all"),
}
# Every search begins with it (with EDA, because back-translation needs a translator). The arm `paper` back-translates
# where that is possible.
PAPERS_RECIPE: dict[str, Any] = {
    "operator": "eda",
    "strength": 0.1,
    "copies": 2,
    "stage1_data": "augmented_equal",
    "stage1_trainable": "last_block",
    "stage1_epochs": 1.0,
    "stage1_learning_rate": 1e-4,
    "stage2_epochs": 3.0,
    "stage2_learning_rate": 1e-5,
}

# The packaged encoder is a fifth of the paper's, and a laptop's draws are some hundred rows: at the paper's rates fifty
# steps leave every arm predicting the majority alone. So its rates are ten times as high there, and the grids lie
# around them.
SMALL = 10.0
_SMALL_RATES = {
    name: SMALL * PAPERS_RECIPE[name] for name in ("stage1_learning_rate", "stage2_learning_rate")
}

PREFINETUNING: dict[str, Any] = {
    "objective": "val/macro_f1",
    "space": {
        "operator": OPERATORS,
        "strength": STRENGTHS,
        "copies": (1, 2),
        **STAGE1_AS_IN_THE_PAPER_OR_LARGER,
        "stage1_epochs": (0.5, 1.0),
        "stage1_learning_rate": (1e-4, 3e-4, 1e-3),
        "stage2_epochs": (2.0, 3.0, 4.0, 6.0),
        "stage2_learning_rate": (1e-4, 2e-4, 3e-4, 5e-4),
    },
    "first": {**PAPERS_RECIPE, **_SMALL_RATES},
}
# Vanilla and every single-stage control are tuned on one grid; its lowest rate is ten times the paper's.
_RATES: Grid = (1e-4, 2e-4, 3e-4, 5e-4, 7e-4)
_EPOCHS: Grid = (2.0, 3.0, 4.0, 6.0, 8.0)
PREFINETUNING["reference_space"] = arm_space("vanilla", PREFINETUNING["space"], rates=_RATES, epochs=_EPOCHS)
PREFINETUNING["arm_spaces"] = arm_spaces(PREFINETUNING["space"], rates=_RATES, epochs=_EPOCHS)

# Runs every step once: a test of the installation, not of the method.
SMOKE: dict[str, Any] = {
    "paper": _SMALL_RATES,
    "encoder_layers": 2,
    "max_length": 48,
    "imbalance_ratios": (0.1,),
    "max_train_rows": 300,
    "max_validation_rows": 200,
    "trials": 4,
    "replicates": 2,
    "finalists": 1,
    "screening_replicates": 1,
    "confirmation_replicates": 2,  # which can show nothing
    # One recipe, not tuned; the report says so.
    "reference_space": {"stage2_learning_rate": (2e-4,), "stage2_epochs": (6.0,)},
}

LAPTOP: dict[str, Any] = {
    "paper": _SMALL_RATES,
    "max_length": 64,
    "imbalance_ratios": ("natural", 0.1),
    "max_train_rows": 800,
    "max_sample_rows": 320,
    "max_validation_rows": 500,
    "trials": 8,
    "replicates": 3,
    "finalists": 2,
    "confirmation_replicates": 10,
    # The control that is the hardest to beat for little cost.
    "arms": ("logit_adjustment",),
}

ON_GPUS: dict[str, Any] = {
    "gpus_per_trial": None,  # as many trials on a GPU as its memory holds
    "concurrency": 32,  # cluster.yaml may start 8 workers, each with a GPU and 4 CPUs
    # In use at once: 32 trials, each with a state of 1.31 GB and 3 lengths of 0.44 GB, are 84 GB. Checkpoints may
    # take another 42 GB of the disk.
    "cache_gb": 90.0,
}

# The paper's encoder, at a commit.
BERT: dict[str, Any] = {
    "encoder": "google-bert/bert-base-uncased",
    "encoder_revision": "86b5e0934494bd15c9632b12f734a8a67f723594",
}

CLUSTER: dict[str, Any] = {
    **BERT,
    "max_length": 128,
    "imbalance_ratios": ("natural", 0.5, 0.2, 0.1, 0.05, 0.02),
    "trials": 200,
    "replicates": 10,
    "finalists": 6,
    "screening_replicates": 5,
    "confirmation_replicates": 10,
    "grace_replicates": 2,
    "startup_trials": 10,
    **ON_GPUS,
    "space": {
        "operator": OPERATORS,
        "strength": STRENGTHS,
        "copies": (1, 2, 4),
        **STAGE1_AS_IN_THE_PAPER_OR_LARGER,
        "stage1_epochs": (1.0, 2.0, 4.0),
        "stage1_learning_rate": (2e-5, 5e-5, 1e-4),
        "stage2_epochs": (1.0, 2.0, 3.0, 4.0, 8.0),
        "stage2_learning_rate": (1e-5, 2e-5, 5e-5, 1e-4),
    },
    "first": PAPERS_RECIPE,
    # Every control, with as many configurations and replicates as pre-finetuning gets, or its whole grid if smaller.
    "arms": ALL_CONTROLS,
    "arm_trials": "same",
}
_BERT_RATES: Grid = (5e-6, 1e-5, 2e-5, 3e-5, 5e-5, 1e-4)
_BERT_EPOCHS: Grid = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
CLUSTER["reference_space"] = arm_space("vanilla", CLUSTER["space"], rates=_BERT_RATES, epochs=_BERT_EPOCHS)
CLUSTER["arm_spaces"] = arm_spaces(CLUSTER["space"], rates=_BERT_RATES, epochs=_BERT_EPOCHS)


def presets(
    smoke: Mapping[str, Any] | None = None,
    laptop: Mapping[str, Any] | None = None,
    cluster: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the three presets with a study's own values over the shared ones.

    A value replaces the shared one as a whole: a ``space`` has to name every setting that it searches. Controls keep
    the grids of :data:`PREFINETUNING` unless ``arm_spaces`` is given too.
    """
    return {
        "smoke": {**SMOKE, **(smoke or {})},
        "laptop": {**LAPTOP, **(laptop or {})},
        "cluster": {**CLUSTER, **(cluster or {})},
    }
