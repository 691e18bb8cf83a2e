"""How far a stage is: its counts and losses, and its whole state between two steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from trainables.errors import TrialFailed

# A GPU is asked for its losses so often only: each answer waits for the queue of work to run dry.
STEPS_PER_CHECK_ON_GPU = 20


@dataclass(frozen=True)
class StageState:
    """Everything that the rest of a stage depends on, between two of its steps.

    Attributes
    ----------
    step
        Steps done.
    optimizer
        See :meth:`trainables.optimizer.FlatAdamW.state`; without ``weights`` where the model holds them.
    worker
        What is this worker's own: its random sources, its counts, and its token budget.
    """

    step: int
    optimizer: Mapping[str, torch.Tensor]
    worker: Mapping[str, torch.Tensor]


class StageProgress:
    """Counts what a stage does, and stops a trial whose loss or gradient is not finite.

    Losses are added up on the device.

    Attributes
    ----------
    rows, real_tokens, padded_tokens
        As in :class:`trainables.stage.StageReport`.
    """

    def __init__(self, device: torch.device) -> None:
        self.rows = self.real_tokens = self.padded_tokens = 0
        self._started = time.perf_counter()
        self._every = 1 if device.type == "cpu" else STEPS_PER_CHECK_ON_GPU
        self._sum = torch.zeros((), device=device, dtype=torch.float64)
        self._last = self._norm = torch.zeros((), device=device)
        self._steps, self._rate = 0, 0.0

    @property
    def seconds(self) -> float:
        """Time spent so far, in earlier processes too."""
        return time.perf_counter() - self._started

    def add(
        self, value: torch.Tensor, norm: torch.Tensor, rate: float, *, rows: int, real: int, padded: int
    ) -> None:
        """Add a step: its loss, its gradient's norm, its learning rate, its rows and tokens."""
        self.rows += rows
        self.real_tokens += real
        self.padded_tokens += padded
        self._sum += value
        self._last, self._norm, self._rate = value, norm, rate
        self._steps += 1
        if self._steps % self._every == 0:
            self.check()

    def check(self) -> None:
        """Raise :class:`~trainables.errors.TrialFailed` if anything was not finite."""
        if not bool(torch.isfinite(self._sum) & torch.isfinite(self._norm)):
            raise TrialFailed(
                f"training diverged at step {self._steps} (learning rate {self._rate:.3g}): loss "
                f"{self._last.item()}, gradient norm {self._norm.item()}; a smaller learning rate may help"
            )

    def mean(self) -> float:
        """Return the mean loss of all steps."""
        return self._sum.item() / self._steps

    def last(self) -> float:
        """Return the loss of the last step."""
        return self._last.item()

    def state(self) -> torch.Tensor:
        """Return all counts, (7,) float64."""
        self.check()
        counts = (self._steps, self.rows, self.real_tokens, self.padded_tokens)
        return torch.tensor([*counts, self.seconds, self._sum.item(), self._last.item()], dtype=torch.float64)

    def load_state(self, state: torch.Tensor) -> None:
        """Go on from a :meth:`state`."""
        self._steps, self.rows, self.real_tokens, self.padded_tokens = map(int, state[:4].tolist())
        self._started -= float(state[4])
        self._sum.fill_(state[5])
        self._last = state[6].to(self._last.device, torch.float32)
