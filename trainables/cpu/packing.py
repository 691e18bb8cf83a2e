"""Texts laid end to end for a forward pass on a CPU: only attention computes on padding."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch

from trainables.cpu.kernels import LANES
from trainables.texts.tokens import TokenisedTexts

Tensor = torch.Tensor

# Matrix kernels are compiled per shape, which takes longer than running them: few shapes, little waste.
_ROWS_MULTIPLE = 32
_LENGTH_MULTIPLE = LANES


@dataclass(frozen=True)
class PackedTexts:
    """b texts end to end: t rows for everything but attention, b·l slots for attention.

    At least one row at the end belongs to no text. It stands in for padding, and its gradient is always zero.

    Attributes
    ----------
    ids, positions
        (t,) int64 token id, and place in its text, of each row.
    n
        Rows that belong to texts.
    first, lengths
        (b,) int64 row of each text's first token, and its tokens.
    length
        Slots per text, l.
    """

    ids: Tensor
    positions: Tensor
    n: int
    first: Tensor
    lengths: Tensor
    length: int

    @classmethod
    def of(cls, texts: TokenisedTexts, pad_id: int) -> PackedTexts:
        """Lay out tokenised texts."""
        lengths, starts = texts.lengths, texts.offsets[:-1]
        n = int(texts.offsets[-1])
        rows = _multiple(n + 1, _ROWS_MULTIPLE)
        ids = np.full(rows, pad_id, np.int64)
        ids[:n] = texts.ids
        positions = np.zeros(rows, np.int64)
        positions[:n] = np.arange(n) - np.repeat(starts, lengths)
        return cls(
            torch.from_numpy(ids),
            torch.from_numpy(positions),
            n,
            torch.from_numpy(starts.copy()),
            torch.from_numpy(lengths),
            _multiple(int(lengths.max()), _LENGTH_MULTIPLE),
        )

    @functools.cached_property
    def is_token(self) -> Tensor:
        """(b, l) bool, which slots hold a token."""
        return torch.arange(self.length) < self.lengths[:, None]

    @functools.cached_property
    def widths(self) -> Tensor:
        """(b,) int64 numbers that the attention kernel keeps for each query of a text."""
        return -(-self.lengths // LANES) * LANES

    @functools.cached_property
    def row_of_slot(self) -> Tensor:
        """(b·l,) int64; a slot of padding takes the first row that belongs to no text."""
        rows = self.first[:, None] + torch.arange(self.length)
        return torch.where(self.is_token, rows, self.n).flatten()

    @functools.cached_property
    def slot_of_row(self) -> Tensor:
        """(t,) int64."""
        slots = torch.zeros(len(self.ids), dtype=torch.int64)
        slots[: self.n] = self.is_token.flatten().nonzero().flatten()
        return slots

    @functools.cached_property
    def bias(self) -> Tensor:
        """(b, 1, 1, l) float32 to add to attention scores: 0 on tokens, very negative on padding."""
        return torch.where(self.is_token, 0.0, -1e30)[:, None, None]


def _multiple(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
