"""Where a large study saturates: a simulation of 10,000 trials on 8, 64 and 256 GPUs, on paper.

Command::

    python -m benchmarks.control_plane > costs.json
    python -m benchmarks.scale --costs costs.json [--replicate-seconds 120]

One driver serves all trials, one request at a time: it proposes and starts a trial, and takes every replicate that a
trial reports, before that trial goes on (Ray Tune holds a trial's process until its report was taken). What these
requests cost in the searcher, the ledger, MLflow and the rest of the driver is measured by
:mod:`benchmarks.control_plane`; the driver waits for each of them in turn, so it works for as long as all of them
together. A GPU trains one replicate at a time; a trial is raced out after any of them. What a replicate leaves behind
is written to the shared storage, one write at a time, before it is reported. Spot machines with one GPU are lost at a
constant rate; the replicate in flight is trained again once another machine has started.

What is made up rather than measured is in the options: how long a replicate takes on a GPU, how many of them a trial
has, how often a machine is lost, how long another takes to start, what a replicate writes and how fast the storage
is. By default that is BERT's weights after a stage 1, and a gp3 volume as cluster.yaml has it; a stage 1 that a longer
one may go on from leaves three times as much beside it, one that is found in the cache nothing. The network takes no
time here. Costs that were measured over fewer than a thousand trials say little of how they grow.

``efficiency`` is the GPUs' share of time spent on replicates that count, ``driver``, its four parts and ``storage``
are shares of time in which these worked: what is near 1 is what the study waits for. ``wait`` is a replicate's mean
wait for driver and storage. A table goes to standard output, and from how many GPUs on each of them is always busy;
``--json`` prints one object instead.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.driver_parts import REST, SEARCHER, WATCHED
from study.command.cli import run_command
from study.command.number_types import count, number
from trainables.errors import ConfigurationError
from trainables.seeds import generator

_NEW, _WRITE, _REPORT = range(3)  # what a GPU asks for
_SPREAD = 0.3  # standard deviation of a replicate's time over its mean: stages of several lengths
_LEAST_SURVIVING = 0.01  # of the replicates that are begun


@dataclass(frozen=True)
class Cost:
    """What one part of the driver spends, in seconds.

    Attributes
    ----------
    trial_s
        To propose, start and end a trial, while there are few.
    report_s
        To take a replicate.
    growth
        By how much of itself ``trial_s`` grows over 1,000 trials, because the searcher models what it has seen.
    """

    trial_s: float
    report_s: float
    growth: float = 0.0

    def start_s(self, begun: int) -> float:
        """Return the seconds that a trial's start takes after so many others."""
        return self.trial_s * (1.0 + self.growth * begun / 1000)


@dataclass(frozen=True)
class Costs:
    """What a study costs its driver; as measured by :mod:`benchmarks.control_plane` on two cores.

    Attributes
    ----------
    parts
        Seconds, by part of the driver.
    memory_kb
        The driver's memory for a trial.
    stored_kb
        On disk for a trial: ledger, Optuna's and MLflow's databases.
    written_kb
        Written to disk for a replicate by driver and MLflow.
    """

    parts: Mapping[str, Cost]
    memory_kb: float = 0.0
    stored_kb: float = 0.0
    written_kb: float = 0.0


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
    written_mb
        What a worker writes to the shared storage for a replicate.
    storage_mb_s
        What that storage takes in a second.
    """

    trials: int
    replicates: float
    replicate_s: float
    lost_per_hour: float
    replaced_s: float
    written_mb: float = 0.0
    storage_mb_s: float = 125.0

    def write_s(self, costs: Costs) -> float:
        """Return the seconds in which the storage takes what a replicate leaves, records included."""
        return (self.written_mb + costs.written_kb / 1000) / self.storage_mb_s


@dataclass(frozen=True)
class Outcome:
    """A simulated study; hours of the whole, shares of that time, seconds of a replicate's wait, replicates."""

    gpus: int
    hours: float
    efficiency: float
    driver: float
    parts: Mapping[str, float]
    storage: float
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
    write_s = work.write_s(costs)
    # What each GPU asks for next, in the order of time; a trial's first request is its proposal.
    requests = [(0.0, gpu, _NEW) for gpu in range(gpus)]
    spent = dict.fromkeys(costs.parts, 0.0)
    driver_free = storage_free = written = useful = waited = ended = 0.0
    begun = trained = lost = 0
    while requests:
        asked, gpu, what = heapq.heappop(requests)
        if what == _WRITE:
            storage_free = max(asked, storage_free) + write_s
            waited, written = waited + storage_free - asked, written + write_s
            heapq.heappush(requests, (storage_free, gpu, _REPORT))
            continue
        if what == _NEW and begun == work.trials:
            continue
        each = {
            part: cost.start_s(begun) if what == _NEW else cost.report_s for part, cost in costs.parts.items()
        }
        begun += what == _NEW
        spent = {part: spent[part] + seconds for part, seconds in each.items()}
        driver_free = max(asked, driver_free) + sum(each.values())
        waited += driver_free - asked
        ended = max(ended, driver_free)
        if what == _REPORT and rng.random() < 1.0 / work.replicates:
            heapq.heappush(requests, (driver_free, gpu, _NEW))
            continue
        seconds = work.replicate_s * float(rng.lognormal(-scale / 2.0, np.sqrt(scale)))
        at = driver_free
        while work.lost_per_hour and (survives := _until_lost(rng, work)) < seconds:
            lost += 1
            at += survives + work.replaced_s
        trained, useful = trained + 1, useful + seconds
        heapq.heappush(requests, (at + seconds, gpu, _WRITE))
    return Outcome(
        gpus=gpus,
        hours=ended / 3600,
        efficiency=useful / (gpus * ended),
        driver=sum(spent.values()) / ended,
        parts={part: seconds / ended for part, seconds in spent.items()},
        storage=written / ended,
        wait_s=waited / trained,
        trained=trained,
        lost=lost,
    )


def _until_lost(rng: np.random.Generator, work: Workload) -> float:
    return float(rng.exponential(-3600.0 / np.log1p(-work.lost_per_hour)))


def costs_of(measured: Mapping[str, Any]) -> Costs:
    """Return the costs in the output of :mod:`benchmarks.control_plane`.

    What a part takes for a trial is divided evenly between the trial's start and each of its reports; but the searcher
    has to do with starts alone. By how much a part grew with the number of trials is put down to the starts.

    Raises
    ------
    ConfigurationError
        A figure is missing.
    """
    try:
        parts = {}
        for name in (*WATCHED, REST):
            part = measured["parts"][name]
            requests = 1 if name == SEARCHER else 1 + measured["replicates_per_trial"]
            each = part["seconds_per_trial"] / requests
            growth = requests * max(0.0, part["growth"] - 1.0) / (measured["trials"] / 1000)
            parts[name] = Cost(each, 0.0 if name == SEARCHER else each, growth)
        return Costs(
            parts,
            measured["memory_per_trial_kb"],
            measured["stored_per_trial_kb"],
            measured["written_per_replicate_kb"],
        )
    except (KeyError, TypeError) as error:
        raise ConfigurationError(
            f"--costs: the output of python -m benchmarks.control_plane was expected; it lacks {error}."
        ) from None


def measure(args: argparse.Namespace) -> int:
    """Simulate, and print the table."""
    survives = (1.0 - args.lost_per_hour) ** (args.replicate_seconds / 3600.0)
    if survives < _LEAST_SURVIVING:
        raise ConfigurationError(
            f"--lost-per-hour {args.lost_per_hour:g} with --replicate-seconds {args.replicate_seconds:g}: of the "
            f"replicates {survives:.2g} would come to their end; give values at which at least {_LEAST_SURVIVING:g} do."
        )
    costs = costs_of(_read(args.costs))
    work = Workload(
        args.trials,
        args.replicates,
        args.replicate_seconds,
        args.lost_per_hour,
        args.replaced_seconds,
        args.written_mb,
        args.storage_mb_per_second,
    )
    found = [simulate(gpus, work, costs) for gpus in args.gpus]
    limits = saturating_gpus(work, costs)
    memory_gb, stored_gb = (work.trials * kb / 1e6 for kb in (costs.memory_kb, costs.stored_kb))
    if args.json:
        printed = {
            "costs": asdict(costs),
            "work": asdict(work),
            "memory_gb": memory_gb,
            "stored_gb": stored_gb,
        }
        outcomes = [asdict(outcome) for outcome in found]
        print(json.dumps({**printed, "saturating_gpus": limits, "outcomes": outcomes}))
        return 0
    table = Table(
        "GPUs", "hours", "efficiency", "driver", *costs.parts, "storage", "wait", "replicates", "lost"
    )
    for outcome in found:
        shares = (outcome.efficiency, outcome.driver, *outcome.parts.values(), outcome.storage)
        table.add_row(
            str(outcome.gpus),
            f"{outcome.hours:.1f}",
            *(f"{share:.0%}" for share in shares),
            f"{outcome.wait_s:.2f} s",
            f"{outcome.trained:,}",
            f"{outcome.lost:,}",
        )
    console = Console(width=120)
    console.print(table)
    first, *others = sorted(limits, key=lambda name: limits[name])
    console.print(
        f"{work.trials:,} trials: {memory_gb:.1f} GB of the driver's memory, {stored_gb:.1f} GB of records. First the "
        f"{first} would be what a study waits for, from about {limits[first]:,} GPUs on; were it not, "
        f"{', '.join(f'{name} from {limits[name]:,}' for name in others)}."
    )
    return 0


def saturating_gpus(work: Workload, costs: Costs) -> dict[str, int]:
    """Return from how many GPUs on each is always busy, once all trials but the last are in the driver's history.

    Of a part of the driver, that is how many it would serve were the other parts to cost nothing; what costs nothing
    itself is left out.
    """
    trial_s = {
        part: cost.start_s(work.trials) + work.replicates * cost.report_s
        for part, cost in costs.parts.items()
    }
    trial_s = {"driver": sum(trial_s.values()), **trial_s, "storage": work.replicates * work.write_s(costs)}
    trains_s = work.replicates * work.replicate_s
    return {name: round((trains_s + each) / each) for name, each in trial_s.items() if each}


def _above_zero(text: str) -> float:
    return number(text, lambda value: value > 0, "a number above 0")


def _at_least_one(text: str) -> float:
    return number(text, lambda value: value >= 1, "a number of at least 1")


def _at_least_zero(text: str) -> float:
    return number(text, lambda value: value >= 0, "a number of at least 0")


def _probability(text: str) -> float:
    return number(text, lambda value: 0 <= value < 1, "a probability from 0 to below 1")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"--costs {path}: cannot be read as a JSON object ({error}).") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    numbers = {
        "trials": (count, 10_000, "trials of the study"),
        "replicates": (_at_least_one, 3.5, "replicates of a trial, on average"),
        "replicate_seconds": (_above_zero, 120.0, "seconds that a GPU takes for a replicate"),
        "lost_per_hour": (_probability, 0.02, "probability that a machine is lost within an hour"),
        "replaced_seconds": (_at_least_zero, 300.0, "seconds until another machine trains"),
        "written_mb": (_at_least_zero, 440.0, "megabytes that a replicate leaves on the shared storage"),
        "storage_mb_per_second": (_above_zero, 125.0, "megabytes that this storage takes in a second"),
    }
    parser.add_argument(
        "--gpus",
        type=count,
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
