"""What a study is: a flat set of values that a search-space file gives and the command line overrides."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.config.aims import AIMS, GAIN, METRIC
from study.config.arms import CONTROLS
from study.config.ranges import listed_values
from study.config.samplers import SAMPLERS
from trainables.corpora.registry import ORIGINS
from trainables.corpora.split_settings import GROUP, SPLIT_BY, SplitSettings
from trainables.method.arms import MASKED_LM_ARMS, TWO_STAGE_ARMS
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
    whole,
)
from trainables.settings import NATURAL, PROFILES, TrialSettings

SAME = "same"


def _is_arm_trials(value: object) -> bool:
    return value in (None, SAME) or (is_whole(value) and value >= 0)  # type: ignore[operator]


_ARM_TRIALS = Rule(
    "a whole number of at least 0, 'same' or none, or these by arm",
    lambda v: all(map(_is_arm_trials, v.values())) if isinstance(v, Mapping) else _is_arm_trials(v),
)


def lower_bound(rows: int | None, sample_rows: int | None, is_sample: bool) -> int | None:
    """Return the bound on the rows of a draw, which may be lower for the generated sample than for real texts.

    Parameters
    ----------
    rows, sample_rows
        ``max_train_rows`` and ``max_sample_rows``.
    is_sample
        Whether the corpus is the generated sample.
    """
    bounds = (rows, sample_rows if is_sample else None)
    return min((bound for bound in bounds if bound is not None), default=None)


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """All values of a study.

    Values marked ``execution`` change neither its trials nor what they measure: a resumed launch may change them.
    Values marked ``later`` came after the first studies, which had what is now their default.
    Values marked ``sized`` decide how long it takes.

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
    test_sets, max_test_rows
        Test sets that every run is scored on beside validation (``test``: the test split; ``test_skewed``: its rows at
        the imbalance ratio), for a study that chooses nothing and so has no trials; and a bound on the test rows.
    separate_near_duplicates
        Whether near-duplicates, and texts that are equal once they are cut to ``max_length``, are kept in one part of
        the split.
    split_by, validation_fraction, test_fraction, folds, fold, resplit
        See :class:`trainables.corpora.split_settings.SplitSettings`.
    space
        Each searched setting with a list of its values, or with a range of numbers: ``{"low": 1e-5, "high": 1e-3,
        "log": True}`` (log: on a logarithmic scale), or with a ``step`` in place of ``log``. ``imbalance_ratio`` is
        added from ``imbalance_ratios``.
    fixed
        Settings that are not searched, where they differ from
        :class:`~trainables.settings.TrialSettings`' defaults.
    first
        Values of the first trial at every ratio; its other values are sampled.
    minutes
        Time that the study may take, from the start of its first launch to its last model and report (None: as long as
        it takes). Sizes that the command line does not give, those marked ``sized``, are then chosen when it begins.
        A preset's own budget counts where none of them is given.
    trials
        Configurations of pre-finetuning that the search proposes, over all ratios; 0 for a study of arms with fixed
        recipes, in which the recipe of the arm ``paper`` takes the place of the leading trial.
    arms
        Controls from :data:`study.config.arms.CONTROLS` to run in addition to those of every study.
    arm_trials
        Number of configurations that each of these controls' own search proposes at each ratio; ``"same"`` for
        as many as pre-finetuning gets there; or these by arm. None: they run at settings tuned for another arm, see
        :mod:`study.config.arms`.
    paper
        Values of the arm ``paper`` where this study's differ from :data:`trainables.method.arms.ARM_TABLE`'s.
    arm_spaces
        What each arm's search covers, ``{arm: {setting: values or range}}``; used where ``arm_trials`` is given.
    replicates
        Replicates of a trial that is never raced out, and of the reference vanilla.
    grace_replicates, reduction_factor
        Racing: replicates before a trial can be stopped, and the factor of which the share 1/reduction_factor goes on.
    finalists, screening_replicates
        How many leading configurations of every search are scored again, beside its first one, on so many fresh
        replicates, of which the best is confirmed. Without such replicates the leading one is.
    confirmation_replicates, until_decided
        Further replicates on which what was chosen is scored, once, on the test split (0: no confirmation); and up to
        how many of them are added, in blocks, until it is decided (None: none).
    region
        Half the width of the region of practical equivalence: gains within it need not be told apart from 0.
    deployment_prior
        Share of each class, in any unit, among the texts that the study's models are for (empty: the corpus's).
    prior_spread
        Standard deviation of the gain over replicates that a plan assumes while no replicate tells it. The paper's
        recipe had .045 over five replicates of ADME with some hundred training rows; more rows lower it.
    sampler
        What proposes the configurations of every search, see :mod:`study.plan.samplers`.
    warm_start
        Folder of an earlier study, whose finished trials the samplers know from the start (None: of none).
    startup_trials
        Trials per ratio that are sampled at random before Optuna's model is used.
    reference_space
        The reference vanilla's settings with their values or ranges. It is searched with as many trials, replicates and
        races as pre-finetuning; with one value each they are a fixed recipe.
    operator_options
        Options of augmentation operators, ``{operator: {option: value}}``.
    objective
        Validation metric of every gain over the reference vanilla: that of the races, of the finalists, and, on the
        test split, of the verdict.
    aim
        What the samplers pursue: the ``gain`` in it, the ``score`` itself, or ``pareto``: as much gain at as few
        seconds of training as possible. Races, finalists and verdicts go by the gain in any case.
    max_seconds_per_trial
        Seconds that a replicate may train on average, as if no stage of it had come from the cache. A configuration of
        a search that takes longer is infeasible: it ends, leads nothing and is confirmed nowhere (None: no limit).
    seed
        Seed of the study.
    workers_per_trial, cpus_per_trial, gpus_per_trial, concurrency
        Resources. ``concurrency``: at most so many trials at a time, never more than fit (None: as many as fit); on a
        joined cluster, than will fit once it has started its nodes. ``gpus_per_trial`` None: as many trials share a
        GPU as its memory is estimated to hold; but where a trial has several workers, each gets a whole GPU, and so
        does a trial on a cluster that has no GPU yet.
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
    max_train_rows: int | None = ruled(None, optional(whole(1)), sized=True)
    max_validation_rows: int | None = ruled(None, optional(whole(1)), sized=True)
    max_sample_rows: int | None = ruled(None, optional(whole(1)), sized=True)
    n_max: int | None = ruled(None, optional(whole(1)), sized=True)
    validation_per_class: int | None = ruled(None, optional(whole(1)), sized=True)
    test_sets: tuple[str, ...] = ruled((), NAMES, later=True)
    max_test_rows: int | None = ruled(None, optional(whole(1)), later=True, sized=True)
    separate_near_duplicates: bool = ruled(True, YES_OR_NO)
    split_by: str = ruled(GROUP, one_of(*SPLIT_BY), later=True)
    validation_fraction: float | None = ruled(None, optional(BETWEEN), later=True)
    test_fraction: float | None = ruled(None, optional(BETWEEN), later=True)
    folds: int | None = ruled(None, optional(whole(2)), later=True)
    fold: int | None = ruled(None, optional(whole(1)), later=True)
    resplit: bool = ruled(False, YES_OR_NO, later=True)
    space: Mapping[str, Any] = ruled({}, OBJECT)
    fixed: Mapping[str, Any] = ruled({}, OBJECT)
    first: Mapping[str, Any] = ruled({}, OBJECT)
    minutes: float | None = ruled(None, optional(POSITIVE), execution=True)
    trials: int = ruled(8, whole(0), execution=True, sized=True)
    arms: tuple[str, ...] = ruled((), LIST, execution=True)
    arm_trials: int | str | Mapping[str, int | str | None] | None = ruled(
        None, _ARM_TRIALS, execution=True, sized=True
    )
    paper: Mapping[str, Any] = ruled({}, OBJECT, execution=True)
    arm_spaces: Mapping[str, Mapping[str, Any]] = ruled({}, OBJECT)
    replicates: int = ruled(3, whole(1), sized=True)
    grace_replicates: int = ruled(1, whole(1))
    reduction_factor: float = ruled(2.0, number("a number above 1", lambda v: v > 1))
    finalists: int = ruled(3, whole(1), later=True, sized=True)
    screening_replicates: int = ruled(2, whole(0), later=True, sized=True)
    confirmation_replicates: int = ruled(0, whole(0), execution=True, sized=True)
    until_decided: int | None = ruled(None, optional(whole(1)), execution=True, sized=True)
    region: float = ruled(0.01, NOT_NEGATIVE, execution=True)
    deployment_prior: Mapping[str, float] = ruled({}, OBJECT, execution=True)
    prior_spread: float = ruled(0.04, POSITIVE, execution=True)
    sampler: str = ruled("tpe", one_of(*SAMPLERS), execution=True)
    warm_start: str | None = ruled(None, optional(TEXT), execution=True)
    startup_trials: int = ruled(4, whole(1))
    reference_space: Mapping[str, Any] = ruled({}, OBJECT)
    operator_options: Mapping[str, Mapping[str, Any]] = ruled({}, OBJECT)
    objective: str = ruled("val/macro_f1", METRIC)
    aim: str = ruled(GAIN, one_of(*AIMS), later=True)
    max_seconds_per_trial: float | None = ruled(None, optional(POSITIVE), later=True)
    seed: int = ruled(0, whole())
    workers_per_trial: int = ruled(1, whole(1))
    cpus_per_trial: float = ruled(1.0, POSITIVE, execution=True)
    gpus_per_trial: float | None = ruled(0.0, optional(NOT_NEGATIVE), execution=True)
    concurrency: int | None = ruled(None, optional(whole(1)), execution=True)
    cache_gb: float = ruled(20.0, POSITIVE, execution=True)
    checkpoint_every_s: float = ruled(300.0, POSITIVE, execution=True)

    @property
    def budget_s(self) -> float | None:
        """The seconds that the study may take; None for as many as it takes."""
        return None if self.minutes is None else 60.0 * self.minutes

    def row_bound(self, is_sample: bool) -> int | None:
        """Return the bound on the rows of a draw, see :func:`lower_bound`."""
        return lower_bound(self.max_train_rows, self.max_sample_rows, is_sample)

    def identity(self) -> dict[str, Any]:
        """Return the values that a resumed launch must share, in the form in which they come back from JSON."""
        execution = marked(self, "execution")
        # A value that did not exist is told by its absence, so that older studies can be resumed.
        unchanged = [k for k in marked(self, "later") if getattr(self, k) == getattr(type(self), k)]
        asked = dataclasses.asdict(self).items()
        values = {k: v for k, v in asked if k not in execution and k not in unchanged}
        options = self.corpus_options
        if isinstance(options, Mapping):
            values["corpus_options"] = {k: v for k, v in options.items() if k not in ORIGINS}
        return dict(json.loads(json.dumps(values)))

    def every_value(self) -> dict[str, Any]:
        """Return all values, also those that a resumed launch may change, in the form in which JSON keeps them."""
        return dict(json.loads(json.dumps(dataclasses.asdict(self))))

    def split_settings(self) -> SplitSettings:
        """Return how the corpus is split."""
        names = [field.name for field in dataclasses.fields(SplitSettings) if field.name != "by"]
        return SplitSettings(by=self.split_by, **{name: getattr(self, name) for name in names})

    def tuned_arms(self) -> tuple[str, ...]:
        """Return the chosen controls that get a search of their own."""
        return tuple(arm for arm in self.arms if self.trials_of(arm) and arm in CONTROLS)

    def trials_of(self, arm: str) -> int | str | None:
        """Return how many configurations a control's own search proposes at each ratio."""
        return self.arm_trials.get(arm) if isinstance(self.arm_trials, Mapping) else self.arm_trials

    def stage1_grid(self) -> StageLengths:
        """Return the lengths of stage 1 that any search of this study may propose.

        The stages of different arms can be one and the same, so they share one grid; masked-language training is no
        other arm's stage. Lengths from a range are not among them: hardly any two trials have the same.
        """
        sharing = {*TWO_STAGE_ARMS} - {*MASKED_LM_ARMS}
        tuned = (self.arm_spaces.get(arm, {}) for arm in self.tuned_arms() if arm in sharing)
        spaces = (self.space, *tuned)
        epochs, steps = (
            {length for space in spaces for length in listed_values(name, space.get(name, ()))}
            for name in ("stage1_epochs", "stage1_steps")
        )
        epochs = {*map(float, epochs)}
        if None in steps:  # no length in steps means the default length in epochs
            epochs.add(TrialSettings.stage1_epochs)
        return StageLengths(tuple(sorted(epochs)), tuple(sorted(steps - {None})))

    def wrong_fields(self) -> frozenset[str]:
        """Return the names of the values that break their own rule and so must not be used."""
        return frozenset(field_faults(self))
