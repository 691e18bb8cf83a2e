"""The data-parallel workers of one trial: who am I, how many are we, and what we tell one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class World:
    """A group of workers that train one model together.

    Each computes its part of every batch and gradients are averaged, so the steps are those of a single worker. Without
    dropout, weights and scores agree with a single worker's within 1 % (sums are added in another order). With dropout,
    each worker draws its own masks, so they agree within the noise between two seeds.

    Attributes
    ----------
    rank
        This worker's number, from 0.
    size
        Number of workers.
    """

    rank: int
    size: int

    @classmethod
    def single(cls) -> World:
        """Return the world of one worker."""
        return cls(0, 1)

    @classmethod
    def from_distributed(cls) -> World:
        """Return the world that ``torch.distributed`` was initialised with, or the world of one worker."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls.single()
        return cls(dist.get_rank(), dist.get_world_size())

    def all_reduce_mean(self, tensor: torch.Tensor) -> None:
        """Replace a tensor, in place, by its mean over the workers."""
        if self.size > 1:
            dist.all_reduce(tensor)
            tensor.div_(self.size)

    def all_reduce_sum(self, tensor: torch.Tensor) -> None:
        """Replace a tensor, in place, by its sum over the workers."""
        if self.size > 1:
            dist.all_reduce(tensor)

    def all_agree(self, mine: bool) -> bool:
        """Return whether every worker says True; all must call this."""
        said = torch.tensor(float(mine), device=_device_of_backend())
        self.all_reduce_sum(said)
        return bool(said.item() == self.size)

    def first_says(self, mine: bool) -> bool:
        """Return what the first worker says; all must call this."""
        return bool(self.gather(mine)[0])

    def gather(self, mine: Any) -> list[Any]:
        """Return every worker's small object, in the order of their ranks; all must call this."""
        if self.size == 1:
            return [mine]
        everyone: list[Any] = [None] * self.size
        dist.all_gather_object(everyone, mine)
        return everyone


def _device_of_backend() -> torch.device:
    if dist.is_available() and dist.is_initialized() and dist.get_backend() == "nccl":
        return torch.device("cuda")
    return torch.device("cpu")
