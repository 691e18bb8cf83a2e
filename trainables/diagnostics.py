"""Flat numbers about a run, for its records: what each stage did, what it cost, and what was not training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from trainables.method.linear_classifiers import LinearReport
from trainables.method.two_stage import ArmResult
from trainables.training.stage import StageReport


def run_diagnostics(
    result: ArmResult, classes: Sequence[str], scored_rows: int, seconds: float
) -> dict[str, float]:
    """Return the numbers of one replicate by name.

    Parameters
    ----------
    result
        The run.
    classes
        C class names.
    scored_rows
        Rows of the evaluation sets.
    seconds
        Wall time of the whole replicate.

    Returns
    -------
    For each stage S (``stage1``, ``stage2``, ``head``): ``S_steps``, ``S_rows`` and ``S_rows/<class>`` (the rows of
    one epoch; not for ``head``), ``S_cache_hits`` (1 where its weights came from the cache). Where it trained,
    ``S_seconds``, ``S_mean_loss``, ``S_padding_share`` and ``S_tokens_per_second`` (real tokens of one
    worker), ``S_micro_batch``, ``S_resumed_at``, and ``S_mfu`` where the device's peak is known. For the whole run,
    ``evaluation_rows_per_second`` and ``overhead_share``: the share of ``seconds`` that was neither
    training nor scoring.

    Of a linear classifier, which has no stages, each number of its report under ``linear_…``, and ``overhead_share``.
    """
    if result.linear is not None:
        return _linear_numbers(result.linear) | {"overhead_share": 1.0 - result.seconds / seconds}
    numbers: dict[str, float] = {}
    for stage in result.stages:
        numbers[f"{stage.name}_steps"] = float(stage.settings.steps)
        numbers[f"{stage.name}_rows"] = float(len(stage.texts))
        counts = np.bincount(stage.texts.labels, minlength=len(classes)).tolist()
        numbers |= {f"{stage.name}_rows/{c}": float(n) for c, n in zip(classes, counts, strict=True)}
    spent = result.scoring_seconds
    for name, report in result.reports.items():
        numbers[f"{name}_cache_hits"] = float(report is None)
        if report is None:
            continue
        spent += report.seconds
        numbers |= {
            f"{name}_steps": float(report.steps),
            f"{name}_seconds": report.seconds,
            f"{name}_mean_loss": report.mean_loss,
            f"{name}_padding_share": 1.0 - report.real_tokens / max(report.padded_tokens, 1),
            f"{name}_tokens_per_second": report.real_tokens / report.seconds,
        }
        if isinstance(report, StageReport):
            numbers[f"{name}_micro_batch"] = float(report.micro_batch)
            numbers[f"{name}_resumed_at"] = float(report.resumed_at)
            if report.mfu is not None:
                numbers[f"{name}_mfu"] = report.mfu
    numbers["evaluation_rows_per_second"] = scored_rows / result.scoring_seconds
    numbers["overhead_share"] = 1.0 - spent / seconds
    return numbers


def _linear_numbers(report: LinearReport) -> dict[str, float]:
    return {f"linear_{name}": float(value) for name, value in dataclasses.asdict(report).items()}
