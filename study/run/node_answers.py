"""One question to each of some nodes of the connected cluster: who answers, who does not in time, who was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from trainables.errors import first_line

T = TypeVar("T")
# Seconds: a process has to be started on each node, which may be busy, and to load libraries.
ANSWER_S = 120.0


@dataclass
class Answers(Generic[T]):
    """What came of a question, by the nodes as Ray describes them.

    Attributes
    ----------
    answered
        Nodes, each beside its answer.
    late
        Nodes that did not answer within :data:`ANSWER_S`; they are asked no longer.
    lost
        Nodes that could not run the question, each beside the first line of Ray's reason.
    """

    answered: list[tuple[Mapping[str, Any], T]] = field(default_factory=list)
    late: list[Mapping[str, Any]] = field(default_factory=list)
    lost: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)


def ask_each(nodes: Sequence[Mapping[str, Any]], ask: Callable[[], T], *, gpus: float = 0.0) -> Answers[T]:
    """Ask nodes something, each in a process of its own there. An error of the question itself is raised.

    Parameters
    ----------
    nodes
        As Ray describes them.
    ask
        The question.
    gpus
        The share of a GPU that it needs.

    Returns
    -------
    The nodes in the order in which they were given.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Ray makes tasks of functions alone, not of every callable.
    remote = ray.remote(num_cpus=0, num_gpus=gpus, max_retries=0)(lambda: ask())
    asked = {
        remote.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(): node
        for node in nodes
    }
    _, late = ray.wait([*asked], num_returns=len(asked), timeout=ANSWER_S) if asked else ([], [])
    for answer in late:
        ray.cancel(answer)
    found: Answers[T] = Answers(late=[asked[answer] for answer in late])
    for answer, node in asked.items():
        if answer in late:
            continue
        try:
            found.answered.append((node, ray.get(answer)))
        except RayTaskError:
            raise
        except RayError as error:
            found.lost.append((node, first_line(error)))
    return found
