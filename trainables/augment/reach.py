"""Bound the work on a long text: a model rewrites what the encoder reads of it, and the rest stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trainables.augment.turns import augment_copies

if TYPE_CHECKING:
    from trainables.augment.operator import Operator
    from trainables.settings import EncoderSettings

_WORD = re.compile(r"\S+\s*")
_LETTERS_PER_WORD = 16  # where words are not set apart; a token of any vocabulary is shorter on average


def words_in_reach(encoder: EncoderSettings) -> int:
    """Return the words at a text's start beyond which the encoder reads nothing, half of them deleted or not.

    A word is a token or more, so the first ``max_length`` words hold all that is read.
    """
    return 2 * encoder.max_length


def cut(text: str, words: int) -> tuple[str, str]:
    """Return a text's start of that many words, or of as many letters as they have where words are long, and the rest.

    Examples
    --------
    >>> cut("one two  three four", 2), cut("one two", 2)
    (('one two  ', 'three four'), ('one two', ''))
    """
    end = 0
    for number, match in enumerate(_WORD.finditer(text), start=1):
        end = match.end()
        if number == words or end > words * _LETTERS_PER_WORD:
            break
    else:
        end = len(text)
    end = min(end, words * _LETTERS_PER_WORD)
    return text[:end], text[end:]


class WithinReach:
    """An operator that changes the start of a text alone, so that its time does not grow with what is cut anyway.

    A text that is not longer is changed exactly as without this.

    Parameters
    ----------
    operator
        What changes the start.
    words
        Words of the start.
    """

    def __init__(self, operator: Operator, words: int) -> None:
        self._operator = operator
        self._words = words

    def augment_batch(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return one augmentation per text; element i depends on ``texts[i]`` and ``seeds[i]`` alone."""
        return self._changed(texts, lambda starts: self._operator.augment_batch(starts, seeds))

    def augment_copies(self, texts: Sequence[str], seeds: Sequence[int], numbers: Sequence[int]) -> list[str]:
        """Return one augmentation per text; see :func:`trainables.augment.turns.augment_copies`."""
        return self._changed(texts, lambda starts: augment_copies(self._operator, starts, seeds, numbers))

    def _changed(self, texts: Sequence[str], change: Callable[[Sequence[str]], list[str]]) -> list[str]:
        parts = [cut(text, self._words) for text in texts]
        made = change([start for start, _ in parts])
        return [start + rest for start, (_, rest) in zip(made, parts, strict=True)]
