"""Typing errors: a letter becomes one beside it on the keyboard."""

from __future__ import annotations

import random

from trainables.augment.operators.noise import WordNoise
from trainables.settings import EncoderSettings

# Letters, and how far a row is indented.
_ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))


def _adjacent() -> dict[str, str]:
    places = {
        letter: (row, indent + column)
        for row, (letters, indent) in enumerate(_ROWS)
        for column, letter in enumerate(letters)
    }
    return {
        letter: "".join(
            other
            for other, (other_row, other_x) in places.items()
            if other != letter and abs(row - other_row) <= 1 and abs(x - other_x) <= 1
        )
        for letter, (row, x) in places.items()
    }


ADJACENT = _adjacent()


class KeyboardNoise(WordNoise):
    """Replace one letter of a word, not its first, by a neighbour on a QWERTY keyboard.

    nlpaug's ``KeyboardAug`` also writes digits and signs, which makes values of words.

    Parameters
    ----------
    strength
        Share of the words of a text that it may change, in (0, 1].
    """

    def __init__(self, strength: float, seed: int = 0) -> None:
        super().__init__("keyboard_noise", strength, seed)

    def misspell(self, word: str, rng: random.Random) -> str | None:
        """Return a lower-case word with one wrong letter, or None where the letter drawn is on no key."""
        at = rng.randrange(1, len(word))
        if word[at] not in ADJACENT:
            return None
        return word[:at] + rng.choice(ADJACENT[word[at]]) + word[at + 1 :]


def build(strength: float, encoder: EncoderSettings) -> KeyboardNoise:
    """Return the operator; the encoder does not enter."""
    del encoder
    return KeyboardNoise(strength)
