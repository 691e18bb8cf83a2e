"""A study whose parts are killed (SIGKILL) at every stage, and that is then launched again: does anything differ?

Command::

    python -m tests.kill_matrix [--victims driver mlflow] [--moments racing confirmation]

Victims: the driver; the process in which a trial trains; the raylet of a second node of a cluster, on which the trials
run (a third node joins after it); the head of a cluster, which ends it (there is another one for the next launch); the
MLflow server, which is away until the launch has ended. Each is killed once: while vanilla trains, when the search has
begun, when a first trial of it has ended (its race was decided), and when the confirmation has begun. Then, when the
launch has ended by itself, or at once if it was the victim, the same command is
given again. What it leaves is compared with what one undisturbed launch of the same study left:

- trials in Optuna's storage by state, and runs in MLflow by status;
- ``twice``: replicates that were recorded twice. The one in flight at the kill is trained again, and recorded once;
- the scores of every trial and replicate, digit by digit (one trial at a time, one thread, CPU);
- the table of ``study.compare``, without its times.

The training is real but tiny. On two free cores a cell takes about a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from benchmarks.mlflow_server import LocalServer
from study.record.ledger import Ledger
from study.record.sqlite import open_to_read
from study.tracking.uri import open_client
from study.verdict.comparison import build_comparison, load_study
from study.verdict.comparison_json import comparison_json
from tests.default_signals import default_signals
from tests.study.tiny_launch import ROOT, command, environment
from tests.tiny_encoder import write_tiny_encoder

VICTIMS = ("driver", "trial", "raylet", "head", "mlflow")
MOMENTS = ("vanilla", "first trials", "racing", "confirmation")
_LAUNCH_S = 900.0
_TIMES = ("seconds", "cost", "started", "finished", "taken_s", "planned_s")


def has_come(moment: str, ledger: Ledger) -> bool:
    """Return whether a study has reached a moment."""
    searched = ledger.of_phase("search")
    if moment == "vanilla":
        return bool(ledger.of_phase("reference_tuning", "reference"))
    if moment == "first trials":
        return bool(searched)
    if moment == "racing":
        return any(trial.state != "running" for trial in searched)
    return any(trial.replicates for trial in ledger.of_phase("confirmation"))


@dataclass(frozen=True)
class Left:
    """What a study left behind.

    Attributes
    ----------
    optuna, runs
        Trials by state, and runs by status.
    twice
        Replicates that the ledger holds twice.
    scores
        Metrics by trial and replicate.
    table
        What ``study.compare`` prints, without times.
    """

    optuna: dict[str, int]
    runs: dict[str, int]
    twice: int
    scores: dict[str, dict[int, dict[str, float]]] = field(repr=False)
    table: Any = field(repr=False)

    def differences(self, undisturbed: Left) -> list[str]:
        """Return in what it differs from what an undisturbed study left."""
        found = [
            f"{name} {getattr(self, name)} instead of {getattr(undisturbed, name)}"
            for name in ("optuna", "runs")
            if getattr(self, name) != getattr(undisturbed, name)
        ]
        found += [f"{self.twice} replicates twice"] if self.twice else []
        found += ["other scores"] if self.scores != undisturbed.scores else []
        return found + (["another table"] if self.table != undisturbed.table else [])


def what_is_left(storage: Path, study: str, uri: str) -> Left:
    """Read what a study left in its folder and in MLflow."""
    facts, ledger = load_study(storage, study)
    events = map(json.loads, ledger.path.read_text().splitlines())
    recorded = Counter((e["trial_id"], e["replicate"]) for e in events if e["event"] == "replicate")
    with sqlite3_closed(storage / study / "optuna.db") as optuna:
        states = dict(optuna.execute("SELECT state, COUNT(*) FROM trials GROUP BY state").fetchall())
    client = open_client(uri)
    experiment = client.get_experiment_by_name(study)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return Left(
        states,
        dict(Counter(run.info.status for run in runs)),
        sum(times - 1 for times in recorded.values()),
        {t: {r: rec.metrics for r, rec in trial.replicates.items()} for t, trial in ledger.trials.items()},
        without_times(comparison_json(build_comparison(ledger, facts)), study),
    )


@contextmanager
def sqlite3_closed(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a SQLite file to read it, and close it."""
    connection = open_to_read(path, timeout_s=10.0)
    try:
        yield connection
    finally:
        connection.close()


def without_times(found: Any, study: str) -> Any:
    """Return a JSON value without what differs between two launches of one study: its times and its name."""
    if isinstance(found, dict):
        return {
            name: without_times(value, study)
            for name, value in found.items()
            if not any(word in name for word in _TIMES)
        }
    if isinstance(found, list):
        return [without_times(value, study) for value in found]
    return found.replace(study, "NAME") if isinstance(found, str) else found


class Cluster:
    """A Ray cluster of two nodes on this machine, in this process's care: trials run on the second node alone."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        self._cluster = RayCluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.second = self._cluster.add_node(num_cpus=1)
        self.address = str(self._cluster.address)

    def kill_second(self) -> None:
        """Kill the second node's raylet, and let a third one join."""
        self.second.kill_raylet(check_alive=False)
        self.second = self._cluster.add_node(num_cpus=1, wait=False)

    def kill_head(self) -> None:
        """Kill the process without which a cluster is lost."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def close(self) -> None:
        """End the cluster's processes."""
        self._cluster.shutdown()


class Matrix:
    """Runs the cells of the matrix, and the undisturbed study that all of them are compared with.

    Parameters
    ----------
    folder
        An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._encoder = write_tiny_encoder(folder / "encoder")
        (folder / "server").mkdir()
        self.server = LocalServer(folder / "server")
        self.server.start()
        self._undisturbed: Left | None = None

    def close(self) -> None:
        """End the MLflow server."""
        self.server.kill()

    @property
    def undisturbed(self) -> Left:
        """What the study leaves that nothing happens to."""
        if self._undisturbed is None:
            self._finish("undisturbed")
            self._undisturbed = self._left("undisturbed")
        return self._undisturbed

    def cell(self, victim: str, moment: str) -> tuple[Left, list[str]]:
        """Kill a victim at a moment, give the command again, and return what is left and in what that differs."""
        name = f"{victim}-{moment.replace(' ', '-')}"
        if victim == "raylet":
            with closing(Cluster()) as cluster:
                self._disturb(name, moment, cluster.kill_second, RAY_ADDRESS=cluster.address)
                self._finish(name, RAY_ADDRESS=cluster.address)
        elif victim == "head":
            with closing(Cluster()) as cluster:
                self._disturb(name, moment, cluster.kill_head, RAY_ADDRESS=cluster.address)
            with closing(Cluster()) as cluster:
                self._finish(name, RAY_ADDRESS=cluster.address)
        else:
            self._disturb(name, moment, victim)
            if victim == "mlflow":
                self.server.start()
            self._finish(name)
        left = self._left(name)
        return left, left.differences(self.undisturbed)

    def _left(self, name: str) -> Left:
        return what_is_left(self._folder / "storage" / name, name, self.server.uri)

    def _start(self, name: str, **variables: str) -> subprocess.Popen[str]:
        storage = self._folder / "storage" / name
        storage.mkdir(parents=True, exist_ok=True)
        alone = [
            "--set=concurrency=1",
            "--set=cpus_per_trial=1",
            "--as",
            name,
            "--tracking-uri",
            self.server.uri,
        ]
        with (storage / "output").open("a") as output:
            return subprocess.Popen(
                command(self._encoder, storage, *alone, "--imbalance-ratio", "0.2"),
                cwd=ROOT,
                env={**environment(), **variables},
                stdout=output,
                stderr=output,
                text=True,
                preexec_fn=default_signals,
            )

    def _finish(self, name: str, **variables: str) -> None:
        """Launch a study and wait for its end."""
        launched = self._start(name, **variables)
        if launched.wait(_LAUNCH_S) != 0:
            said = (self._folder / "storage" / name / "output").read_text()[-3000:]
            raise RuntimeError(f"{name} ended with {launched.returncode}: {said}")

    def _disturb(self, name: str, moment: str, victim: str | Callable[[], None], **variables: str) -> None:
        """Launch a study, kill the victim when the moment has come, and wait for the launch to end, however it does."""
        launched = self._start(name, **variables)
        path = self._folder / "storage" / name / name / "ledger.jsonl"
        self._await(lambda: path.exists() and has_come(moment, Ledger(path)), launched)
        if victim == "driver":
            launched.kill()
        elif victim == "mlflow":
            self.server.kill()
        elif victim == "trial":
            self._await(lambda: bool(trial_processes(launched.pid)), launched)
            os.kill(trial_processes(launched.pid)[0], signal.SIGKILL)
        elif callable(victim):
            victim()
        launched.wait(_LAUNCH_S)

    def _await(self, come: Callable[[], bool], launched: subprocess.Popen[str]) -> None:
        ends = time.monotonic() + _LAUNCH_S
        while not come():
            if launched.poll() is not None or time.monotonic() > ends:
                launched.kill()
                raise RuntimeError("the study ended before the moment came")
            time.sleep(0.02)


def trial_processes(driver: int) -> list[int]:
    """Return the processes below a driver in which trials run."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_text().split("\0")[0]
        except (OSError, ValueError):
            continue  # it has just ended
    found = []
    for process, title in titles.items():
        above = process
        while above in parents and above != driver:
            above = parents[above]
        if above == driver and title.startswith("ray::ImplicitFunc"):
            found.append(process)
    return found


def table(cells: dict[tuple[str, str], tuple[Left, list[str]]], undisturbed: Left) -> str:
    """Return the matrix as Markdown: expected and real counts of every cell, and what differs."""
    lines = [
        "| killed | during | Optuna expected | real | MLflow expected | real | twice | differs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (victim, moment), (left, differences) in cells.items():
        counts = [undisturbed.optuna, left.optuna, undisturbed.runs, left.runs]
        shown = [", ".join(f"{n} {state}" for state, n in sorted(count.items())) for count in counts]
        cells_of_line = [victim, moment, *shown, str(left.twice), "; ".join(differences) or "nothing"]
        lines.append(f"| {' | '.join(cells_of_line)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: print the table; the exit code tells whether anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill_matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=VICTIMS)
    parser.add_argument("--moments", nargs="+", choices=MOMENTS, default=MOMENTS)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        matrix = Matrix(Path(folder))
        try:
            wanted = [(victim, moment) for victim in args.victims for moment in args.moments]
            cells = {
                (victim, moment): matrix.cell(victim, moment)
                for victim, moment in track(wanted, "killing", console=Console(stderr=True))
            }
            print(table(cells, matrix.undisturbed))
        finally:
            matrix.close()
    return int(any(differences for _, differences in cells.values()))


if __name__ == "__main__":
    sys.exit(main())
