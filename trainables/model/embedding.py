"""The part of the word embedding table that a stage's texts use.

Half of a small encoder's weights are its word embeddings, and a stage's texts hold a few thousand of its
30,000 tokens. A stage trains only those rows. That equals training the whole table with dense AdamW except
that rows which never occur keep their value, where dense AdamW would let weight decay shrink them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch


class OccurringEmbedding(torch.nn.Module):
    """Looks up word embeddings in a float32 table of the occurring tokens and yields them in ``dtype``.

    The gradient is summed in float32, straight into a row of the optimizer's buffer: frequent tokens get
    hundreds of small terms, which bfloat16 would swallow.

    Parameters
    ----------
    embedding
        The encoder's own embedding.
    occurring
        (U,) token ids, unique.
    dtype
        Data type of the output.
    """

    def __init__(
        self, embedding: torch.nn.Embedding, occurring: npt.NDArray[np.int64], dtype: torch.dtype
    ) -> None:
        super().__init__()
        device = embedding.weight.device
        self.occurring = torch.from_numpy(occurring).to(device)
        row_of = torch.full((embedding.num_embeddings,), -1, dtype=torch.int64, device=device)
        row_of[self.occurring] = torch.arange(len(occurring), device=device)
        self.row_of = row_of
        padding = embedding.padding_idx
        self.padding_row = int(row_of[padding]) if padding is not None and row_of[padding] >= 0 else None
        self.dtype = dtype
        self.table = torch.empty(0)
        self.gradient: torch.Tensor | None = None

    def bind(self, table: torch.Tensor, gradient: torch.Tensor | None) -> None:
        """Take the (U, H) float32 rows, and the (U, H) float32 buffer that gradients are added to."""
        self.table, self.gradient = table, gradient

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the (…, H) embeddings of (…) token ids."""
        rows = self.row_of[ids]
        embedded = self.table[rows].to(self.dtype)
        if self.gradient is not None and torch.is_grad_enabled():
            embedded.requires_grad_()
            embedded.register_hook(lambda gradient: self._accumulate(rows, gradient))  # type: ignore[no-untyped-call]
        return embedded

    def _accumulate(self, rows: torch.Tensor, gradient: torch.Tensor) -> None:
        if self.gradient is not None:
            self.gradient.index_add_(0, rows.flatten(), gradient.flatten(0, -2).float())
            if self.padding_row is not None:  # as in torch.nn.Embedding, padding never learns
                self.gradient[self.padding_row] = 0.0


def occurring_tokens(ids: npt.NDArray[np.int32], pad_id: int) -> npt.NDArray[np.int64]:
    """Return the sorted distinct token ids of a stage, padding included."""
    return np.unique(np.append(ids, np.int32(pad_id))).astype(np.int64)
