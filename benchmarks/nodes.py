"""Trials an hour on one node and on several, each of one processor: what a second node brings.

Command::

    python -m benchmarks.nodes [--nodes 1 2] [--trials 12]

For each number of nodes a Ray cluster is started here whose head trains nothing, each node is held to a processor of
its own, and ``adme`` is launched on the cluster as a user launches it: plan, ledger, Optuna, MLflow, Tune. Trials are
random configurations of one length, and every replicate is trained, so that all trials count the same. They are timed
from the first one's start in the search to the last one's end.

``efficiency`` is trials an hour a node, over those of one node. It falls where ``busy`` falls, the share of the nodes'
time spent in replicates, or ``replicate_s`` grows, what one takes. Head, driver and MLflow have no processor of their
own here, so where there are no more processors than nodes they slow the trials down, which they don't on a cluster
whose head is a machine of its own. At the end nodes wait for the last trial.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from study.command.cli import run_command
from study.command.number_types import count
from study.record.ledger import Ledger, TrialRecord
from trainables.errors import ConfigurationError, StudyStopped

_STUDY = "nodes"
_SPACE: dict[str, list[object]] = {
    "operator": ["aeda", "random_swap", "random_delete", "eda"],
    "strength": [0.05, 0.1, 0.2, 0.3],
}
_OF_ONE_LENGTH = {
    "copies": 1,
    "stage1_data": "augmented_balanced",
    "stage1_trainable": "all",
    "stage1_epochs": 1.0,
    "stage2_epochs": 3.0,
    "stage1_learning_rate": 1e-4,
    "stage2_learning_rate": 1e-4,
}


@dataclass(frozen=True)
class OnNodes:
    """What the search did on some nodes.

    Attributes
    ----------
    nodes
        Their number.
    trials
        Number of trials.
    window_s
        Seconds from the first trial's start to the last one's end.
    trials_per_hour
        Trials over ``window_s``.
    busy
        Share of the nodes' time in which replicates were made.
    replicate_s
        Mean seconds of a replicate.
    """

    nodes: int
    trials: int
    window_s: float
    trials_per_hour: float
    busy: float
    replicate_s: float


def on_nodes(nodes: int, searched: Sequence[TrialRecord]) -> OnNodes:
    """Return what the trials of a search that has ended did on some nodes.

    Raises
    ------
    StudyStopped
        There is none, or one has not ended well.
    """
    ends = [trial.finished for trial in searched if trial.state == "complete" and trial.finished is not None]
    if not searched or len(ends) < len(searched):
        ended = "; ".join(
            f"{t.trial_id} {t.state} {t.error or ''}" for t in searched if t.state != "complete"
        )
        raise StudyStopped(f"On {nodes} node(s) the search did not end well: {ended or 'it has no trial'}.")
    window = max(ends) - min(trial.started for trial in searched)
    seconds = [record.seconds for trial in searched for record in trial.replicates.values()]
    return OnNodes(
        nodes,
        len(searched),
        window,
        3600.0 * len(searched) / window,
        sum(seconds) / (nodes * window),
        sum(seconds) / len(seconds),
    )


def efficiency(on: OnNodes, one: OnNodes) -> float:
    """Return trials an hour a node over those of one node."""
    return on.trials_per_hour / on.nodes / one.trials_per_hour


@contextmanager
def cluster_of(nodes: int) -> Iterator[str]:
    """Run a Ray cluster on this machine, each node of which but the head has one processor; its address."""
    from ray.cluster_utils import Cluster

    ours = sorted(os.sched_getaffinity(0))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for number in range(nodes):
            os.sched_setaffinity(0, {ours[number]})  # what is started next inherits it
            made.add_node(num_cpus=1, num_gpus=0)
        os.sched_setaffinity(0, ours)
        yield str(made.address)
    finally:
        os.sched_setaffinity(0, ours)
        made.shutdown()


def command(args: argparse.Namespace, storage: Path) -> list[str]:
    """Return the launch."""
    sets = {
        "sampler": "random",
        "grace_replicates": args.replicates,
        "encoder_layers": args.layers,
        "cpus_per_trial": 1,
        "gpus_per_trial": 0,
        "space": _SPACE,
        "fixed": _OF_ONE_LENGTH,
        "first": {},
    }
    return [
        sys.executable, "-m", "study.launch", "adme", "--preset", "smoke", "--data", "sample",
        "--encoder", args.encoder, "--storage", str(storage), "--as", _STUDY, "--imbalance-ratio", "0.2",
        "--arms", "none", "--confirm", "0",
        "--trials", str(args.trials), "--replicates", str(args.replicates),
        *(f"--set={name}={json.dumps(value)}" for name, value in sets.items()),
    ]  # fmt: skip


def measured(nodes: int, args: argparse.Namespace) -> OnNodes:
    """Launch the study on a cluster of some nodes.

    Raises
    ------
    StudyStopped
        The launch failed; its last words are in the message.
    """
    # No other cluster, and no server that an environment names.
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
    with tempfile.TemporaryDirectory() as folder, cluster_of(nodes) as address:
        storage = Path(folder)
        launched = subprocess.run(
            command(args, storage),
            env={**ours, "RAY_ADDRESS": address},
            capture_output=True,
            text=True,
            check=False,
        )
        if launched.returncode != 0:
            said = f"{launched.stdout[-2000:]}\n{launched.stderr[-2000:]}"
            raise StudyStopped(f"The launch on {nodes} node(s) ended with {launched.returncode}: {said}")
        return on_nodes(nodes, Ledger(storage / _STUDY / "ledger.jsonl").of_phase("search"))


def measure(args: argparse.Namespace) -> int:
    """Print one JSON object."""
    processors = len(os.sched_getaffinity(0))
    most = math.prod(len(choices) for choices in _SPACE.values())
    faults = []
    if max(args.nodes) > processors:
        faults.append(
            f"--nodes {max(args.nodes)}: each node has a processor of its own, and there are {processors} here."
        )
    if args.trials > most:
        faults.append(f"--trials {args.trials}: there are {most} configurations of one length.")
    if faults:
        raise ConfigurationError(faults)
    console = Console(stderr=True)
    found: list[OnNodes] = []
    for nodes in sorted({1, *args.nodes}):
        with console.status(f"{args.trials} trials on {nodes} node(s)"):
            found.append(measured(nodes, args))
        console.print(f"{nodes} node(s): {found[-1].trials_per_hour:.1f} trials an hour", highlight=False)
    figures = [{**asdict(each), "efficiency": efficiency(each, found[0])} for each in found]
    print(json.dumps({"processors": processors, "replicates": args.replicates, "nodes": figures}))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nodes", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--nodes", type=count, nargs="+", default=[1, 2], metavar="N", help="how many (default: 1 2)"
    )
    parser.add_argument(
        "--trials", type=count, default=12, metavar="N", help="of the search (default: %(default)s)"
    )
    parser.add_argument(
        "--replicates", type=count, default=2, metavar="N", help="of a trial (default: %(default)s)"
    )
    parser.add_argument("--encoder", default="minilm", help="name or folder (default: %(default)s)")
    parser.add_argument(
        "--layers",
        type=count,
        default=2,
        metavar="N",
        help="of the encoder that are used (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_command(measure, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
