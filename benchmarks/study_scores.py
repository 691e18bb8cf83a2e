"""Whether the platform and the naive program score the same, at a size at which scores mean something. Not timed.

In the n-th pair each program trains the n-th configuration that the ``adme`` search proposes, and vanilla, on the n-th
replicate: on the same rows, but with different seeds. Pairs are therefore independent of each other. The size is that
of the laptop preset.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.naive import METRIC, naive_replicate
from benchmarks.output import leave_stdout_to_the_json
from benchmarks.processes import process_pool
from benchmarks.workload import prepare_work
from trainables.cpu.threads import use_threads
from trainables.interval import mean_interval
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import run_replicate
from trainables.settings import TrialSettings
from trainables.world import World

ROWS, VALIDATION_ROWS, MAX_LENGTH = 320, 300, 64


def compare(pairs: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the macro-F1 of both programs on pairs of runs, and the mean differences with their intervals.

    Parameters
    ----------
    pairs
        Number of pairs.
    args
        The command line, for the corpus and the encoder.
    """
    sizes = {"rows": ROWS, "validation_rows": VALIDATION_ROWS, "max_length": MAX_LENGTH, "layers": None}
    work = prepare_work(argparse.Namespace(**{**vars(args), **sizes, "configurations": max(pairs, 1)}))
    vanilla = work.vanilla()
    processes = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder, process_pool(processes, _start) as pool:
        run = replace(work.run, cache_dir=folder)
        runs = [
            pool.submit(_pair, settings, vanilla[settings.imbalance_ratio], work.prepared, run, replicate)
            for replicate, settings in enumerate(work.configurations())
        ]
        scores = []
        for number, done in enumerate(runs, start=1):
            scores.append(done.result())
            print(f"scored pair {number} of {len(runs)}: {scores[-1]}", file=sys.stderr)
    return {
        "rows": ROWS,
        "pairs": pairs,
        "prefinetune": _compared([found["prefinetune"] for found in scores]),
        "vanilla": _compared([found["vanilla"] for found in scores]),
        "gain": _compared(
            [
                tuple(p - v for p, v in zip(found["prefinetune"], found["vanilla"], strict=True))
                for found in scores
            ]
        ),
    }


def _start() -> None:
    """Set up a process."""
    leave_stdout_to_the_json()  # Trainer prints there
    use_threads(1)


def _pair(
    settings: TrialSettings,
    vanilla: TrialSettings,
    prepared: PreparedCorpus,
    run: RunSettings,
    replicate: int,
) -> dict[str, tuple[float, ...]]:
    """Return the scores of the platform and of the naive program, for pre-finetuning and for vanilla."""
    ours = [
        run_replicate(prepared, run, asked, replicate, World.single()).metrics[f"val/{METRIC}"]
        for asked in (settings, vanilla)
    ]
    theirs = naive_replicate(settings, vanilla, prepared, run, replicate)
    return dict(zip(("prefinetune", "vanilla"), zip(ours, theirs, strict=True), strict=True))


def _compared(scores: list[tuple[float, ...]]) -> dict[str, Any]:
    ours, naive = np.array(scores).T
    interval = mean_interval((ours - naive).tolist())
    return {
        "ours": float(ours.mean()),
        "naive": float(naive.mean()),
        "deviation_over_pairs": float(naive.std(ddof=1)) if len(scores) > 1 else None,
        "difference": interval.mean,
        "ci_low": interval.ci_low,
        "ci_high": interval.ci_high,
        "difference_shown": interval.leaves_out_zero,
    }
