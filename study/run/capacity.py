"""How many trials a joined cluster may run at a time: on the nodes that it has, and on those that it may start.

What an autoscaler may start stands in the configuration that its process on the head was started with (``ray up`` puts
it there). Where that process runs elsewhere, as on Kubernetes, only its reports tell that there is one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD = "node:__internal_head__"  # a resource that Ray gives its head alone, of which there is 1
LEAST = 0.0001  # the least share of a resource that Ray counts
_COUNT_EVERY_S = 10.0
_ASK_S = 60.0
_AHEAD = 4  # trials that wait, at the least, so that an autoscaler of unknown means starts nodes


@dataclass(frozen=True)
class NodeType:
    """A type of node that an autoscaler may start.

    Attributes
    ----------
    resources
        Those of one node by name.
    most
        How many nodes of it may run at a time.
    """

    resources: Mapping[str, float]
    most: int


@dataclass(frozen=True)
class Autoscaler:
    """What starts the nodes of a cluster.

    Attributes
    ----------
    types
        What it may start; None where that is not known.
    most
        How many nodes it may have started at a time; None where that is not known.
    """

    types: tuple[NodeType, ...] | None = None
    most: int | None = None

    def nodes(self, needed: Mapping[str, float]) -> list[Mapping[str, float]]:
        """Return the nodes on which most trials fit, were it to start as many as it may."""
        found: list[Mapping[str, float]] = []
        for kind in sorted(self.types or (), key=lambda kind: -places(needed, [kind.resources])):
            found += [kind.resources] * min(kind.most, (self.most or 0) - len(found))
        return found


@dataclass(frozen=True)
class Demand:
    """What the workers of one trial ask for.

    Attributes
    ----------
    needed
        Resources of one worker by name.
    workers
        How many there are.
    """

    needed: Mapping[str, float]
    workers: int

    def slots(self, nodes: Iterable[Mapping[str, float]]) -> int:
        """Return how many trials fit on some nodes at a time, were these free."""
        return places(self.needed, nodes) // self.workers


def places(needed: Mapping[str, float], nodes: Iterable[Mapping[str, float]]) -> int:
    """Return how many workers fit on some nodes, were these free.

    Examples
    --------
    >>> places({"CPU": 2}, [{"CPU": 5}, {"CPU": 3}])
    3
    """
    asked = {name: amount for name, amount in needed.items() if amount}
    return sum(
        min((int(node.get(name, 0) / amount + 1e-9) for name, amount in asked.items()), default=1)
        for node in nodes
    )


def shown(resources: Mapping[str, float]) -> str:
    """Return processors and GPUs in words: ``4 CPUs, 1 GPU``."""
    counted = {name: resources[name] for name in ("CPU", "GPU") if name in resources}
    return ", ".join(f"{amount:g} {name}{'' if amount == 1 else 's'}" for name, amount in counted.items())


def offer(nodes: Sequence[Mapping[str, float]]) -> str:
    """Return what some nodes have, in words.

    Examples
    --------
    >>> offer([{"CPU": 0.0}, {"CPU": 4.0, "GPU": 1.0}, {"CPU": 4.0, "GPU": 1.0}])
    'the nodes offer 1 x (0 CPUs, 0 GPUs); 2 x (4 CPUs, 1 GPU)'
    """
    kinds = Counter(shown({name: node.get(name, 0) for name in ("CPU", "GPU")}) for node in nodes)
    offered = "; ".join(f"{n} x ({kind})" for kind, n in kinds.items())
    return f"the nodes offer {offered}" if nodes else "there is no node"


@dataclass(frozen=True)
class Capacity:
    """What a joined cluster has and may have.

    Attributes
    ----------
    nodes
        Returns the resources of every node that is alive.
    autoscaler
        What starts further ones; None where nobody but the user does.
    """

    nodes: Callable[[], Sequence[Mapping[str, float]]]
    autoscaler: Autoscaler | None

    @property
    def is_full(self) -> bool:
        """Whether all nodes are there that there may be at a time."""
        if self.autoscaler is None:
            return True
        started = sum(HEAD not in node for node in self.nodes())
        return self.autoscaler.most is not None and started >= self.autoscaler.most

    def slots(self, demand: Demand) -> int:
        """Return how many trials to ask for at a time: as many as will fit once all nodes have been started.

        An autoscaler starts nodes for what waits. Where it is not known what nodes are still to come, a few trials
        more than fit wait, which again become more with the nodes.
        """
        present = self.nodes()
        now = demand.slots(present)
        if self.autoscaler is None:
            return now
        if self.autoscaler.types is None:
            return now if self.is_full else now + max(now, _AHEAD)
        stays = [node for node in present if HEAD in node]
        return max(now, demand.slots([*stays, *self.autoscaler.nodes(demand.needed)]))


class TrialLimit:
    """How many trials may be under way or wait, which follows the cluster.

    Parameters
    ----------
    capacity, demand
        The cluster, and what a trial asks for.
    at_most
        The study's own limit; None for none.
    clock
        A monotonic clock, in seconds.
    """

    def __init__(
        self,
        capacity: Capacity,
        demand: Demand,
        at_most: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._demand = demand
        self._at_most = at_most
        self._clock = clock
        self._counted = float("-inf")
        self._limit = 1

    def __call__(self) -> int:
        """Return the limit, counted a moment ago; 1 or more, so that there is something to wait for."""
        if self._clock() - self._counted >= _COUNT_EVERY_S:
            self._counted = self._clock()
            slots = max(1, self._capacity.slots(self._demand))
            self._limit = slots if self._at_most is None else min(slots, self._at_most)
        return self._limit


def alive() -> list[dict[str, Any]]:
    """Return what Ray says of every node of the connected cluster that is alive."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def nodes_alive() -> list[Mapping[str, float]]:
    """Return the resources of every node of the connected cluster."""
    return [node["Resources"] for node in alive()]


def node_name(node: Mapping[str, Any]) -> str:
    """Return how people are told of a node, of which Ray says this."""
    return f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})"


def joined_capacity() -> Capacity:
    """Return what the connected cluster has and may have."""
    import ray
    from ray.exceptions import RayError

    address = ray.get_runtime_context().gcs_address
    ask = ray.remote(num_cpus=0, resources={HEAD: LEAST}, max_retries=0)(_autoscaling_config)
    found: str | None = None
    if any(HEAD in node for node in nodes_alive()):
        try:
            found = ray.get(ask.remote(address), timeout=_ASK_S)
        except RayError:  # a head that has no time, or that is lost, which is noticed elsewhere
            found = None
    return Capacity(nodes_alive, Autoscaler() if found is None else autoscaler_of(found))


def _autoscaling_config(address: str) -> str | None:
    """Return the configuration of the autoscaler on this head: its text, empty where there is none; None: not known."""
    import psutil

    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        programs = {Path(part).name for part in command[:4]}  # Python, its options, and the program
        if f"--gcs-address={address}" in command and "monitor.py" in programs:
            given = [part.partition("=")[2] for part in command if part.startswith("--autoscaling-config=")]
            try:
                # `ray up` names a file in the home folder, which no shell fills in.
                return Path(given[0]).expanduser().read_text(encoding="utf-8") if given else ""
            except OSError:
                return None
    return None


def autoscaler_of(text: str) -> Autoscaler | None:
    """Return the autoscaler that a configuration describes; None where there is none.

    Parameters
    ----------
    text
        The configuration as Ray reads it: YAML.
    """
    import yaml

    config: Mapping[str, Any] = yaml.safe_load(text) or {}
    if not config:
        return None
    most = int(config.get("max_workers", 2))
    types = []
    for name, kind in config.get("available_node_types", {}).items():
        if name == config.get("head_node_type") and not kind.get("max_workers"):
            continue  # machines of one's own are all of the head's type
        resources = kind.get("resources") or {}
        if not resources:  # a node says itself what it has, once it is there
            return Autoscaler(most=most)
        types.append(NodeType(resources, int(kind.get("max_workers", most))))
    return Autoscaler(tuple(types), most)
