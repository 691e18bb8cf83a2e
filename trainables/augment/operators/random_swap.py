"""Swap words, the least harmful pairs first."""

from __future__ import annotations

import random

from trainables.augment.english.protect import SplitText
from trainables.augment.operator import WordOperator
from trainables.augment.operators.word_order import neighbouring_pairs, random_pairs, swap_words
from trainables.settings import EncoderSettings

_ROUNDS = 3  # of pairs farther apart, drawn anew among the words that no round has swapped


class RandomSwap(WordOperator):
    """Swap neighbouring words, and words farther apart where those do not suffice; a swap changes two words.

    Content words side by side or around an ``and`` come first, see
    :func:`trainables.augment.operators.word_order.neighbouring_pairs`.

    nlpaug's ``RandomWordAug(action="swap")`` does the same to tokens of any kind: it moves numerals and negations,
    swaps at most ten words of a text however long, and re-joins tokens with other white space than it found.

    Parameters
    ----------
    strength
        Share of the words of a text that it may change, in (0, 1].
    """

    def __init__(self, strength: float, seed: int = 0) -> None:
        super().__init__("random_swap", strength, seed)

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Swap words of one text."""
        pieces = text.pieces.copy()
        n = self.n_swaps(text, rng)
        swapped = swap_words(text, pieces, neighbouring_pairs(text, rng), n)
        for _ in range(_ROUNDS):
            if len(swapped) >= 2 * n:
                break
            pairs = random_pairs(text, rng, without=swapped)
            swapped |= swap_words(text, pieces, pairs, n - len(swapped) // 2)
        return "".join(pieces)


def build(strength: float, encoder: EncoderSettings) -> RandomSwap:
    """Return the operator; the encoder does not enter."""
    del encoder
    return RandomSwap(strength)
