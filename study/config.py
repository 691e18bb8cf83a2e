"""What a study is: a flat set of values that a search-space file gives and the command line overrides."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainables import settings as vocabulary
from trainables.augment import OPERATORS, option_faults
from trainables.settings import NATURAL, TrialSettings, digest_of

SEARCHABLE = tuple(f.name for f in dataclasses.fields(TrialSettings) if f.name not in ("arm", "stage2_steps"))
_WHOLE = (
    "max_length", "trials", "replicates", "grace_replicates", "startup_trials", "reference_tuning_replicates",
    "seed", "workers_per_trial",
)  # fmt: skip
_WHOLE_OR_NONE = (
    "encoder_layers", "max_train_rows", "max_sample_rows", "max_validation_rows", "n_max",
    "validation_per_class", "concurrency",
)  # fmt: skip
_NUMBERS = ("reduction_factor", "cpus_per_trial", "cache_gb", "checkpoint_every_s")
# Metrics of which more is better, which is what the search, the races and the tuning of vanilla go by.
OBJECTIVES = tuple(
    f"val/{name}" for name in ("macro_f1", "balanced_accuracy", "minority_auprc", "mcc", "accuracy")
)
CHOICES: dict[str, tuple[str, ...]] = {
    "stage1_data": vocabulary.STAGE1_DATA,
    "stage1_trainable": vocabulary.TRAINABLE,
    "stage1_schedule": vocabulary.SCHEDULES,
    "stage2_schedule": vocabulary.SCHEDULES,
    "head": vocabulary.HEADS,
}
# What changes neither the trials of a study nor what they measure: a resumed launch may differ here.
EXECUTION = (
    "trials", "cpus_per_trial", "gpus_per_trial", "concurrency", "data", "cache_gb", "checkpoint_every_s",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """All values of a study.

    Attributes
    ----------
    name, preset
        Which study, at which size.
    corpus, data, corpus_options
        Corpus reader, where its data lies (None: the reader's own default) and the reader's options.
    encoder, encoder_revision, encoder_layers, max_length
        Hub name or path (``minilm`` is packaged), pinned revision, number of encoder layers used (None: all)
        and tokens a text is cut to.
    imbalance_ratios, profile
        Ratios that the search covers evenly, and how counts fall between majority and minority.
    max_train_rows, max_validation_rows
        Bounds on the rows of a draw and of the validation split (None: no bound).
    max_sample_rows
        Bound on the rows of a draw from the generated sample, whose results mean nothing anyway.
    n_max
        Rows of the majority at every imposed ratio (None: as many as all classes and ``max_train_rows`` allow).
        Ratio 0.02 with n_max 1000 is 20:1000.
    validation_per_class
        Validation rows of every class, drawn at random, as Hu et al. 2019 have it (None: the corpus's prior).
    separate_near_duplicates
        Whether near-duplicates are kept in one part of the split.
    space
        Searched setting to its grid of values. ``imbalance_ratio`` is added from ``imbalance_ratios``.
    fixed
        Settings that are not searched, where they differ from :class:`TrialSettings`' defaults.
    first
        Values of the first trial at every ratio; the rest of it is sampled.
    trials
        Configurations proposed by the search, over all ratios.
    replicates
        Replicates of a trial that is never raced out, and of the reference vanilla.
    grace_replicates, reduction_factor
        Racing: replicates before a trial can be stopped, and the share 1/reduction_factor that goes on.
    startup_trials
        Trials per ratio that are sampled at random before Optuna's model is used.
    reference_space
        Grid of the reference vanilla's settings. A grid of one value each is a fixed recipe.
    reference_tuning_replicates
        Replicates on which the reference's grid is compared.
    operator_options
        Options of augmentation operators, ``{operator: {option: value}}``.
    objective
        Validation metric whose gain over the reference vanilla is maximised.
    seed
        Seed of the study.
    workers_per_trial, cpus_per_trial, gpus_per_trial, concurrency
        Resources; ``concurrency`` None: as many trials as fit; ``gpus_per_trial`` None: as many trials share a GPU
        as its memory holds by an estimate, and every one of several workers gets a whole GPU.
    cache_gb
        Size in GB that the cache of augmentations, stages and checkpoints is kept to.
    checkpoint_every_s
        Seconds between two checkpoints within a stage; a stage shorter than that writes none.
    """

    name: str
    preset: str
    corpus: str
    data: str | None = None
    corpus_options: Mapping[str, Any] = field(default_factory=dict)
    encoder: str = "minilm"
    encoder_revision: str | None = None
    encoder_layers: int | None = None
    max_length: int = 128
    imbalance_ratios: tuple[float | str, ...] = (NATURAL,)
    profile: str = "step"
    max_train_rows: int | None = None
    max_validation_rows: int | None = None
    max_sample_rows: int | None = None
    n_max: int | None = None
    validation_per_class: int | None = None
    separate_near_duplicates: bool = True
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    trials: int = 8
    replicates: int = 3
    grace_replicates: int = 1
    reduction_factor: float = 2.0
    startup_trials: int = 4
    reference_space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    reference_tuning_replicates: int = 1
    operator_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    objective: str = "val/macro_f1"
    seed: int = 0
    workers_per_trial: int = 1
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = 0.0
    concurrency: int | None = None
    cache_gb: float = 20.0
    checkpoint_every_s: float = 300.0

    def row_bound(self, is_sample: bool) -> int | None:
        """Return the bound on the rows of a draw, from real texts or from the generated sample."""
        bounds = [self.max_train_rows, self.max_sample_rows if is_sample else None]
        return min((bound for bound in bounds if bound is not None), default=None)

    def identity(self) -> dict[str, Any]:
        """Return the values that a resumed launch must share, as JSON gives them back."""
        values = {k: v for k, v in dataclasses.asdict(self).items() if k not in EXECUTION}
        return dict(json.loads(json.dumps(values)))

    def digest(self) -> str:
        """Return a digest of :meth:`identity`."""
        return digest_of(self.identity())

    def faults(self) -> list[str]:
        """Return every fault of these values; an empty list means that they can work."""
        wrong_types = self.type_faults()
        if wrong_types:
            return wrong_types
        faults = [*self._ratio_faults(), *self._count_faults(), *self._space_faults()]
        faults += option_faults(self.operator_options)
        if self.objective not in OBJECTIVES:
            faults.append(_unknown("objective", self.objective, OBJECTIVES))
        if self.profile not in vocabulary.PROFILES:
            faults.append(_unknown("profile", self.profile, vocabulary.PROFILES))
        for name, value in (*self.fixed.items(), *self.first.items()):
            faults.extend(_setting_faults(name, value))
        return faults

    def type_faults(self) -> list[str]:
        """Return a fault for every value of a wrong type; with such a value nothing else can be checked."""
        kinds: dict[str, tuple[type | tuple[type, ...], str]] = {
            **dict.fromkeys(_WHOLE, (int, "a whole number")),
            **dict.fromkeys(_WHOLE_OR_NONE, ((int, type(None)), "a whole number or none")),
            **dict.fromkeys(_NUMBERS, ((int, float), "a number")),
            "gpus_per_trial": ((int, float, type(None)), "a number or none"),
            **dict.fromkeys(
                ("space", "reference_space", "fixed", "first", "corpus_options", "operator_options"),
                (Mapping, "a JSON object"),
            ),
            "imbalance_ratios": ((tuple, list), "a list"),
        }
        return [
            f"{name} is {getattr(self, name)!r}: {expected} was expected."
            for name, (kind, expected) in kinds.items()
            if not isinstance(getattr(self, name), kind)
        ]

    def _ratio_faults(self) -> list[str]:
        faults = []
        if not self.imbalance_ratios:
            faults.append("imbalance_ratios is empty: give at least one ratio in (0, 1], or 'natural'.")
        for ratio in self.imbalance_ratios:
            faults.extend(_setting_faults("imbalance_ratio", ratio))
        if len(set(self.imbalance_ratios)) < len(self.imbalance_ratios):
            faults.append(
                f"imbalance_ratios {list(self.imbalance_ratios)} names a ratio twice: name each once."
            )
        return faults

    def _count_faults(self) -> list[str]:
        least = {
            "trials": 1,
            "replicates": 1,
            "grace_replicates": 1,
            "startup_trials": 1,
            "reference_tuning_replicates": 1,
            "workers_per_trial": 1,
            "max_length": 8,
        }
        faults = [
            f"{name} is {getattr(self, name)!r}: a whole number of at least {low} was expected."
            for name, low in least.items()
            if not _is_whole(getattr(self, name)) or getattr(self, name) < low
        ]
        optional = (
            "max_train_rows",
            "max_sample_rows",
            "max_validation_rows",
            "n_max",
            "validation_per_class",
        )
        for name in (*optional, "encoder_layers", "concurrency"):
            value = getattr(self, name)
            if value is not None and (not _is_whole(value) or value < 1):
                faults.append(f"{name} is {value!r}: a whole number of at least 1, or none, was expected.")
        if _is_whole(self.grace_replicates) and _is_whole(self.replicates):
            faults += [
                f"{name} is {getattr(self, name)}, more than replicates ({self.replicates}): "
                f"lower {name} or raise replicates."
                for name in ("grace_replicates", "reference_tuning_replicates")
                if getattr(self, name) > self.replicates >= 1
            ]
        if not _is_number(self.reduction_factor) or self.reduction_factor <= 1:
            faults.append(f"reduction_factor is {self.reduction_factor!r}: a number above 1 was expected.")
        for name in ("cpus_per_trial", "gpus_per_trial", "cache_gb", "checkpoint_every_s"):
            value = getattr(self, name)
            if name == "gpus_per_trial" and value is None:
                continue
            if not _is_number(value) or value < 0 or (name != "gpus_per_trial" and value == 0):
                faults.append(f"{name} is {value!r}: a number above 0 was expected.")
        return faults

    def _space_faults(self) -> list[str]:
        faults = []
        for where, space in (("space", self.space), ("reference_space", self.reference_space)):
            for name, values in space.items():
                if name == "imbalance_ratio":
                    faults.append(
                        f"{where} names imbalance_ratio: give the ratios as imbalance_ratios instead."
                    )
                    continue
                if not isinstance(values, (tuple, list)) or not values:
                    faults.append(
                        f"{where}[{name!r}] is {values!r}: a list of at least one value was expected."
                    )
                    continue
                for value in values:
                    faults.extend(_setting_faults(name, value))
        for name in self.first:
            if name not in self.space:
                faults.append(
                    f"first names {name!r}, which space does not search: remove it or add it to space."
                )
            elif self.first[name] not in self.space[name]:
                faults.append(
                    f"first[{name!r}] is {self.first[name]!r}, which is not on the grid {list(self.space[name])}."
                )
        return faults


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unknown(name: str, value: object, choices: tuple[str, ...] | list[str]) -> str:
    close = difflib.get_close_matches(str(value), list(choices), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{name} is {value!r}: one of {', '.join(choices)} was expected.{hint}"


def _setting_faults(name: str, value: Any) -> list[str]:
    if name not in SEARCHABLE:
        return [_unknown("a searched or fixed setting", name, list(SEARCHABLE))]
    if name in CHOICES:
        return [] if value in CHOICES[name] else [_unknown(name, value, CHOICES[name])]
    if name == "operator":
        return [] if value in OPERATORS else [_unknown("operator", value, list(OPERATORS))]
    if name == "imbalance_ratio":
        valid = value == NATURAL or (_is_number(value) and 0 < value <= 1)
        return (
            [] if valid else [f"imbalance ratio {value!r}: a number in (0, 1], or 'natural', was expected."]
        )
    if name in ("copies", "batch_size"):
        valid = _is_whole(value) and value >= 1
        return [] if valid else [f"{name} is {value!r}: a whole number of at least 1 was expected."]
    if name == "strength":
        valid = _is_number(value) and 0 < value <= 1
        return [] if valid else [f"strength is {value!r}: a number in (0, 1] was expected."]
    if name in ("warmup", "weight_decay"):
        valid = _is_number(value) and 0 <= value < 1
        return [] if valid else [f"{name} is {value!r}: a number in [0, 1) was expected."]
    valid = _is_number(value) and value > 0
    return [] if valid else [f"{name} is {value!r}: a number above 0 was expected."]
