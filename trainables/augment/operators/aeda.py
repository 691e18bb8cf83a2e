"""AEDA: insert punctuation marks (Karimi, Rossi & Prati, Findings of EMNLP 2021)."""

from __future__ import annotations

import random

from trainables.augment.english.protect import LATIN, NEGATIONS, SplitText
from trainables.augment.operator import WordOperator
from trainables.settings import EncoderSettings

MARKS = (".", ";", "?", ":", "!", ",")


class Aeda(WordOperator):
    """Insert a random mark, as a token of its own, before random words.

    The paper inserts between 1 and .3 * words marks, anywhere; here the strength sets how many. No mark comes
    before a protected word, so that values keep their units, nor after a numeral, a symbol (``AUC``), or a
    negation, which belong to what follows, nor within ``in vitro``.

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
        places = [i for i in text.open if i == 0 or not _holds_on(pieces[i - 2], text.word(i).core)]
        for position in rng.sample(places, min(self.n_changes(text), len(places))):
            pieces[position] = f"{rng.choice(MARKS)} {pieces[position]}"
        return "".join(pieces)


def _holds_on(before: str, word: str) -> bool:
    """Return whether a token belongs together with the word after it."""
    core = before.strip("([\"'“”,;:.)]")
    if any(character.isdigit() for character in core) or core.lower() in NEGATIONS:
        return True
    if core not in ("A", "a", "I", "") and (len(core) == 1 or (core.isupper() and not word.isupper())):
        return True
    return core.lower() in ("in", "ex") and word.lower() in LATIN


def build(strength: float, encoder: EncoderSettings) -> Aeda:
    """Return the operator; the encoder does not enter."""
    del encoder
    return Aeda(strength)
