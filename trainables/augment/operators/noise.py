"""Misspell words: what the noise operators share."""

from __future__ import annotations

import random
from abc import abstractmethod
from functools import lru_cache
from pathlib import Path

import nlpaug

from trainables.augment.english.protect import FUNCTION_WORDS, PROTECTED, SplitText
from trainables.augment.english.words import with_casing_of
from trainables.augment.operator import WordOperator

_LONG, _SHORTEST = 4, 3  # letters; nlpaug's KeyboardAug leaves words below 4 alone
_DRAWS = 4  # misspellings tried of one word, where they come out as other words


@lru_cache(maxsize=1)
def misspellings() -> dict[str, tuple[str, ...]]:
    """Return nlpaug's list of observed misspellings: correct word to what was written, as the list has them."""
    listing = Path(nlpaug.__file__).parent / "res" / "word" / "spelling" / "spelling_en.txt"
    lines = (line.split() for line in listing.read_text(encoding="utf-8").splitlines())
    return {fields[0]: tuple(fields[1:]) for fields in lines if fields}


@lru_cache(maxsize=1 << 16)
def is_word(word: str) -> bool:
    """Return whether a lower-case word is known to be one: a noisy word must not be another word."""
    return word in PROTECTED or word in FUNCTION_WORDS or word in misspellings()


class WordNoise(WordOperator):
    """Base of operators that misspell words of three letters and more.

    Known words of four letters and more come first, then shorter ones, and last those that nlpaug's list does not
    know, which may be names: of a drug, say. The casing of a word is kept, and what comes out is no word that the
    list knows as correct.
    """

    @abstractmethod
    def misspell(self, word: str, rng: random.Random) -> str | None:
        """Return a lower-case word with an error in it, or None where the operator knows none."""

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Misspell words of one text."""
        long: list[int] = []
        short: list[int] = []
        unknown: list[int] = []
        for position in text.open:
            core = text.word(position).core
            if len(core) >= _SHORTEST and core.isalpha():  # an error would part a mark from its letter
                (unknown if not is_word(core.lower()) else long if len(core) >= _LONG else short).append(
                    position
                )
        pieces = text.pieces.copy()
        left = self.n_changes(text)
        for positions in (long, short, unknown):
            for position in rng.sample(positions, len(positions)):
                if left == 0:
                    return "".join(pieces)
                word = text.word(position)
                if (noisy := self._noisy(word.core, rng)) is not None:
                    pieces[position] = word.prefix + with_casing_of(word.core, noisy) + word.suffix
                    left -= 1
        return "".join(pieces)

    def _noisy(self, core: str, rng: random.Random) -> str | None:
        word = core.lower()
        for _ in range(_DRAWS):
            noisy = self.misspell(word, rng)
            if noisy is None:
                return None
            if noisy[0] != word[0] and core[0].isupper():
                continue  # a capital has another shape than its small letter
            if noisy != word and not is_word(noisy):
                return noisy
        return None
