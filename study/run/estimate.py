"""What a study takes: the rows that every arm trains on and scores, at the speed of this machine, phase by phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from study.config.ranges import axis_of, mean_of
from study.config.study import StudyConfig
from study.plan.deadline import NOTHING_EXPECTED, Expected, ExpectedRuns
from study.run.cluster import TrialResources
from study.run.runs import Runs, runs_of
from study.run.speed import Speed
from trainables.augment.stage1_set import equal_rows
from trainables.draw_sizes import shared_n_max
from trainables.method.arms import (
    ARM_TABLE,
    ARMS,
    HEAD_ARMS,
    LINEAR_ARMS,
    MASKED_LM_ARMS,
    PAPER_ARM,
    TWO_STAGE_ARMS,
    settings_of,
)
from trainables.method.conditions import unread_settings
from trainables.method.linear_classifiers import FROZEN
from trainables.method.texts import OVERSAMPLED
from trainables.model.memory_estimate import shape_of
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import draw_rows
from trainables.settings import NATURAL, TOPMOST_LAYERS, TrialSettings

# As long as both stages of a pre-finetuning trial.
LONG_ARMS = tuple(
    name
    for name in ARMS
    if (name in TWO_STAGE_ARMS and name not in MASKED_LM_ARMS) or ARM_TABLE[name].length == "both"
)


@dataclass(frozen=True)
class Work:
    """What a study's replicates consist of.

    Attributes
    ----------
    drawn
        Training rows of each class, (C,) int64, in a draw at each imbalance ratio.
    balanced
        Rows of a stage 1 with every class at the majority's size, at each of them.
    validation_rows, test_rows
        Rows that are scored.
    layers
        Of the encoder.
    """

    drawn: Mapping[float | str, npt.NDArray[np.int64]]
    balanced: Mapping[float | str, int]
    validation_rows: int
    test_rows: int
    layers: int


@dataclass(frozen=True)
class Estimate:
    """What a study will cost.

    Attributes
    ----------
    replicates
        Number of replicates trained, over all phases.
    rows
        Number of rows trained on, over all epochs.
    seconds
        Wall-clock time of its trials on the connected resources, at the speed measured a moment ago on this machine.
    drawn
        Training rows of each class, (C,) int64, in a draw at each imbalance ratio.
    confirmation_seconds
        The part of ``seconds`` that the confirmation takes.
    model_seconds
        Beside ``seconds``: training the models that the study leaves.
    expected
        The same by phase, arm and ratio, for whoever watches the time.
    beside_seconds
        What the launch takes before its first trial and after its last, models included.
    """

    replicates: int
    rows: int
    seconds: float
    drawn: Mapping[float | str, npt.NDArray[np.int64]]
    confirmation_seconds: float = 0.0
    model_seconds: float = 0.0
    expected: Expected = NOTHING_EXPECTED
    beside_seconds: float = 0.0

    @property
    def total_seconds(self) -> float:
        """What the whole study takes."""
        return self.seconds + self.beside_seconds


def estimate_cost(
    config: StudyConfig,
    prepared: PreparedCorpus,
    run: RunSettings,
    resources: TrialResources,
    speed: Speed,
) -> Estimate:
    """Count what a study trains and scores, and what that takes at the speed of this machine."""
    return estimate_of(config, work_of(config, prepared, run), speed, resources.concurrency)


def work_of(config: StudyConfig, prepared: PreparedCorpus, run: RunSettings) -> Work:
    """Return what a study's replicates consist of, from the draws of its first one."""
    drawn = {
        ratio: np.bincount(
            prepared.train_labels[draw_rows(prepared, run, ratio, 0)], minlength=len(prepared.classes)
        )
        for ratio in config.imbalance_ratios
    }
    return Work(
        drawn,
        {ratio: stage1_rows(prepared, run, ratio, int(counts.sum())) for ratio, counts in drawn.items()},
        len(prepared.validation_labels),
        len(prepared.test_labels),
        run.encoder.layers or shape_of(run.encoder).layers,
    )


def work_with(config: StudyConfig, prepared: PreparedCorpus, run: RunSettings, rows: int) -> Work:
    """Return the same for draws of another bound on their rows."""
    n_max = config.n_max or shared_n_max(prepared, config.imbalance_ratios, run.profile, rows)
    return work_of(config, prepared, replace(run, n_max=n_max, max_train_rows=rows))


def stage1_rows(prepared: PreparedCorpus, run: RunSettings, ratio: float | str, n_rows: int) -> int:
    """Return the rows of a stage 1 with every class at the majority's size."""
    if ratio != NATURAL:
        return run.n_max * len(prepared.classes)
    counts = np.bincount(prepared.train_labels)
    return int(round(counts.max() / counts.sum() * n_rows) * len(prepared.classes))


def estimate_of(config: StudyConfig, work: Work, speed: Speed, concurrency: int) -> Estimate:
    """Return what a study costs, given its replicates' work and the machine's speed."""
    found = []
    replicates, trained = 0.0, 0.0
    at_ratio = {
        ratio: _Costs(config, work, speed, counts, work.balanced[ratio], ratio)
        for ratio, counts in work.drawn.items()
    }
    for ratio, costs in at_ratio.items():
        for runs in runs_of(config, ratio):
            replicates += runs.replicates
            if runs.arm not in LINEAR_ARMS:
                trained += runs.replicates * (costs.rows(runs.arm) + costs.masked_rows(runs.arm))
            found.append(
                ExpectedRuns(runs.phase, runs.arm, ratio, runs.trials, runs.replicates, costs.seconds(runs))
            )
    expected = Expected(tuple(found), concurrency, partial(_seconds_at_settings, at_ratio))
    leaves = 0.0
    if config.confirmation_replicates:
        ratio = NATURAL if NATURAL in work.drawn else max(work.drawn, key=float)
        costs = at_ratio[ratio]
        winner = "prefinetune" if config.trials else PAPER_ARM
        # One model at a time has all processors.
        leaves = sum(costs.training_seconds(arm) for arm in (winner, "vanilla")) / concurrency
    confirmed = expected.seconds("confirmation") if config.confirmation_replicates else 0.0
    return Estimate(
        round(replicates), round(trained), expected.seconds(), work.drawn, confirmed, leaves, expected
    )


def _seconds_at_settings(
    at_ratio: Mapping[float | str, _Costs], run: ExpectedRuns, settings: Mapping[str, Any]
) -> float:
    """Return the seconds of one replicate of some runs at the settings of a trial, by those that the arm reads."""
    if run.arm in LINEAR_ARMS:
        return run.each
    # What vanilla is matched to may be given as a trial of pre-finetuning, too.
    given_as = "prefinetune" if run.arm == "vanilla_matched" and not settings.get("stage2_steps") else run.arm
    unread = unread_settings(settings)
    read = {name: settings[name] for name in settings_of(given_as) if name in settings and name not in unread}
    typical = at_ratio[run.ratio]
    given = replace(typical, settings=read)
    return run.each + given.training_seconds(run.arm) - typical.training_seconds(run.arm)


@dataclass(frozen=True)
class _Costs:
    """What a replicate of each arm takes at an imbalance ratio.

    Attributes
    ----------
    config, work, speed
        The study, its replicates' work, and the machine's speed.
    counts
        (C,) training rows of each class.
    balanced
        Rows of a stage 1 with every class at the majority's size.
    ratio
        The ratio.
    settings
        Those of a trial; where there are none, typical values are taken.
    """

    config: StudyConfig
    work: Work
    speed: Speed
    counts: npt.NDArray[np.int64]
    balanced: int
    ratio: float | str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def seconds(self, runs: Runs) -> float:
        """Return the seconds of one replicate."""
        scored = self.work.validation_rows + (self.work.test_rows if runs.reads_test else 0)
        n_rows = int(self.counts.sum())
        if runs.arm in LINEAR_ARMS:
            features = ARM_TABLE[runs.arm].features or ""
            fitted = self.speed.fitted_row.get(features, 0.0) * n_rows
            # The frozen encoder computes each text about once: training rows anew in every replicate, the rest seldom.
            return fitted + (self.speed.scored_row * n_rows if features == FROZEN else 0.0)
        return self.training_seconds(runs.arm) + self.speed.scored_row * scored + self.speed.replicate

    def training_seconds(self, arm: str) -> float:
        """Return the seconds of an arm's augmentation and training."""
        speed = self.speed
        augmented = sum(rows * speed.augmented_text.get(name, 0.0) for name, rows in self._augmented(arm))
        masked = self.masked_rows(arm) * speed.masked_row
        return augmented + masked + speed.trained_row * sum(rows * share for rows, share in self._stages(arm))

    def rows(self, arm: str) -> float:
        """Return the rows of an arm's classifier training."""
        return sum(rows for rows, _ in self._stages(arm))

    def _stages(self, arm: str) -> Iterator[tuple[float, float]]:
        """Go through the rows of an arm's stages, over all epochs, with the share of a full step that one takes."""
        n_rows, config = int(self.counts.sum()), self.config
        if arm == PAPER_ARM or (arm in LONG_ARMS and not config.trials):
            paper = self._paper()
            equal = int(equal_rows(self.counts, paper["stage1_rows_per_class"]).sum()) * paper["copies"]
            yield float(equal * paper["stage1_epochs"]), self._share(paper["stage1_trainable"])
            yield float(n_rows * paper["stage2_epochs"]), 1.0
        elif arm in LONG_ARMS:
            rows = self._stage1_rows() * self._typical("stage1_epochs", config.space)
            shares = [self._share(name) for name in self._values("stage1_trainable", config.space)]
            yield rows, 1.0 if ARM_TABLE[arm].stage1 is None else float(np.mean(shares))
            yield n_rows * self._typical("stage2_epochs", config.space), 1.0
        elif arm == "vanilla_matched" and self.settings.get("stage2_steps"):
            yield float(self.settings["stage2_steps"] * self.settings["batch_size"]), 1.0
        elif arm == "vanilla_matched":
            for rows, _ in self._stages("prefinetune" if config.trials else PAPER_ARM):
                yield rows, 1.0  # as many steps, of all layers
        elif arm not in HEAD_ARMS:  # those train a new head on vanilla's weights, which the cache has
            one_stage = self.balanced if ARM_TABLE[arm].stage2.texts is OVERSAMPLED else n_rows
            yield one_stage * self._typical("stage2_epochs", self._space(arm)), 1.0

    def masked_rows(self, arm: str) -> float:
        """Return the rows of an arm's masked-language training."""
        if arm not in MASKED_LM_ARMS:
            return 0.0
        own = self._space(arm) if arm in self.config.tuned_arms() else {}
        epochs = own.get("stage1_epochs", (ARM_TABLE[arm].recipe["stage1_epochs"],))
        return float(self.counts.sum()) * mean_of(axis_of("stage1_epochs", epochs))

    def _augmented(self, arm: str) -> Iterator[tuple[str, float]]:
        """Go through the operators of an arm's first stage, with the texts that each makes in a replicate."""
        if arm == PAPER_ARM:
            paper = self._paper()
            rows = int(equal_rows(self.counts, paper["stage1_rows_per_class"]).sum()) * paper["copies"]
            yield paper["operator"], float(rows)
        elif (
            arm in LONG_ARMS
            and self.config.trials
            and "operator" in settings_of(arm)
            and "operator" not in unread_settings(self.settings)
        ):
            names = self._values("operator", self.config.space)
            for name in names:
                yield name, self._stage1_rows() / len(names)

    def _stage1_rows(self) -> float:
        """Return the rows of one epoch of stage 1: the mean over the ways in which the search makes its set."""
        config = self.config
        equal = int(equal_rows(self.counts, None).sum())
        sizes = {"equal": equal, "natural": int(self.counts.sum()), "balanced": self.balanced}
        of_sets = []
        for name in self._values("stage1_data", config.space):
            kind, _, also = name.partition("+")
            rows = sizes[kind.rpartition("_")[2]] * self._typical("copies", config.space)
            of_sets.append(rows + (int(self.counts.sum()) if also else 0))
        return float(np.mean(of_sets))

    def _share(self, trainable: str) -> float:
        """Return the share of a full step's time: all layers compute forwards, the trained ones twice as much back."""
        layers = self.work.layers
        trained = {"all": layers, "head": 0}.get(trainable, TOPMOST_LAYERS.get(trainable, layers))
        return (layers + 2 * min(trained, layers)) / (3 * layers)

    def _paper(self) -> dict[str, Any]:
        return {**ARM_TABLE[PAPER_ARM].recipe, **self.config.paper}

    def _space(self, arm: str) -> Mapping[str, Any]:
        return self.config.arm_spaces[arm] if arm in self.config.tuned_arms() else self.config.reference_space

    def _typical(self, name: str, space: Mapping[str, Any]) -> float:
        return (
            float(self.settings[name]) if name in self.settings else typical_value(self.config, name, space)
        )

    def _values(self, name: str, space: Mapping[str, Any]) -> Sequence[str]:
        """Return the values of a setting that is a name: the trial's, those of the space, the fixed or the default."""
        if name in self.settings:
            return (self.settings[name],)
        return space.get(name) or (self.config.fixed.get(name, getattr(TrialSettings(), name)),)


def typical_value(config: StudyConfig, name: str, space: Mapping[str, Any]) -> float:
    """Return a typical value of a number: the mean of what is searched, else its fixed value, else its default."""
    if name in space:
        return float(mean_of(axis_of(name, space[name])))
    return float(config.fixed.get(name, getattr(TrialSettings(), name)))
