"""Operators that write a text anew, so that nothing but a check tells whether its values survived."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence

from trainables.augment.operator import WordOperator
from trainables.augment.protect import SplitText


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
