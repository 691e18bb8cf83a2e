"""What a study is: a flat set of values that a search-space file gives and the command line overrides."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from study.config.arms import ALWAYS, CONTROLS
from study.config.values import length_faults, value_faults
from trainables.augment.registry import option_faults
from trainables.corpora.split_settings import GROUP, SPLIT_BY, SplitSettings
from trainables.method.arms import ARMS, PAPER_ARM, TWO_STAGE_ARMS, settings_of
from trainables.reuse.lengths import StageLengths
from trainables.rules import (
    BETWEEN,
    LIST,
    NAMES,
    NOT_NEGATIVE,
    OBJECT,
    POSITIVE,
    SHARE,
    TEXT,
    YES_OR_NO,
    Rule,
    field_faults,
    is_whole,
    marked,
    number,
    one_of,
    optional,
    ruled,
    unknown,
    whole,
)
from trainables.settings import NATURAL, PROFILES, TrialSettings, augments, duplicated_counterpart

SAME = "same"
_ARM_TRIALS = Rule(
    "a whole number of at least 0, 'same' or none", lambda v: v in (None, SAME) or (is_whole(v) and v >= 0)
)
# Metrics of which more is better: the search, the races and the tuning of vanilla all maximise.
OBJECTIVES = tuple(
    f"val/{name}"
    for name in ("macro_f1", "balanced_accuracy", "minority_auprc", "mcc", "accuracy", "micro_f1_minority")
)


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """All values of a study.

    Values marked ``execution`` change neither its trials nor what they measure: a resumed launch may change them.
    Values marked ``later`` came after the first studies, which had what is now their default.

    Attributes
    ----------
    name, preset
        Which study, at which size.
    corpus, data, corpus_options
        Corpus reader, where its data lies (None: the reader's own default) and the reader's options.
    encoder, encoder_revision, encoder_layers, max_length
        Hub name or path (``minilm`` is packaged), pinned revision, number of encoder layers used (None: all)
        and number of tokens that texts are cut to.
    max_unknown_share
        Largest share of the training and validation texts' tokens, and of the texts themselves, of which the encoder
        may know nothing (1: any).
    imbalance_ratios, profile
        Ratios that the search covers evenly, and how counts fall between majority and minority.
    class_order
        Names of the classes that come first, from the majority down; the others follow by count.
    keep_short_classes
        A class with fewer rows than the profile gives it keeps all of them; otherwise n_max must suit every class.
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
    split_by, validation_fraction, test_fraction, folds, fold
        See :class:`trainables.corpora.split_settings.SplitSettings`.
    space
        Each searched setting with its grid of values. ``imbalance_ratio`` is added from ``imbalance_ratios``.
    fixed
        Settings that are not searched, where they differ from
        :class:`~trainables.settings.TrialSettings`' defaults.
    first
        Values of the first trial at every ratio; its other values are sampled.
    trials
        Configurations of pre-finetuning that the search proposes, over all ratios.
    arms
        Controls from :data:`study.config.arms.CONTROLS` to run in addition to those of every study.
    arm_trials
        Number of configurations that each of these controls' own search proposes at each ratio; ``"same"`` for
        as many as pre-finetuning gets there. None: they run at settings tuned for another arm, see
        :mod:`study.config.arms`.
    paper
        Values of the arm ``paper`` where this study's differ from :data:`trainables.method.arms.ARM_TABLE`'s.
    arm_spaces
        Grids that each arm's search covers, ``{arm: {setting: values}}``; used where ``arm_trials`` is given.
    replicates
        Replicates of a trial that is never raced out, and of the reference vanilla.
    grace_replicates, reduction_factor
        Racing: replicates before a trial can be stopped, and the factor of which the share 1/reduction_factor goes on.
    startup_trials
        Trials per ratio that are sampled at random before Optuna's model is used.
    reference_space
        Grids of the reference vanilla's settings. With one value each they are a fixed recipe.
    reference_tuning_replicates
        Replicates on which the reference's grid is compared.
    operator_options
        Options of augmentation operators, ``{operator: {option: value}}``.
    objective
        Validation metric whose gain over the reference vanilla is maximised.
    seed
        Seed of the study.
    workers_per_trial, cpus_per_trial, gpus_per_trial, concurrency
        Resources. ``concurrency`` None: as many trials as fit. ``gpus_per_trial`` None: as many trials share a GPU
        as its memory is estimated to hold; but where a trial has several workers, each gets a whole GPU, and so does
        a trial on a cluster that has no GPU yet.
    cache_gb
        Size limit, in GB, of the cache of augmentations and stages. Checkpoints of unfinished stages and paid
        answers come on top of it, see :class:`trainables.reuse.cache.ContentCache`.
    checkpoint_every_s
        Seconds between two checkpoints within a stage; shorter stages write none.
    """

    name: str
    preset: str
    corpus: str
    data: str | None = ruled(None, optional(TEXT), execution=True)
    corpus_options: Mapping[str, Any] = ruled({}, OBJECT)
    encoder: str = ruled("minilm", TEXT)
    encoder_revision: str | None = ruled(None, optional(TEXT))
    encoder_layers: int | None = ruled(None, optional(whole(1)))
    max_length: int = ruled(128, whole(8))
    max_unknown_share: float = ruled(0.2, SHARE, execution=True)
    imbalance_ratios: tuple[float | str, ...] = ruled((NATURAL,), LIST)
    profile: str = ruled("step", one_of(*PROFILES))
    class_order: tuple[str, ...] = ruled((), NAMES, later=True)
    keep_short_classes: bool = ruled(False, YES_OR_NO, later=True)
    max_train_rows: int | None = ruled(None, optional(whole(1)))
    max_validation_rows: int | None = ruled(None, optional(whole(1)))
    max_sample_rows: int | None = ruled(None, optional(whole(1)))
    n_max: int | None = ruled(None, optional(whole(1)))
    validation_per_class: int | None = ruled(None, optional(whole(1)))
    separate_near_duplicates: bool = ruled(True, YES_OR_NO)
    split_by: str = ruled(GROUP, one_of(*SPLIT_BY), later=True)
    validation_fraction: float | None = ruled(None, optional(BETWEEN), later=True)
    test_fraction: float | None = ruled(None, optional(BETWEEN), later=True)
    folds: int | None = ruled(None, optional(whole(2)), later=True)
    fold: int | None = ruled(None, optional(whole(1)), later=True)
    space: Mapping[str, tuple[Any, ...]] = ruled({}, OBJECT)
    fixed: Mapping[str, Any] = ruled({}, OBJECT)
    first: Mapping[str, Any] = ruled({}, OBJECT)
    trials: int = ruled(8, whole(1), execution=True)
    arms: tuple[str, ...] = ruled((), LIST, execution=True)
    arm_trials: int | str | None = ruled(None, _ARM_TRIALS, execution=True)
    paper: Mapping[str, Any] = ruled({}, OBJECT, execution=True)
    arm_spaces: Mapping[str, Mapping[str, tuple[Any, ...]]] = ruled({}, OBJECT)
    replicates: int = ruled(3, whole(1))
    grace_replicates: int = ruled(1, whole(1))
    reduction_factor: float = ruled(2.0, number("a number above 1", lambda v: v > 1))
    startup_trials: int = ruled(4, whole(1))
    reference_space: Mapping[str, tuple[Any, ...]] = ruled({}, OBJECT)
    reference_tuning_replicates: int = ruled(1, whole(1))
    operator_options: Mapping[str, Mapping[str, Any]] = ruled({}, OBJECT)
    objective: str = ruled("val/macro_f1", one_of(*OBJECTIVES))
    seed: int = ruled(0, whole())
    workers_per_trial: int = ruled(1, whole(1))
    cpus_per_trial: float = ruled(1.0, POSITIVE, execution=True)
    gpus_per_trial: float | None = ruled(0.0, optional(NOT_NEGATIVE), execution=True)
    concurrency: int | None = ruled(None, optional(whole(1)), execution=True)
    cache_gb: float = ruled(20.0, POSITIVE, execution=True)
    checkpoint_every_s: float = ruled(300.0, POSITIVE, execution=True)

    def row_bound(self, is_sample: bool) -> int | None:
        """Return the bound on the rows of a draw, which may be lower for the generated sample than for real texts."""
        bounds = [self.max_train_rows, self.max_sample_rows if is_sample else None]
        return min((bound for bound in bounds if bound is not None), default=None)

    def identity(self) -> dict[str, Any]:
        """Return the values that a resumed launch must share, in the form in which they come back from JSON."""
        execution = marked(self, "execution")
        # A value that did not exist is told by its absence, so that older studies can be resumed.
        unchanged = [k for k in marked(self, "later") if getattr(self, k) == getattr(type(self), k)]
        asked = dataclasses.asdict(self).items()
        values = {k: v for k, v in asked if k not in execution and k not in unchanged}
        return dict(json.loads(json.dumps(values)))

    def split_settings(self) -> SplitSettings:
        """Return how the corpus is split."""
        names = [field.name for field in dataclasses.fields(SplitSettings) if field.name != "by"]
        return SplitSettings(by=self.split_by, **{name: getattr(self, name) for name in names})

    def tuned_arms(self) -> tuple[str, ...]:
        """Return the chosen controls that get a search of their own."""
        return tuple(arm for arm in self.arms if self.arm_trials and arm in CONTROLS)

    def stage1_grid(self) -> StageLengths:
        """Return the lengths of stage 1 that any search of this study may propose.

        The stages of different arms can be one and the same, so they share one grid.
        """
        tuned = (self.arm_spaces.get(arm, {}) for arm in self.tuned_arms() if arm in TWO_STAGE_ARMS)
        spaces = (self.space, *tuned)
        epochs = {float(length) for space in spaces for length in space.get("stage1_epochs", ())}
        steps = {length for space in spaces for length in space.get("stage1_steps", ())}
        if None in steps:  # no length in steps means the default length in epochs
            epochs.add(TrialSettings.stage1_epochs)
        return StageLengths(tuple(sorted(epochs)), tuple(sorted(steps - {None})))

    def faults(self) -> list[str]:
        """Return every fault of these values; an empty list means that they can work.

        A rule about several values is not checked where one of them is already wrong.
        """
        wrong = field_faults(self)
        together: tuple[tuple[Callable[[], list[str]], tuple[str, ...]], ...] = (
            (self._ratio_faults, ("imbalance_ratios",)),
            (
                lambda: self.split_settings().faults(),
                ("validation_fraction", "test_fraction", "folds", "fold"),
            ),
            (self._trial_faults, ("trials", "imbalance_ratios")),
            (self._replicate_faults, ("replicates", "grace_replicates", "reference_tuning_replicates")),
            (self._worker_faults, ("workers_per_trial", "gpus_per_trial")),
            (self._space_faults, ("space", "fixed", "first")),
            (self._reference_space_faults, ("reference_space", "fixed")),
            (self._fixed_faults, ("fixed", "arms")),
            (self._paper_faults, ("paper",)),
            (self._arm_faults, ("arms",)),
            (self._arm_space_faults, ("arm_spaces", "fixed")),
            (self._tuning_faults, ("arms", "arm_spaces", "arm_trials")),
            (lambda: option_faults(self.operator_options), ("operator_options",)),
        )
        faults = [fault for check, fields in together if not wrong.keys() & {*fields} for fault in check()]
        return [*wrong.values(), *faults]

    def wrong_fields(self) -> frozenset[str]:
        """Return the names of the values that break their own rule and so must not be used."""
        return frozenset(field_faults(self))

    def _ratio_faults(self) -> list[str]:
        faults = []
        if not self.imbalance_ratios:
            faults.append("imbalance_ratios is empty: give at least one ratio in (0, 1], or 'natural'.")
        for ratio in self.imbalance_ratios:
            faults.extend(value_faults("imbalance_ratio", ratio))
        possible = [ratio for ratio in self.imbalance_ratios if not value_faults("imbalance_ratio", ratio)]
        if len(set(possible)) < len(possible):
            faults.append(
                f"imbalance_ratios {list(self.imbalance_ratios)} names a ratio twice: name each once."
            )
        return faults

    def _trial_faults(self) -> list[str]:
        ratios = len(self.imbalance_ratios)
        if self.trials >= ratios:
            return []
        return [
            f"trials is {self.trials} for {ratios} imbalance ratios: some would get no trial. Give at least "
            f"{ratios}, or fewer ratios (--imbalance-ratio)."
        ]

    def _replicate_faults(self) -> list[str]:
        return [
            f"{name} is {getattr(self, name)}, more than replicates ({self.replicates}): "
            f"lower {name} or raise replicates."
            for name in ("grace_replicates", "reference_tuning_replicates")
            if getattr(self, name) > self.replicates
        ]

    def _worker_faults(self) -> list[str]:
        if self.workers_per_trial == 1 or (self.gpus_per_trial or 0) % 1 == 0:
            return []
        return [
            f"gpus_per_trial is {self.gpus_per_trial} with {self.workers_per_trial} workers per trial: "
            "every worker needs whole GPUs. Give a whole number, or one worker."
        ]

    def _space_faults(self) -> list[str]:
        faults = self._grid_faults("space", self.space, "prefinetune")
        for name, value in self.first.items():
            faults.extend(value_faults(name, value))
            if name not in self.space:
                faults.append(
                    f"first names {name!r}, which space does not search: remove it or add it to space."
                )
            elif isinstance(self.space[name], (tuple, list)) and value not in self.space[name]:
                faults.append(
                    f"first[{name!r}] is {value!r}, which is not on the grid {list(self.space[name])}."
                )
        return faults

    def _reference_space_faults(self) -> list[str]:
        return self._grid_faults("reference_space", self.reference_space, "vanilla")

    def _fixed_faults(self) -> list[str]:
        faults = [fault for name, value in self.fixed.items() for fault in value_faults(name, value)]
        if "imbalance_ratio" in self.fixed:
            faults.append("fixed names imbalance_ratio: give the ratios as imbalance_ratios instead.")
        read = {name for arm in (*ALWAYS, *self.arms) if arm in ARMS for name in settings_of(arm)}
        faults += [
            f"fixed names {name!r}, which no arm of this study reads: remove it, or choose an arm that does "
            f"({_readers(name)})."
            for name, value in self.fixed.items()
            if name != "imbalance_ratio" and not value_faults(name, value) and name not in read
        ]
        return faults

    def _paper_faults(self) -> list[str]:
        faults = [fault for name, value in self.paper.items() for fault in value_faults(name, value)]
        own = [name for name in settings_of(PAPER_ARM) if name not in ("arm", "imbalance_ratio")]
        return faults + [
            f"paper names {name!r}, which the arm paper does not read; it reads {', '.join(own)}."
            for name, value in self.paper.items()
            if not value_faults(name, value) and name not in own
        ]

    def _grid_faults(self, where: str, space: Mapping[str, Any], arm: str) -> list[str]:
        """Return the faults of one search space, given the arm that runs its configurations."""
        if not isinstance(space, Mapping):
            return [f"{where} is {space!r}: an object of settings with their grids was expected."]
        taken_over = self.fixed if arm in ("prefinetune", "vanilla") else ()
        faults = length_faults(where, (*space, *taken_over))
        for name, values in space.items():
            if name == "imbalance_ratio":
                faults.append(f"{where} names imbalance_ratio: give the ratios as imbalance_ratios instead.")
            elif not isinstance(values, (tuple, list)) or not values:
                faults.append(f"{where}[{name!r}] is {values!r}: a list of at least one value was expected.")
            elif len({*map(repr, values)}) < len(values):
                faults.append(f"{where}[{name!r}] is {list(values)}: it names a value twice, name each once.")
            else:
                wrong = [fault for value in values for fault in value_faults(name, value)]
                faults += dict.fromkeys(wrong)
                if not wrong and (arm, name) == ("prefinetune_duplicated", "stage1_data"):
                    faults += [
                        f"{where} names {value!r}: this arm augments nothing, name {duplicated_counterpart(value)!r}."
                        for value in filter(augments, values)
                    ]
                if not wrong and name not in settings_of(arm):
                    faults.append(
                        f"{where} names {name!r}, which {arm} does not read: search it in arm_spaces for an arm "
                        f"that does ({_readers(name)}), or remove it."
                    )
        return faults

    def _arm_faults(self) -> list[str]:
        faults = [
            unknown("an arm", arm, (*CONTROLS, *ALWAYS)) for arm in self.arms if arm not in CONTROLS + ALWAYS
        ]
        if len({*map(repr, self.arms)}) < len(self.arms):
            faults.append(f"arms {list(self.arms)} names an arm twice: name each once.")
        return faults

    def _arm_space_faults(self) -> list[str]:
        faults = []
        for arm, space in self.arm_spaces.items():
            if arm not in CONTROLS:
                faults.append(unknown("an arm of arm_spaces", arm, CONTROLS))
            else:
                faults += self._grid_faults(f"arm_spaces[{arm!r}]", space, arm)
        return faults

    def _tuning_faults(self) -> list[str]:
        return [
            f"arm_trials is {self.arm_trials!r}, but arm_spaces has no grid for {arm!r}: add one, or set "
            "arm_trials to 0 to run it at settings tuned for another arm."
            for arm in self.tuned_arms()
            if not self.arm_spaces.get(arm)
        ]


def _readers(name: str) -> str:
    return ", ".join(arm for arm in ARMS if name in settings_of(arm)) or "there is none"
