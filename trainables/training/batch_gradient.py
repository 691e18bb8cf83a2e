"""The gradient of a batch: forward and backward at once, or in parts where memory is short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from trainables.cpu.dropout import MaskGenerator
from trainables.errors import TrialFailed
from trainables.model.token_budget import token_budget
from trainables.texts.batching import Rows, shard
from trainables.training.objective import Objective
from trainables.training.optimizer import FlatAdamW
from trainables.world import World


@dataclass(frozen=True)
class BatchWork:
    """What a worker did for one batch.

    Attributes
    ----------
    loss
        Its part of the loss, (), scaled so that the mean over workers is the batch's loss.
    rows
        Rows of the global batch.
    real_tokens, padded_tokens
        Tokens of its own rows without and with padding.
    flops
        Floating point operations that the model asks for on its real tokens.
    """

    loss: torch.Tensor
    rows: int
    real_tokens: int
    padded_tokens: int
    flops: float


class BatchGradient:
    """Brings the gradient of a batch into the optimizer's flat buffer.

    Where memory runs out, the batch is computed in parts whose gradients add up, in float32, to that of the whole.
    The failed try leaves no trace: its gradients are discarded and its random numbers are drawn again. The parts draw
    their dropout masks one after the other, so these differ from the masks of the whole batch.

    Parameters
    ----------
    model, optimizer
        A model in training mode and the optimizer of its trained parameters.
    objective
        What is minimised.
    lengths
        (n,) tokens of the texts that the batches are taken from.
    masks
        Source of dropout masks on a CPU, or None.
    precision
        Data type that the model computes in.
    world
        The workers that share the batches.

    Attributes
    ----------
    failure
        Why this worker, one of several, no longer computes gradients; None as long as it does.
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        lengths: Rows,
        optimizer: FlatAdamW,
        masks: MaskGenerator | None,
        precision: torch.dtype,
        world: World,
    ) -> None:
        self._objective = objective
        self._lengths = lengths
        self._device = next(model.parameters()).device
        self._optimizer = optimizer
        self._masks = masks
        self._world = world
        self._budget = token_budget("training", model, precision)
        self.failure: str | None = None

    def of(self, batch: Rows, step: int) -> BatchWork:
        """Compute the gradient of the mean loss of a batch, over all workers.

        Parameters
        ----------
        batch
            (b,) row numbers of the global batch.
        step
            Number of the step, from 0 on.

        Raises
        ------
        TrialFailed
            Not even one row fits in memory. Where there are several workers, the failing one keeps the reason in
            :attr:`failure` instead and adds NaN to this and every later sum over workers, until all of them check
            their losses after the same step.
        """
        rows = shard(batch, self._world.rank, self._world.size)
        before = self._random_state()
        losses = self._objective.of(batch, step)

        def backward(part: Rows, is_first: bool) -> tuple[torch.Tensor, int]:
            row_losses, computed = losses(part)
            # Workers' parts may differ by a row; scaled so, their mean over workers is that over the global batch.
            value = row_losses.sum() * (self._world.size / len(batch))
            value.backward()  # type: ignore[no-untyped-call]
            self._optimizer.collect(add=not is_first)
            return value.detach(), computed

        def undo() -> None:
            self._optimizer.discard()
            self._load_random_state(before)

        parts: list[tuple[torch.Tensor, int]] = []
        value = torch.zeros((), device=self._device)
        if self.failure is None:
            try:
                parts = self._budget.run(rows, self._lengths, backward, undo)
            except TrialFailed as error:
                if self._world.size == 1:
                    raise
                self.failure = str(error)
        if self.failure is not None:
            # The other workers wait for this sum, and its NaN stops them too.
            self._optimizer.gradient.fill_(torch.nan)
            value.fill_(torch.nan)
        elif not parts:
            self._optimizer.collect()
        self._world.all_reduce_mean(self._optimizer.gradient)
        for part_value, _ in parts:
            value = value + part_value
        lengths = self._lengths[rows]
        return BatchWork(
            value,
            len(batch),
            int(lengths.sum()),
            sum(computed for _, computed in parts),
            self._objective.cost.of(lengths) if len(rows) else 0.0,
        )

    def rows_at_once(self, batch_size: int) -> int:
        """Return how many of the longest rows this worker computes at once in batches of this size."""
        return self._budget.rows(-(-batch_size // self._world.size), int(self._lengths.max()))

    def state(self) -> dict[str, torch.Tensor]:
        """Return what the gradients of later batches depend on besides the weights."""
        return {**self._random_state(), "token_budget": torch.tensor(self._budget.tokens or 0)}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a :meth:`state`."""
        self._load_random_state(state)
        self._budget.bound(int(state["token_budget"]))

    def _random_state(self) -> dict[str, torch.Tensor]:
        state = {"torch": torch.get_rng_state()}
        if self._masks is not None:
            state["masks"] = torch.from_numpy(self._masks.state().view(np.int64))
        if self._device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self._device)
        return state

    def _load_random_state(self, state: Mapping[str, torch.Tensor]) -> None:
        torch.set_rng_state(state["torch"])
        if self._masks is not None:
            self._masks.load_state(state["masks"].numpy().view(np.uint64))
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self._device)
