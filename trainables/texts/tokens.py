"""Tokenised texts: all token ids in one array, no padding, cheap to share between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Enough texts to keep every thread of the tokenizer busy, few enough to bound its memory.
TEXTS_PER_CALL = 4096


@dataclass(frozen=True)
class TokenisedTexts:
    """Token ids of n texts, one after the other.

    Attributes
    ----------
    ids
        (total,) int32, special tokens included.
    offsets
        (n + 1,) int64; text i is ``ids[offsets[i]:offsets[i + 1]]``.
    words
        The words of the same texts, whole and not cut to a longest sequence, see :mod:`trainables.texts.words`; None
        where nobody counts words.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    words: TokenisedTexts | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(n,) int64, tokens per text."""
        return np.diff(self.offsets)

    def select(self, rows: npt.ArrayLike) -> TokenisedTexts:
        """Return the texts of the given row numbers, in their order; a row may repeat."""
        rows = np.asarray(rows, dtype=np.int64)
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = _offsets(lengths)
        source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return TokenisedTexts(
            self.ids[source], offsets, None if self.words is None else self.words.select(rows)
        )

    def row_keys(self) -> list[bytes]:
        """Return n values that are equal where the texts' tokens are."""
        return [self.ids[a:b].tobytes() for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]

    @classmethod
    def concatenate(cls, parts: Sequence[TokenisedTexts]) -> TokenisedTexts:
        """Return the texts of several parts, one part after the other; with their words where all parts have them."""
        empty_ids, empty_lengths = np.empty(0, np.int32), np.empty(0, np.int64)
        ids = np.concatenate([empty_ids, *(part.ids for part in parts)])
        offsets = _offsets(np.concatenate([empty_lengths, *(part.lengths for part in parts)]))
        words = [part.words for part in parts if part.words is not None]
        return cls(ids, offsets, cls.concatenate(words) if words and len(words) == len(parts) else None)


def tokenise(texts: Sequence[str], tokenizer: Any, max_length: int) -> TokenisedTexts:
    """Tokenise texts with a fast transformers tokenizer.

    Parameters
    ----------
    texts
        n strings.
    tokenizer
        A ``PreTrainedTokenizerFast``.
    max_length
        Longest sequence in tokens, special tokens included; longer texts lose their end.
    """
    lengths: list[npt.NDArray[np.int64]] = []
    ids: list[npt.NDArray[np.int32]] = [np.empty(0, np.int32)]
    for start in range(0, len(texts), TEXTS_PER_CALL):
        encoded: list[list[int]] = tokenizer(
            list(texts[start : start + TEXTS_PER_CALL]),
            truncation=True,
            max_length=max_length,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        lengths.append(np.fromiter(map(len, encoded), np.int64, len(encoded)))
        ids.extend(np.asarray(row, np.int32) for row in encoded)
    return TokenisedTexts(
        np.concatenate(ids), _offsets(np.concatenate(lengths) if lengths else np.empty(0, np.int64))
    )


def _offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
