"""Spelling mistakes: those that people were seen to make, and for other words the usual slips."""

from __future__ import annotations

import random
import re
from functools import lru_cache

from trainables.augment.operators.noise import WordNoise, misspellings
from trainables.settings import EncoderSettings

_MOST_ERRORS = 2  # the list also has other words: "mineral" for "minor"
_DOUBLE = re.compile(r"(?<=.)([a-z])\1")
_SINGLE_CONSONANT = re.compile(r"(?<=[aeiou])([bcdfglmnprst])(?=[aeiouy])")
_VOWEL_MIX = re.compile(r"(?<=.)(ie|ei|ea|ai|a|e|i|o)(?=[a-z])")
_CONFUSED_VOWELS = {"ie": "ei", "ei": "ie", "ea": "ae", "ai": "ia", "a": "e", "e": "a", "i": "e", "o": "u"}


class SpellingNoise(WordNoise):
    """Misspell words as in nlpaug's list of observed misspellings, which its ``SpellingAug`` uses.

    Of the list only what is written in lower-case letters, starts with the word's first letter and has at most two
    errors is used. A word that it does not have gets a slip: a doubled letter dropped, a consonant doubled, a vowel
    confused, or two letters exchanged. The first letter always stays.

    Parameters
    ----------
    strength
        Share of the words of a text that it may change, in (0, 1].
    """

    def __init__(self, strength: float, seed: int = 0) -> None:
        super().__init__("spelling_noise", strength, seed)

    def misspell(self, word: str, rng: random.Random) -> str | None:
        """Return a misspelling of a lower-case word, or None where there is none."""
        options = _observed(word) or _slips(word)
        return rng.choice(options) if options else None


@lru_cache(maxsize=1 << 16)
def _observed(word: str) -> tuple[str, ...]:
    known = misspellings()
    return tuple(
        sorted(
            {
                written
                for written in known.get(word, ())
                if written.isascii()
                and written.isalpha()
                and written.islower()
                and written[0] == word[0]
                and _errors(word, written) <= _MOST_ERRORS
                and written not in known
            }
        )
    )


def _errors(word: str, written: str) -> int:
    """Return the fewest letters inserted, deleted, replaced, or exchanged with the next one (optimal alignment)."""
    rows = [list(range(len(written) + 1))]
    for i, letter in enumerate(word, start=1):
        row = [i]
        for j, other in enumerate(written, start=1):
            cost = min(row[-1] + 1, rows[-1][j] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == written[j - 2] and other == word[i - 2]:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


@lru_cache(maxsize=1 << 16)
def _slips(word: str) -> tuple[str, ...]:
    slips = {word[: match.start()] + match[1] + word[match.end() :] for match in _DOUBLE.finditer(word)}
    slips |= {
        word[: match.start()] + 2 * match[1] + word[match.end() :]
        for match in _SINGLE_CONSONANT.finditer(word)
    }
    slips |= {
        word[: match.start()] + _CONFUSED_VOWELS[match[1]] + word[match.end() :]
        for match in _VOWEL_MIX.finditer(word)
    }
    slips |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, len(word) - 1)}
    return tuple(sorted(slips - {word}))


def build(strength: float, encoder: EncoderSettings) -> SpellingNoise:
    """Return the operator; the encoder does not enter."""
    del encoder
    return SpellingNoise(strength)
