"""Resident memory of one warm process after 5 and after 50 trials.

Command::

    python -m benchmarks.memory

The trials go through everything that a real trial does (plan, Tune, a warm process, Ray Train's local mode,
augmentation, both stages, scoring) with the packaged encoder and few rows. They differ as those of a search do, so that
batches of many shapes occur. After each trial's last replicate the process reports its resident memory as Linux counts
it; if the trials do not all share one process, the benchmark fails. ``ratio`` is the later figure over the earlier one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune

from benchmarks.workload import add_sizes, prepare_work, run_search
from study.command.cli import run_command
from study.run import cluster
from study.run.tuning import report_to_tune
from trainables.errors import StudyStopped
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.worker import run_in_process

EARLY = 5


def resident_mb() -> float:
    """Return the memory of this process that is in RAM, in megabytes (10^6 bytes).

    Raises
    ------
    StudyStopped
        The system is not Linux.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError as error:
        raise StudyStopped("Resident memory is read from /proc, which exists on Linux only.") from error
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _measured_trial(
    config: dict[str, Any], *, prepared: PreparedCorpus, run: RunSettings, storage: str
) -> None:
    def report(found: dict[str, Any]) -> None:
        if found["record"] is not None:
            found["record"]["diagnostics"].update(resident_mb=resident_mb(), process=float(os.getpid()))
        report_to_tune(found)

    run_in_process(config["job"], prepared, run, report, storage)


def resident_after_each_trial(args: argparse.Namespace, folder: Path) -> list[float]:
    """Return the megabytes that the process held after each trial of the search, in order.

    Raises
    ------
    RuntimeError
        The trials did not share one process, or one did not finish.
    """
    work = prepare_work(args)
    config = replace(work.config, concurrency=1, imbalance_ratios=(0.1,))
    run = replace(work.run, cache_dir=str(folder / "cache"))
    trainable = tune.with_parameters(
        _measured_trial, prepared=work.prepared, run=run, storage=str(folder / "ray")
    )
    _, ledger = run_search(replace(work, config=config), folder, trainable)
    trials = ledger.of_phase("search")
    last = [trial.replicates[max(trial.replicates)].diagnostics for trial in trials]
    processes = {diagnostics["process"] for diagnostics in last}
    if len(processes) > 1:
        raise RuntimeError(f"the trials ran in {len(processes)} processes")
    return [diagnostics["resident_mb"] for diagnostics in last]


def measure(args: argparse.Namespace) -> int:
    """Print the figures as one JSON object."""
    cluster.quieten()
    # Ray's own warnings go to standard error.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        held = resident_after_each_trial(args, Path(folder))
    early = held[min(EARLY, len(held)) - 1]
    figures = {
        "after_5_mb": early,
        f"after_{len(held)}_mb": held[-1],
        "most_mb": max(held),
        "ratio": held[-1] / early,
    }
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    print(" ".join(f"{value:.0f}" for value in held), file=sys.stderr)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=(__doc__ or "").splitlines()[0]
    )
    add_sizes(
        parser, configurations=50, replicates=1, rows=40, validation_rows=40, max_length=64, layers=None
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(measure, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
