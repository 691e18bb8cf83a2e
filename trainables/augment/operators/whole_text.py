"""Operators that write a text anew, so that nothing but a check tells whether its values survived."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence

from trainables.augment.english.protect import FUNCTION_WORDS, SplitText
from trainables.augment.english.values import keeps_values
from trainables.augment.operator import WordOperator


class WholeTextOperator(WordOperator):
    """Base of operators that hand whole texts or sentences to a generating model.

    Attributes
    ----------
    rejected
        Outputs that were thrown away so far because they lost a value or were no rewriting.
    unchanged
        Texts that so far stayed as they were because no output was accepted.
    """

    def __init__(self, name: str, strength: float, seed: int = 0) -> None:
        super().__init__(name, strength, seed)
        self.rejected = 0
        self.unchanged = 0

    @abstractmethod
    def augment_batch(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return one augmentation per text; element i depends on ``texts[i]`` and ``seeds[i]`` alone."""

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Rewrite one text."""
        return self.augment_batch(["".join(text.pieces)], [rng.getrandbits(63)])[0]


def is_rewriting(source: str, answer: str) -> bool:
    """Return whether an answer can be the source in other words: values, length, and something in common.

    A refusal ("I'm sorry, but …") fails one of these: it is short, loses the values, or shares no content word.
    """
    if not answer or answer == source or not keeps_values(source, answer):
        return False
    n_source, n_answer = len(source.split()), len(answer.split())
    if not n_source <= 2 * n_answer + 2 or not n_answer <= 2 * n_source + 2:
        return False
    content = _content_words(source)
    return len(content) < 3 or bool(content & _content_words(answer))


def _content_words(text: str) -> set[str]:
    words = {token.strip(".,;:!?()[]\"'").lower() for token in text.split()}
    return {word for word in words if len(word) > 3 and word not in FUNCTION_WORDS}
