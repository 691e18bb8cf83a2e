"""How many padded tokens fit in memory at once: no bound until memory runs out, then half, and half again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from trainables.errors import TrialFailed
from trainables.texts.batching import Rows, evaluation_batches

T = TypeVar("T")
_log = logging.getLogger(__name__)


class TokenBudget:
    """Computes the rows of a batch at once, or in parts where memory ran out before.

    Rows of a part are of similar length, so that a batch of short texts stays whole.

    Parameters
    ----------
    purpose
        What memory is needed for, in words for people.

    Attributes
    ----------
    tokens
        Most padded tokens at once; None as long as memory sufficed.
    """

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self.tokens: int | None = None

    def run(
        self,
        rows: Rows,
        lengths: Rows,
        compute: Callable[[Rows, bool], T],
        undo: Callable[[], None],
    ) -> list[T]:
        """Compute rows, all at once or part by part.

        Parameters
        ----------
        rows
            (b,) row numbers.
        lengths
            (n,) tokens per row, over all rows.
        compute
            Called with the row numbers of a part and whether it is the first one of the batch.
        undo
            Called before the whole batch is tried again in smaller parts: takes back what the failed try did.

        Returns
        -------
        What ``compute`` returned for each part.

        Raises
        ------
        TrialFailed
            Not even one row fits.
        """
        while True:
            done: list[T] = []
            failed = None
            for part in self._parts(rows, lengths):
                try:
                    done.append(compute(part, not done))
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                    failed = part
                    break
            if failed is None:
                return done
            # Out here the error is gone, and so are the failed try's activations, which its frames held.
            done.clear()
            undo()
            self._halve(lengths[failed])

    def bound(self, tokens: int) -> None:
        """Keep within the bound that another process has found; 0 means that memory sufficed there."""
        found = [bound for bound in (self.tokens, tokens) if bound]
        self.tokens = min(found, default=None)

    def rows(self, most: int, length: int) -> int:
        """Return how many rows of a length are computed at once, at most ``most``."""
        return most if self.tokens is None else max(1, min(most, self.tokens // length))

    def _parts(self, rows: Rows, lengths: Rows) -> list[Rows]:
        if self.tokens is None or len(rows) * int(lengths[rows].max(initial=0)) <= self.tokens:
            return [rows] if len(rows) else []
        return [rows[part] for part in evaluation_batches(lengths[rows], self.tokens)]

    def _halve(self, failed: Rows) -> None:
        length = int(failed.max())
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(failed) == 1:
            raise TrialFailed(
                f"out of memory in {self.purpose}: not even one text of {length} tokens fits; use a smaller "
                "encoder or max_length, or let fewer trials share the memory (concurrency, gpus_per_trial)"
            )
        first = self.tokens is None
        self.tokens = len(failed) * length // 2
        (_log.warning if first else _log.info)(
            "out of memory in %s: %d texts of up to %d tokens did not fit at once; this process now computes at "
            "most %d tokens at a time and adds up their gradients (the effective batch stays the same)",
            self.purpose, len(failed), length, self.tokens,
        )  # fmt: skip


_NO_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
_budgets: dict[tuple[str, str, str, int], TokenBudget] = {}


def token_budget(purpose: str, model: Any, precision: torch.dtype) -> TokenBudget:
    """Return what this process has found out about a model's need for memory.

    Parameters
    ----------
    purpose
        ``"training"`` or ``"prediction"``.
    model, precision
        The model, and the data type that it computes in.
    """
    device = str(next(model.parameters()).device)
    size = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return _budgets.setdefault((purpose, device, str(precision), size), TokenBudget(purpose))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether an error says that a GPU's memory, or this machine's, does not suffice."""
    # Besides PyTorch's GPU allocator, the driver and cuBLAS ask for memory; the CPU allocator raises a plain error.
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _NO_MEMORY)
