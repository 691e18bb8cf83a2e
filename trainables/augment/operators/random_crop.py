"""Cut spans of words out of a text."""

from __future__ import annotations

import random

from trainables.augment.english.protect import SplitText
from trainables.augment.operator import WordOperator
from trainables.augment.operators.word_order import deletable, delete_words
from trainables.settings import EncoderSettings


class RandomCrop(WordOperator):
    """Delete runs of words that stand next to each other.

    A run ends where a numeral, a negation or another protected word stands, so that several runs go where one is
    shorter than the strength asks for. nlpaug's ``RandomWordAug(action="crop")`` cuts one span with all that is in
    it.

    Parameters
    ----------
    strength
        Share of the words of a text that it may change, in (0, 1].
    """

    def __init__(self, strength: float, seed: int = 0) -> None:
        super().__init__("random_crop", strength, seed)

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Cut runs out of one text."""
        pieces = text.pieces.copy()
        left = self.n_changes(text)
        runs = _runs(deletable(text))
        order: list[int] = []
        # Long runs come first more often: one span, where the text has one that is long enough.
        for run in sorted(runs, key=lambda run: rng.random() ** (1 / len(run)), reverse=True):
            start = rng.randint(0, max(0, len(run) - left))
            order += run[start:] + run[:start]
        delete_words(text, pieces, order, left)
        return "".join(pieces)


def _runs(positions: list[int]) -> list[list[int]]:
    """Return positions as runs of tokens next to each other."""
    runs: list[list[int]] = []
    for i in positions:
        if runs and runs[-1][-1] == i - 2:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def build(strength: float, encoder: EncoderSettings) -> RandomCrop:
    """Return the operator; the encoder does not enter."""
    del encoder
    return RandomCrop(strength)
