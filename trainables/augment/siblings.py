"""Tell whether an augmentation brings anything beside the others of the same source text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_NEAR_SHARE = 0.25


class Siblings:
    """The augmentations of one source text that were accepted so far.

    Two augmentations are near-copies if they differ from each other in fewer than a quarter of the words in
    which the new one differs from the source; exact copies are, and so is one that equals the source. Words
    are compared place by place, whatever their casing, which counts all words after a deletion as different:
    the test is sharp for substitutions and lenient for deletions.

    Parameters
    ----------
    source
        The text that is augmented.
    """

    def __init__(self, source: str) -> None:
        self._ids: dict[str, int] = {}
        self._source = self._encode(source)
        self._accepted = np.full((4, len(self._source) + 8), -1, dtype=np.int32)
        self._n = 0

    def _encode(self, text: str) -> npt.NDArray[np.int32]:
        ids = self._ids
        return np.array([ids.setdefault(word, len(ids)) for word in text.casefold().split()], dtype=np.int32)

    def add(self, text: str) -> bool:
        """Accept an augmentation and return True, or return False for a near-copy."""
        words = self._encode(text)
        width = max(self._accepted.shape[1], len(words))
        rows = 2 * self._n if self._n == len(self._accepted) else len(self._accepted)
        if (rows, width) != self._accepted.shape:
            grown = np.full((rows, width), -1, dtype=np.int32)
            grown[: self._n, : self._accepted.shape[1]] = self._accepted[: self._n]
            self._accepted = grown
        padded = _padded(words, width)
        own_changes = int((padded != _padded(self._source, width)).sum())
        if own_changes == 0:
            return False
        if self._n:
            fewest = int((self._accepted[: self._n] != padded).sum(axis=1).min())
            if fewest == 0 or fewest < _NEAR_SHARE * own_changes:
                return False
        self._accepted[self._n] = padded
        self._n += 1
        return True


def _padded(words: npt.NDArray[np.int32], width: int) -> npt.NDArray[np.int32]:
    padded = np.full(width, -1, dtype=np.int32)
    padded[: len(words)] = words
    return padded
