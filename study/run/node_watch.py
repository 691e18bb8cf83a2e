"""Nodes of a joined cluster that come and go: a line each, where Ray would print its log, and what was in flight."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from study.run.capacity import node_name

_LOOK_EVERY_S = 10.0
_ENDED, _TAKEN_BACK, _IDLE = 1, 3, 4  # Ray's NodeDeathInfo.Reason
_MOST_LETTERS = 160


def node_of(actor: Any) -> str:
    """Return the id of the node where a process of Ray is; empty where Ray does not know."""
    from ray._private import state

    found = state.actors(actor_id=actor._actor_id.hex())
    return str(found.get("Address", {}).get("NodeID", ""))


class NodeWatch:
    """Say which nodes were lost, how many replicates were in flight there, and which nodes joined.

    Parameters
    ----------
    nodes
        Returns what Ray says of every node, those that were lost included.
    say
        Called with each line.
    groups
        Whether trials train on groups of workers, which are elsewhere than the processes of the trials.
    place
        Returns the id of the node of a process of Ray.
    clock
        A monotonic clock, in seconds.
    """

    def __init__(
        self,
        nodes: Callable[[], Sequence[Mapping[str, Any]]],
        say: Callable[[str], None],
        *,
        groups: bool = False,
        place: Callable[[Any], str] = node_of,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = nodes
        self._say = say
        self._groups = groups
        self._place = place
        self._clock = clock
        self._places: dict[str, str] = {}
        self._looked = float("-inf")
        self._alive: set[str] | None = None
        self._lost: list[Mapping[str, Any]] = []  # of which nothing was said yet
        self._in_flight = 0  # since something was said
        self._again: list[str] = []

    def began(self, tune_id: str, actor: Any) -> None:
        """Note where the process of a trial of Tune is."""
        self._places[tune_id] = self._place(actor)

    def process_died(self, tune_id: str, trial_id: str) -> str:
        """Note that the process of a trial died, and with it the replicate that it was at.

        Parameters
        ----------
        tune_id, trial_id
            The trial by Tune's name and by the study's.

        Returns
        -------
        str
            The id of the node where it was; empty where that is not known.
        """
        self._in_flight += 1
        self._again.append(trial_id)
        return self._places.pop(tune_id, "")

    def gone(self) -> frozenset[str]:
        """Return the ids of the nodes that the cluster has lost."""
        return frozenset(node["NodeID"] for node in self._nodes() if not node["Alive"])

    def check(self) -> None:
        """Look at the nodes from time to time.

        A loss is told at the next look: Ray may tell of a node's end before it tells of that of its processes.
        """
        if self._clock() - self._looked < _LOOK_EVERY_S:
            return
        self._looked = self._clock()
        nodes = self._nodes()
        alive = {node["NodeID"] for node in nodes if node["Alive"]}
        before = alive if self._alive is None else self._alive
        if self._lost:
            self._tell()
        self._lost = [node for node in nodes if node["NodeID"] in before - alive]
        self._lost = [node for node in self._lost if node.get("DeathReason") != _IDLE]
        for node in nodes:
            if node["NodeID"] in alive - before:
                self._say(f"Node {node_name(node)} joined the cluster.")
        self._alive = alive

    def end(self) -> None:
        """Tell what is left to tell, and how much was trained twice."""
        if self._lost:
            self._tell()
        if self._again:
            trials = dict.fromkeys(self._again)
            self._say(
                f"{len(self._again)} replicate(s) of {len(trials)} trial(s) were in flight when their processes were "
                f"lost, and began again: {', '.join(trials)}."
            )

    def _tell(self) -> None:
        losses = "; ".join(f"{node_name(node)}: {_reason(node)}" for node in self._lost)
        if self._in_flight:
            count = f"{self._in_flight} replicate(s) begin again"
        elif self._groups:  # Ray Train replaces them without a word
            count = "trials that had workers there start them again"
        else:
            count = "nothing was in flight there"
        nodes = "node" if len(self._lost) == 1 else "nodes"
        self._say(f"Lost {nodes} {losses}; {count}.")
        self._lost, self._in_flight = [], 0


def _reason(node: Mapping[str, Any]) -> str:
    """Return why a node was lost, in a sentence without its end."""
    if node.get("DeathReason") == _TAKEN_BACK:
        return "the provider took it back (preempted)"
    if node.get("DeathReason") == _ENDED:
        return "it was stopped"
    said = str(node.get("DeathReasonMessage") or "").strip()
    first = next(iter(said.splitlines()), "").partition(". ")[0].rstrip(".")[:_MOST_LETTERS]
    return first or "it does not answer any more"
