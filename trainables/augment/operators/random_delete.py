"""Delete words at random."""

from __future__ import annotations

import random

from trainables.augment.english.protect import SplitText
from trainables.augment.operator import WordOperator
from trainables.augment.operators.word_order import deletable, delete_words
from trainables.settings import EncoderSettings


class RandomDelete(WordOperator):
    """Delete words here and there; at least one word is left.

    Parameters
    ----------
    strength
        Share of the words of a text that it may change, in (0, 1].
    """

    def __init__(self, strength: float, seed: int = 0) -> None:
        super().__init__("random_delete", strength, seed)

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Delete words of one text."""
        pieces = text.pieces.copy()
        candidates = deletable(text)
        delete_words(text, pieces, rng.sample(candidates, len(candidates)), self.n_changes(text))
        return "".join(pieces)


def build(strength: float, encoder: EncoderSettings) -> RandomDelete:
    """Return the operator; the encoder does not enter."""
    del encoder
    return RandomDelete(strength)
