"""The plan before anything is spent: which rows, how many replicates, and what they will cost."""

from __future__ import annotations

from rich.console import Console

from study.config.arms import CONTROLS
from study.config.study import StudyConfig
from study.plan.tracks import tracks_of
from study.run.cache_size import cache_sentence
from study.run.cluster import TrialResources
from study.run.estimate import Estimate, stage1_rows
from study.run.paraphrase_cost import paraphrase_sentence
from study.terminal.tables import FittedTable
from study.verdict.words import counted, duration
from trainables.method.arms import LINEAR_ARMS, PAPER_ARM, POSTHOC_ARM
from trainables.model.memory_estimate import shape_of
from trainables.prepared import PreparedCorpus, RunSettings


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
        f"{estimate.rows:,} training rows, {duration(estimate.total_seconds)} with {resources.concurrency} trial(s) at "
        f"a time ({resources.workers} worker(s) x {resources.cpus:g} CPUs, {resources.gpus:g} GPUs). "
        f"{resources.sharing}",
        highlight=False,
        soft_wrap=True,
    )
    disk = cache_sentence(config, shape_of(run.encoder).parameters, resources.concurrency)
    console.print(disk, highlight=False, soft_wrap=True)
    balanced = (
        stage1_rows(prepared, run, ratio, int(counts.sum())) for ratio, counts in estimate.drawn.items()
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
