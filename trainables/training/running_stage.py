"""A stage while it runs: its counts and losses, its weights, and its whole state between two steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from trainables.errors import TrialFailed
from trainables.model.embedding import OccurringEmbedding
from trainables.training.batch_gradient import BatchGradient, BatchWork
from trainables.training.optimizer import FlatAdamW

# Steps between two looks at a GPU's losses: each look waits until the GPU has emptied its queue of work.
STEPS_PER_CHECK_ON_GPU = 20
EMBEDDING_ROWS = "rows"


@dataclass(frozen=True)
class StageState:
    """Everything that the rest of a stage depends on, between two of its steps.

    Attributes
    ----------
    step
        Steps done.
    optimizer
        See :meth:`trainables.training.optimizer.FlatAdamW.state`.
    worker
        What belongs to this worker alone: its random sources, its counts, and its token budget.
    """

    step: int
    optimizer: Mapping[str, torch.Tensor]
    worker: Mapping[str, torch.Tensor]


class StageProgress:
    """Counts what a stage does, and stops a trial whose loss or gradient is not finite.

    Losses are added up on the device.

    Parameters
    ----------
    device
        Where the losses are.
    gradient
        What computes the losses, and may know why it could not.

    Attributes
    ----------
    rows, real_tokens, padded_tokens, flops
        As in :class:`trainables.training.stage.StageReport`.
    waited
        Seconds that :meth:`check` took: on a GPU, mostly for steps that were still under way.
    """

    def __init__(self, device: torch.device, gradient: BatchGradient) -> None:
        self._gradient = gradient
        self.rows = self.real_tokens = self.padded_tokens = 0
        self.flops = self.waited = 0.0
        self._every = 1 if device.type == "cpu" else STEPS_PER_CHECK_ON_GPU
        self._sum = torch.zeros((), device=device, dtype=torch.float64)
        self._last = self._norm = torch.zeros((), device=device)
        self._steps, self._rate = 0, 0.0

    def add(self, work: BatchWork, norm: torch.Tensor, rate: float) -> None:
        """Add a step: its batch, its gradient's norm, its learning rate."""
        self.rows += work.rows
        self.real_tokens += work.real_tokens
        self.padded_tokens += work.padded_tokens
        self.flops += work.flops
        self._sum += work.loss
        self._last, self._norm, self._rate = work.loss, norm, rate
        self._steps += 1
        if self._steps % self._every == 0:
            self.check()

    def check(self) -> None:
        """Raise :class:`~trainables.errors.TrialFailed` if anything was not finite."""
        asked = time.perf_counter()
        is_finite = self._is_finite()
        self.waited += time.perf_counter() - asked
        if not is_finite:
            raise TrialFailed(
                self._gradient.failure
                or f"training diverged at step {self._steps} (learning rate {self._rate:.3g}): loss "
                f"{self._last.item()}, gradient norm {self._norm.item()}; a smaller learning rate may help"
            )

    def _is_finite(self) -> bool:
        return bool(torch.isfinite(self._sum) & torch.isfinite(self._norm))

    def mean(self) -> float:
        """Return the mean loss of all steps."""
        return self._sum.item() / self._steps

    def last(self) -> float:
        """Return the loss of the last step."""
        return self._last.item()

    def state(self) -> torch.Tensor:
        """Return the counts of the whole stage, (4,) float64; tokens, operations and time are per process."""
        self.check()
        counts = (self._steps, self.rows, self._sum.item(), self._last.item())
        return torch.tensor(counts, dtype=torch.float64)

    def load_state(self, state: torch.Tensor) -> None:
        """Go on from a :meth:`state`."""
        steps, rows, total, last = state.tolist()
        self._steps, self.rows = int(steps), int(rows)
        self._sum.fill_(total)
        self._last = torch.full_like(self._last, last)


class RunningStage:
    """A stage between two of its steps, for callers that store parts of it.

    Attributes
    ----------
    step
        Steps done.
    progress
        Its counts and losses.
    """

    def __init__(
        self, model: Any, optimizer: FlatAdamW, gradient: BatchGradient, progress: StageProgress
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._gradient = gradient
        self.step = 0
        self.progress = progress

    def weights(self) -> dict[str, torch.Tensor]:
        """Return all that the stage may have changed: float32 weights by name.

        Of the word embeddings, these are only the rows of the tokens that occur; their ids are under
        :data:`EMBEDDING_ROWS`.
        """
        self.progress.check()
        trained = self._optimizer.trained()
        weights = {name: trained[p] for name, p in self._model.named_parameters() if p in trained}
        if self._optimizer.table is not None:
            embedding = self._model.get_input_embeddings()
            assert isinstance(embedding, OccurringEmbedding)
            name = next(name for name, module in self._model.named_modules() if module is embedding)
            weights |= {EMBEDDING_ROWS: embedding.occurring, f"{name}.weight": self._optimizer.table}
        return weights

    def state(self) -> StageState:
        """Return all that the rest of the stage depends on."""
        worker = {**self._gradient.state(), "counts": self.progress.state()}
        return StageState(self.step, self._optimizer.state(), worker)

    def load_state(self, state: StageState) -> None:
        """Go on from a :meth:`state`, bit for bit on a CPU."""
        self.step = state.step
        self._optimizer.load_state(state.optimizer)
        self._gradient.load_state(state.worker)
        self.progress.load_state(state.worker["counts"])


def load_weights(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a model the weights that :meth:`RunningStage.weights` returned."""
    embedding = model.get_input_embeddings().weight
    with torch.no_grad():
        for name in weights.keys() - {EMBEDDING_ROWS}:
            parameter = model.get_parameter(name)
            values = weights[name].to(parameter.device)
            if parameter is embedding and EMBEDDING_ROWS in weights:
                parameter[weights[EMBEDDING_ROWS].to(parameter.device)] = values
            else:
                parameter.copy_(values)
