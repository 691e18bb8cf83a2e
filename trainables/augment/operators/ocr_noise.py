"""Errors of optical character recognition: letters become others of the same shape."""

from __future__ import annotations

import random

from trainables.augment.operators.noise import WordNoise
from trainables.settings import EncoderSettings

# Shapes that run together or apart in print. No digit is among them: a word never turns into a value.
CONFUSIONS = {
    "a": ("o",),
    "b": ("h",),
    "c": ("e", "o"),
    "cl": ("d",),
    "d": ("cl",),
    "e": ("c",),
    "f": ("t",),
    "fi": ("h",),
    "g": ("q",),
    "h": ("b", "li"),
    "i": ("l", "j"),
    "in": ("m",),
    "l": ("i", "t"),
    "li": ("h",),
    "m": ("rn", "nn"),
    "n": ("ri", "u"),
    "nn": ("m",),
    "o": ("c", "e"),
    "q": ("g",),
    "ri": ("n",),
    "rn": ("m",),
    "t": ("f", "l"),
    "u": ("ii", "n"),
    "v": ("y",),
    "vv": ("w",),
    "w": ("vv",),
    "y": ("v",),
}


class OcrNoise(WordNoise):
    """Replace a letter, or two that touch, by what looks like it.

    nlpaug's ``OcrAug`` mostly confuses letters with digits, and digits with each other, which changes values.

    Parameters
    ----------
    strength
        Share of the words of a text that it may change, in (0, 1].
    """

    def __init__(self, strength: float, seed: int = 0) -> None:
        super().__init__("ocr_noise", strength, seed)

    def misspell(self, word: str, rng: random.Random) -> str | None:
        """Return a lower-case word with one confusion, or None where no letter of it has one."""
        start = rng.randrange(len(word))
        for at in (*range(start, len(word)), *range(start)):
            shapes = [shape for shape in (word[at : at + 2], word[at]) if shape in CONFUSIONS]
            if shapes:
                shape = shapes[0]
                return word[:at] + rng.choice(CONFUSIONS[shape]) + word[at + len(shape) :]
        return None


def build(strength: float, encoder: EncoderSettings) -> OcrNoise:
    """Return the operator; the encoder does not enter."""
    del encoder
    return OcrNoise(strength)
