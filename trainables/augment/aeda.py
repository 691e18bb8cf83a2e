"""AEDA: insert punctuation marks (Karimi, Rossi & Prati, Findings of EMNLP 2021)."""

from __future__ import annotations

import random

from trainables.augment.operator import WordOperator
from trainables.augment.protect import SplitText
from trainables.encoder import EncoderSettings

MARKS = (".", ";", "?", ":", "!", ",")


class Aeda(WordOperator):
    """Insert a random mark, as a token of its own, before random words.

    The paper inserts between 1 and .3 * words marks; here the strength sets how many. No mark comes before a
    protected word, so that values keep their units.

    Parameters
    ----------
    strength
        Marks inserted, as a share of the words of a text, in (0, 1].
    """

    def __init__(self, strength: float, seed: int = 0) -> None:
        super().__init__("aeda", strength, seed)

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Insert marks into one text."""
        pieces = text.pieces.copy()
        for position in rng.sample(text.open, min(self.n_changes(text), len(text.open))):
            pieces[position] = f"{rng.choice(MARKS)} {pieces[position]}"
        return "".join(pieces)


def build(strength: float, encoder: EncoderSettings) -> Aeda:
    """Return the operator; the encoder does not enter."""
    del encoder
    return Aeda(strength)
