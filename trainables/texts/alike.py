"""Texts that are one to the encoder: equal in all tokens that it reads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainables.texts.coverage import TokenKind
from trainables.texts.tokens import TokenisedTexts


def first_alike(
    texts: TokenisedTexts,
    kinds: npt.NDArray[np.int8],  # (V,)
) -> npt.NDArray[np.int64]:
    """Return the first text, (n,), whose tokens equal those of each of n texts.

    A text of which the encoder knows no token is its own: many such texts are equal without being the same, and
    nothing can be learnt from them.

    Parameters
    ----------
    texts
        Cut to what the encoder reads.
    kinds
        :class:`~trainables.texts.coverage.TokenKind` of every entry of the vocabulary.

    Examples
    --------
    >>> ids, kinds = np.array([0, 2, 0, 3, 0, 2, 0, 1, 0, 1], dtype=np.int32), np.array([1, 2, 0, 0], dtype=np.int8)
    >>> first_alike(TokenisedTexts(ids, np.arange(0, 11, 2)), kinds).tolist()  # 0 is special, 1 is unknown
    [0, 1, 0, 3, 4]
    """
    kind = kinds[texts.ids]
    known_before = np.concatenate(([0], np.cumsum((kind != TokenKind.SPECIAL) & (kind != TokenKind.UNKNOWN))))
    says_something = known_before[texts.offsets[1:]] > known_before[texts.offsets[:-1]]
    first: dict[bytes, int] = {}
    return np.fromiter(
        (
            first.setdefault(key, row) if told else row
            for row, (key, told) in enumerate(zip(texts.row_keys(), says_something.tolist(), strict=True))
        ),
        np.int64,
        len(texts),
    )
