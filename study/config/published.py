"""What the studies of the source paper share: its arms, its grid and its metric. Nothing is searched but vanilla.

Shi et al., Improving Imbalanced Learning by Pre-finetuning with Data Augmentation, PMLR 183, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from study.config.presets import BERT, ON_GPUS, SMALL
from study.config.study import StudyConfig
from trainables.corpora.split_settings import ROW
from trainables.method.arms import ARM_TABLE, PAPER_ARM
from trainables.rules import is_whole
from trainables.settings import PACKAGED


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure of the paper: the mean over five seeds.

    Attributes
    ----------
    arm, metric
        What was measured.
    mean
        Its mean.
    sem
        Standard error of the mean; None where the paper's text does not state it.
    ratio
        The imbalance ratio.
    protocol
        Values of the study under which it was measured.
    """

    arm: str
    metric: str
    mean: float
    sem: float | None = None
    ratio: float | str = 0.1
    protocol: Mapping[str, Any] = field(default_factory=dict)


_RATE = 1e-5  # of vanilla, and of the recipe's finetuning
# The grid from which the paper took vanilla's batch size and rate.
_BATCH_SIZES = (8, 16, 32)
_RATES = (5e-6, 1e-5, 3e-5, 5e-5)
# The settings as they are, on a cluster. A single length of stage 1 is kept, not three: less cache.
AS_PUBLISHED = {**ON_GPUS, "cache_gb": 60.0}
# Draws of some hundred rows are not worth scoring thousands.
FEW_SCORED = {"max_validation_rows": 200, "max_test_rows": 600}


def as_published(*, batch_size: int, epochs: float, paper_epochs: float | None = None) -> dict[str, Any]:
    """Return a study of the paper's recipe and its baselines at their published settings, scored on the test split.

    Parameters
    ----------
    batch_size
        Rows per optimizer step, of vanilla and of both stages.
    epochs
        Length of vanilla.
    paper_epochs
        Length of the recipe's finetuning (None: as vanilla's).
    """
    return {
        **BERT,
        "objective": "val/micro_f1_minority",
        "test_sets": ("test",),
        "trials": 0,
        "replicates": 5,
        # The paper describes no validation split. Here it is small, and only vanilla's search chooses on it.
        "validation_fraction": 0.05,
        "fixed": {"batch_size": batch_size, "warmup": 0.0},
        "paper": {"batch_size": batch_size, "stage2_epochs": paper_epochs or epochs},
        "reference_space": {"stage2_learning_rate": (_RATE,), "stage2_epochs": (epochs,)},
        "arms": ("oversample", "lp_ft", "vanilla_tuned"),
        "arm_trials": {"vanilla_tuned": len(_BATCH_SIZES) * len(_RATES)},
        "arm_spaces": {"vanilla_tuned": {"batch_size": _BATCH_SIZES, "stage2_learning_rate": _RATES}},
        # All of the grid runs on one replicate, and what leads it on all of them.
        "grace_replicates": 1,
        "reduction_factor": float(len(_BATCH_SIZES) * len(_RATES)),
    }


def on_small_draws(study: dict[str, Any]) -> dict[str, Any]:
    """Return what changes for draws of some hundred rows and the packaged encoder: every learning rate is ten times as
    high, so that vanilla learns all classes in the published number of epochs.

    Parameters
    ----------
    study
        Values of :func:`as_published`.
    """
    [epochs] = study["reference_space"]["stage2_epochs"]
    rates = tuple(SMALL * rate for rate in _RATES)
    return {
        "encoder": "minilm",
        "encoder_revision": None,
        "paper": {
            **study["paper"],
            "stage1_learning_rate": SMALL * 1e-4,
            "stage2_learning_rate": SMALL * _RATE,
        },
        "reference_space": {"stage2_learning_rate": (SMALL * _RATE,), "stage2_epochs": (epochs,)},
        "arm_spaces": {"vanilla_tuned": {"batch_size": _BATCH_SIZES, "stage2_learning_rate": rates}},
    }


def under_the_papers_protocol(config: StudyConfig, split_by: str) -> StudyConfig:
    """Return a study with the paper's recipe and baselines in place of its search, and with another split.

    A study that already has no search keeps its settings. With the texts split at random, only what always runs does:
    figures that leak are not worth the other arms' training. With them split by group, vanilla is tuned as well.

    Parameters
    ----------
    config
        Any study: its corpus, encoder, ratios, bounds and replicates stay, and a given number of ``arm_trials`` is
        that of vanilla's own search.
    split_by
        See :class:`trainables.corpora.split_settings.SplitSettings`.
    """
    changes: dict[str, Any] = {}
    if config.trials:
        study = as_published(batch_size=int(ARM_TABLE[PAPER_ARM].recipe["batch_size"]), epochs=3.0)
        if config.encoder == PACKAGED:
            study |= on_small_draws(study)
        kept = ("encoder", "encoder_revision", "objective", "validation_fraction", "replicates")
        changes = {name: value for name, value in study.items() if name not in kept}
        if is_whole(config.arm_trials) and config.arm_trials:
            changes["arm_trials"] = {"vanilla_tuned": config.arm_trials}
        changes |= {"paper": {**study["paper"], **config.paper}, "space": {}, "first": {}}
        changes |= {
            "confirmation_replicates": 0,
            "until_decided": None,
        }  # every run is scored on the test split
    arms = changes.get("arms", config.arms)
    changes["arms"] = () if split_by == ROW else tuple(dict.fromkeys((*arms, "vanilla_tuned")))
    # Its studies are compared with each other, so no budget may size each for itself.
    return replace(config, name=f"{config.name}-by_{split_by}", split_by=split_by, minutes=None, **changes)


def smoke(study: dict[str, Any]) -> dict[str, Any]:
    """Return what changes for a run that tests the installation, not the method."""
    return {
        **on_small_draws(study),
        "encoder_layers": 2,
        "max_length": 48,
        "max_test_rows": 200,
        "max_validation_rows": 100,
        "replicates": 2,
        "arms": (),
    }
