"""An operator of the registry that needs nothing: it writes an x behind the words that it changes."""

from __future__ import annotations

from trainables.augment.operator import WordOperator
from trainables.augment.registry import OperatorFactory

NAME = "marking"
FACTORY = OperatorFactory("tests.trainables.augment.toy_operator", 1, uses_encoder=False, options=("letter",))


class Marking(WordOperator):
    """Mark a share of the words."""

    def __init__(self, strength, letter="x", seed=0):
        super().__init__(NAME, strength, seed)
        self.letter = letter

    def change(self, text, rng):
        pieces = text.pieces.copy()
        for position in rng.sample(text.open, min(self.n_changes(text), len(text.open))):
            word = text.word(position)
            pieces[position] = word.prefix + word.core + self.letter + word.suffix
        return "".join(pieces)


def build(strength, encoder, **options):
    return Marking(strength, **options)
