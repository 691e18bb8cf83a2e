"""Where a large study saturates: a simulation of 10,000 trials on 8, 64 and 256 GPUs, on paper.

Command::

    python -m benchmarks.control_plane > costs.json
    python -m benchmarks.scale --costs costs.json [--replicate-seconds 120]

One driver serves all trials, one request at a time: it proposes and starts a trial, and takes every replicate that a
trial reports, before that trial goes on (Ray Tune holds a trial's process until its report was taken). What these
requests cost is measured by :mod:`benchmarks.control_plane`, MLflow, ledger and searcher included. A GPU trains one
replicate at a time; a trial is raced out after any of them. Spot machines with one GPU are lost at a constant rate; the
replicate in flight is trained again once another machine has started.

What is made up rather than measured is in the options: how long a replicate takes on a GPU, how many of them a trial
has, how often a machine is lost, how long another takes to start. Nothing else takes time here: neither the network
nor the shared storage, whose load is given as bytes.

``efficiency`` is the GPUs' share of time spent on replicates that count, ``driver`` the share of time in which the
driver worked: near 1 it is what the study waits for. ``wait`` is a replicate's mean wait for the driver. A table goes
to standard output; ``--json`` prints one object instead.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from study.command.cli import run_command
from trainables.errors import ConfigurationError
from trainables.seeds import generator

_SPREAD = 0.3  # standard deviation of a replicate's time over its mean: stages of several lengths


@dataclass(frozen=True)
class Costs:
    """What the driver spends, in seconds; as measured by :mod:`benchmarks.control_plane` on two cores.

    Attributes
    ----------
    trial_s
        To propose, start and end a trial, while there are few.
    report_s
        To take a replicate.
    growth
        By how much of itself ``trial_s`` grows over 1,000 trials, because the searcher models what it has seen.
    memory_kb
        The driver's memory for a trial.
    stored_kb
        On disk for a trial: ledger, Optuna's and MLflow's databases.
    """

    trial_s: float
    report_s: float
    growth: float
    memory_kb: float
    stored_kb: float


@dataclass(frozen=True)
class Workload:
    """What is trained, and on what.

    Attributes
    ----------
    trials
        Number of trials.
    replicates
        A trial's replicates, on average; a trial is raced out after each with the same probability.
    replicate_s
        Seconds that a GPU takes for a replicate, on average.
    lost_per_hour
        Probability that a machine is lost within an hour.
    replaced_s
        Seconds until another one trains.
    """

    trials: int
    replicates: float
    replicate_s: float
    lost_per_hour: float
    replaced_s: float


@dataclass(frozen=True)
class Outcome:
    """A simulated study; hours of the whole, shares of that time, seconds of a replicate's wait, replicates."""

    gpus: int
    hours: float
    efficiency: float
    driver: float
    wait_s: float
    trained: int
    lost: int


def simulate(gpus: int, work: Workload, costs: Costs, seed: int = 0) -> Outcome:
    """Run one study on paper.

    Parameters
    ----------
    gpus
        Number of GPUs, each with one trial at a time.
    work, costs
        What is trained, and what the driver spends on it.
    seed
        Of the replicates' times and of the losses.
    """
    rng = generator(seed, "scale", gpus)
    scale = np.log1p(_SPREAD**2)
    # What each GPU asks of the driver next, in the order of time; a trial's first request is its proposal.
    requests = [(0.0, gpu, True) for gpu in range(gpus)]
    free_at = worked = useful = waited = ended = 0.0
    begun = trained = lost = 0
    while requests:
        asked, gpu, is_new = heapq.heappop(requests)
        if is_new and begun == work.trials:
            continue
        if is_new:
            spent = costs.trial_s * (1.0 + costs.growth * begun / 1000)
            begun += 1
        else:
            spent = costs.report_s
        answered = max(asked, free_at) + spent
        waited += answered - asked
        free_at, worked = answered, worked + spent
        ended = max(ended, answered)
        if not is_new and rng.random() < 1.0 / work.replicates:
            heapq.heappush(requests, (answered, gpu, True))
            continue
        seconds = work.replicate_s * float(rng.lognormal(-scale / 2.0, np.sqrt(scale)))
        at = answered
        while work.lost_per_hour and (survives := _until_lost(rng, work)) < seconds:
            lost += 1
            at += survives + work.replaced_s
        trained, useful = trained + 1, useful + seconds
        heapq.heappush(requests, (at + seconds, gpu, False))
    return Outcome(
        gpus=gpus,
        hours=ended / 3600,
        efficiency=useful / (gpus * ended),
        driver=worked / ended,
        wait_s=waited / trained,
        trained=trained,
        lost=lost,
    )


def _until_lost(rng: np.random.Generator, work: Workload) -> float:
    return float(rng.exponential(-3600.0 / np.log1p(-work.lost_per_hour)))


def costs_of(measured: dict[str, Any]) -> Costs:
    """Return the costs in the output of :mod:`benchmarks.control_plane`.

    The driver's time for a trial is divided evenly between its start and each of its reports; by how much the whole
    grew with the number of trials is put down to the start, where the searcher models what it has seen.

    Raises
    ------
    ConfigurationError
        A figure is missing.
    """
    try:
        requests = 1 + measured["replicates_per_trial"]
        each = measured["seconds_per_trial"] / requests
        growth = requests * max(0.0, measured["driver_growth"] - 1.0) / (measured["trials"] / 1000)
        return Costs(each, each, growth, measured["memory_per_trial_kb"], measured["stored_per_trial_kb"])
    except (KeyError, TypeError) as error:
        raise ConfigurationError(
            f"--costs: the output of python -m benchmarks.control_plane was expected; it lacks {error}."
        ) from None


def measure(args: argparse.Namespace) -> int:
    """Simulate, and print the table."""
    costs = costs_of(_read(args.costs))
    work = Workload(
        args.trials, args.replicates, args.replicate_seconds, args.lost_per_hour, args.replaced_seconds
    )
    found = [simulate(gpus, work, costs) for gpus in args.gpus]
    memory_gb, stored_gb = (work.trials * kb / 1e6 for kb in (costs.memory_kb, costs.stored_kb))
    if args.json:
        outcomes = [asdict(outcome) for outcome in found]
        costs_used = {"costs": asdict(costs), "work": asdict(work)}
        print(json.dumps(costs_used | {"memory_gb": memory_gb, "stored_gb": stored_gb, "outcomes": outcomes}))
        return 0
    table = Table("GPUs", "hours", "efficiency", "driver", "wait", "replicates", "lost")
    for outcome in found:
        table.add_row(
            str(outcome.gpus),
            f"{outcome.hours:.1f}",
            f"{outcome.efficiency:.0%}",
            f"{outcome.driver:.0%}",
            f"{outcome.wait_s:.2f} s",
            f"{outcome.trained:,}",
            f"{outcome.lost:,}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"{work.trials:,} trials: {memory_gb:.1f} GB of the driver's memory, {stored_gb:.1f} GB of records. The driver "
        f"would be what a study waits for from about {saturating_gpus(work, costs):,} GPUs on."
    )
    return 0


def saturating_gpus(work: Workload, costs: Costs) -> int:
    """Return from how many GPUs on the driver is always busy, once all trials but the last are in its history."""
    start_s = costs.trial_s * (1.0 + costs.growth * work.trials / 1000)
    each_s = start_s + work.replicates * costs.report_s
    return round((work.replicates * work.replicate_s + each_s) / each_s)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"--costs {path}: cannot be read as a JSON object ({error}).") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    numbers = {
        "trials": (int, 10_000, "trials of the study"),
        "replicates": (float, 3.5, "replicates of a trial, on average"),
        "replicate_seconds": (float, 120.0, "seconds that a GPU takes for a replicate"),
        "lost_per_hour": (float, 0.02, "probability that a machine is lost within an hour"),
        "replaced_seconds": (float, 300.0, "seconds until another machine trains"),
    }
    parser.add_argument(
        "--gpus",
        type=int,
        nargs="+",
        default=[8, 64, 256],
        help="how many, in turn (default: %(default)s)",
    )
    for name, (kind, default, text) in numbers.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=default, help=f"{text} (default: %(default)s)")
    parser.add_argument(
        "--costs",
        type=Path,
        metavar="FILE",
        required=True,
        help="output of python -m benchmarks.control_plane",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return run_command(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
