"""The plan before anything is spent: which rows, how many replicates, and what they will cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console

from study.config.arms import CONTROLS
from study.config.study import StudyConfig
from study.plan.tracks import tracks_of
from study.run.cache_size import cache_sentence
from study.run.cluster import TrialResources
from study.run.paraphrase_cost import paraphrase_sentence
from study.run.runs import runs_of
from study.terminal.tables import FittedTable
from study.verdict.words import counted, duration
from trainables.augment.stage1_set import equal_rows
from trainables.method.arms import (
    ARM_TABLE,
    ARMS,
    HEAD_ARMS,
    LINEAR_ARMS,
    MASKED_LM_ARMS,
    PAPER_ARM,
    POSTHOC_ARM,
    TWO_STAGE_ARMS,
)
from trainables.method.texts import OVERSAMPLED
from trainables.model.encoder import build_classifier, resolve_precision
from trainables.model.forward import predict
from trainables.model.masked_lm import build_masked_lm
from trainables.model.memory_estimate import shape_of
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import draw_rows
from trainables.settings import NATURAL, TrialSettings
from trainables.texts.labelled import LabelledTexts
from trainables.training.losses import MaskedTokenLoss
from trainables.training.stage import train_stage
from trainables.training.stage_settings import StageSettings

_TIMED_STEPS = 6
# As long as both stages of a pre-finetuning trial.
LONG_ARMS = tuple(
    name
    for name in ARMS
    if (name in TWO_STAGE_ARMS and name not in MASKED_LM_ARMS) or ARM_TABLE[name].length == "both"
)


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
        Wall-clock time on the connected resources, estimated from steps timed a moment ago on this machine.
    drawn
        Training rows of each class, (C,) int64, in a draw at each imbalance ratio.
    confirmation_seconds
        The part of ``seconds`` that the confirmation takes.
    """

    replicates: int
    rows: int
    seconds: float
    drawn: Mapping[float | str, npt.NDArray[np.int64]]
    confirmation_seconds: float = 0.0


def estimate_cost(
    config: StudyConfig, prepared: PreparedCorpus, run: RunSettings, resources: TrialResources
) -> Estimate:
    """Time a few steps and count what the study trains and scores."""
    drawn = {
        ratio: np.bincount(
            prepared.train_labels[draw_rows(prepared, run, ratio, 0)], minlength=len(prepared.classes)
        )
        for ratio in config.imbalance_ratios
    }
    replicates = 0.0
    # Rows of classifier training, rows of masked-language training, rows scored.
    spent, confirmed = np.zeros(3), np.zeros(3)
    for ratio, counts in drawn.items():
        n_rows = int(counts.sum())
        lengths = _Lengths(config, counts, _stage1_rows(prepared, run, ratio, n_rows))
        for runs in runs_of(config, ratio):
            scores = len(prepared.validation_labels) + (len(prepared.test_labels) if runs.reads_test else 0)
            if runs.arm in LINEAR_ARMS:
                # They cost next to nothing but what the frozen encoder computes: each text about once.
                once = np.array([0.0, 0.0, n_rows / len(LINEAR_ARMS)])
            else:
                once = np.array([lengths.rows(runs.arm), lengths.masked_rows(runs.arm), scores])
            replicates += runs.replicates
            spent += runs.replicates * once
            if config.confirmation_replicates and runs.reads_test:
                confirmed += runs.replicates * once
    seconds_a_row = np.array(_timed(prepared, run, resources, masked=bool(spent[1])))[[0, 2, 1]]
    seconds, of_confirmation = (
        float(rows @ seconds_a_row) / resources.concurrency for rows in (spent, confirmed)
    )
    trained = round(float(spent[0] + spent[1]))
    return Estimate(round(replicates), trained, seconds, drawn, of_confirmation)


@dataclass(frozen=True)
class _Lengths:
    """How many rows the arms train on in a replicate, over all epochs, at typical values of their settings.

    Attributes
    ----------
    config
        The study.
    counts
        (C,) training rows of each class.
    balanced
        Rows of a stage 1 with every class at the majority's size.
    """

    config: StudyConfig
    counts: npt.NDArray[np.int64]
    balanced: int

    def rows(self, arm: str) -> float:
        """Return the rows of an arm's classifier training."""
        n_rows, config = int(self.counts.sum()), self.config
        if arm == PAPER_ARM or (arm in LONG_ARMS and not config.trials):
            paper = {**ARM_TABLE[PAPER_ARM].recipe, **config.paper}
            augmented = int(equal_rows(self.counts, paper["stage1_rows_per_class"]).sum()) * paper["copies"]
            return float(augmented * paper["stage1_epochs"] + n_rows * paper["stage2_epochs"])
        if arm in LONG_ARMS:
            stage1 = (
                self.balanced
                * _mid(config, "copies", config.space)
                * _mid(config, "stage1_epochs", config.space)
            )
            return stage1 + n_rows * _mid(config, "stage2_epochs", config.space)
        if arm in HEAD_ARMS:
            return 0.0  # they train a new head on vanilla's weights, which the cache has
        one_stage = self.balanced if ARM_TABLE[arm].stage2.texts is OVERSAMPLED else n_rows
        return one_stage * _mid(config, "stage2_epochs", self._space(arm))

    def masked_rows(self, arm: str) -> float:
        """Return the rows of an arm's masked-language training."""
        if arm not in MASKED_LM_ARMS:
            return 0.0
        own = self._space(arm) if arm in self.config.tuned_arms() else {}
        epochs = own.get("stage1_epochs", (ARM_TABLE[arm].recipe["stage1_epochs"],))
        return float(self.counts.sum() * np.mean(epochs))

    def _space(self, arm: str) -> Mapping[str, Sequence[float]]:
        return self.config.arm_spaces[arm] if arm in self.config.tuned_arms() else self.config.reference_space


def _mid(config: StudyConfig, name: str, space: Mapping[str, Sequence[float]]) -> float:
    """Return a typical value of a setting: the middle of its grid, else its fixed value, else its default."""
    if name in space:
        return float(np.mean(space[name]))
    return float(config.fixed.get(name, getattr(TrialSettings(), name)))


def _stage1_rows(prepared: PreparedCorpus, run: RunSettings, ratio: float | str, n_rows: int) -> int:
    if ratio != NATURAL:
        return run.n_max * len(prepared.classes)
    counts = np.bincount(prepared.train_labels)
    return int(round(counts.max() / counts.sum() * n_rows) * len(prepared.classes))


def _timed(
    prepared: PreparedCorpus, run: RunSettings, resources: TrialResources, *, masked: bool
) -> tuple[float, float, float]:
    """Return seconds per trained row, per scored row and, if asked for, per row of masked-language training.

    Steps run on the threads that a trial gets.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(resources.cpus)))
    try:
        model = build_classifier(run.encoder, len(prepared.classes), seed=0)
        some = np.linspace(0, len(prepared.train_labels) - 1, num=min(256, len(prepared.train_labels)))
        rows = some.astype(np.int64)
        texts = LabelledTexts(prepared.train_tokens.select(rows), prepared.train_labels[rows])
        precision = resolve_precision(run.encoder)
        settings = StageSettings(steps=_TIMED_STEPS, learning_rate=1e-5, precision=precision)
        scored = texts.tokens.select(np.arange(min(64, len(rows))))
        per_row = _seconds_per_row(model, texts, settings)
        started = time.perf_counter()
        predict(model, scored, precision=precision)
        per_scored_row = (time.perf_counter() - started) / len(scored)
        if not masked:
            return per_row, per_scored_row, 0.0
        hiding = replace(settings, loss=MaskedTokenLoss(TrialSettings.masking_rate))
        return per_row, per_scored_row, _seconds_per_row(build_masked_lm(run.encoder), texts, hiding)
    finally:
        torch.set_num_threads(threads)


def _seconds_per_row(model: Any, texts: LabelledTexts, settings: StageSettings) -> float:
    train_stage(model, texts, replace(settings, steps=2))  # also makes what later steps reuse
    started = time.perf_counter()
    rows = train_stage(model, texts, settings).rows
    return (time.perf_counter() - started) / rows


def print_plan(
    config: StudyConfig,
    prepared: PreparedCorpus,
    run: RunSettings,
    resources: TrialResources,
    estimate: Estimate,
    console: Console,
) -> None:
    """Show what will be done, with which rows, and at what cost."""
    table = FittedTable(
        "imbalance ratio", *prepared.classes, title="Training rows of a replicate", turns=True
    )
    for ratio, counts in estimate.drawn.items():
        table.add_row(str(ratio), *map(str, counts))
    console.print(table)
    console.print(
        f"Plan ({config.preset}): reference vanilla, then {_trials_phrase(config)}; "
        f"{_controls_phrase(config)}; scored on {_scored_phrase(config, prepared)}. "
        f"{_confirmation_phrase(config, prepared)}About "
        f"{estimate.replicates} replicates, "
        f"{estimate.rows:,} training rows, {duration(estimate.seconds)} with {resources.concurrency} trial(s) at "
        f"a time ({resources.workers} worker(s) x {resources.cpus:g} CPUs, {resources.gpus:g} GPUs). "
        f"{resources.sharing}",
        highlight=False,
        soft_wrap=True,
    )
    disk = cache_sentence(config, shape_of(run.encoder).parameters, resources.concurrency)
    console.print(disk, highlight=False, soft_wrap=True)
    balanced = (
        _stage1_rows(prepared, run, ratio, int(counts.sum())) for ratio, counts in estimate.drawn.items()
    )
    if paid := paraphrase_sentence(config, prepared, balanced):
        console.print(paid, highlight=False, soft_wrap=True)


def _trials_phrase(config: StudyConfig) -> str:
    ratios = f"{len(config.imbalance_ratios)} imbalance ratio(s)"
    if config.trials == 0:
        return f"the paper's recipe without a search, at {ratios}, {config.replicates} replicates each"
    return f"{config.trials} trials over {ratios}, up to {config.replicates} replicates each"


def _scored_phrase(config: StudyConfig, prepared: PreparedCorpus) -> str:
    tests = f" and {len(prepared.test_labels)} test rows" if config.test_sets else ""
    return f"{len(prepared.validation_labels)} validation rows{tests}"


def _confirmation_phrase(config: StudyConfig, prepared: PreparedCorpus) -> str:
    n = config.confirmation_replicates
    if not n:
        return ""
    more = f", up to {config.until_decided} until it is decided" if config.until_decided else ""
    return (
        f"What is chosen is confirmed on {counted(n, 'fresh replicate')}{more}, scored on "
        f"{len(prepared.test_labels)} test rows. "
    )


def _controls_phrase(config: StudyConfig) -> str:
    """Say which controls run beside vanilla, and which of them are tuned."""
    chosen = [arm for arm in config.arms if arm in CONTROLS]
    text = f"controls: {', '.join((POSTHOC_ARM, 'vanilla_matched', PAPER_ARM, *LINEAR_ARMS, *chosen))}"
    tracks = [track for track in tracks_of(config) if track.phase == "control_search"]
    if not tracks:
        return text
    configurations = sum(track.configurations for track in tracks)
    text += f", the last {len(config.tuned_arms())} tuned over {configurations} trials of their own"
    small = dict.fromkeys(track.arm for track in tracks if track.configurations < track.trials)
    if small:
        text += f" (fewer than asked for: the grids of {', '.join(small)} hold no more)"
    return text
