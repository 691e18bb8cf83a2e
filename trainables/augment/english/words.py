"""Split a text into words and what lies between them, so that nothing is lost, and carry casing over."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_WHITESPACE = re.compile(r"(\s+)")
_PLAIN_WORD = re.compile(r"([^\w#@/\\]*)([^\W\d_]+)((?:['’][sS])?[^\w#@/\\]*)")


def word_set(listing: str) -> frozenset[str]:
    """Return the words of a listing in prose form."""
    return frozenset(listing.split())


class Word(NamedTuple):
    """A plain word with the punctuation around it: ``("(", "drug", "),")``."""

    prefix: str
    core: str
    suffix: str


def split(text: str) -> list[str]:
    """Return tokens at even and white space at odd positions; joined, they are the text again.

    Examples
    --------
    >>> split("A  word.")
    ['A', '  ', 'word.']
    """
    return _WHITESPACE.split(text)


@lru_cache(maxsize=1 << 17)
def parse(token: str) -> Word | None:
    """Return the word of a token, or None where it is anything but letters inside punctuation.

    A possessive ``'s`` counts as punctuation. Compounds (``half-life``, ``and/or``), contractions, codes,
    addresses and numerals are no plain words.
    """
    match = _PLAIN_WORD.fullmatch(token)
    if match is None or not match[2].isalpha():  # "m²" and "A¼" are letters to the pattern
        return None
    return Word(*match.groups())


def ends_sentence(token: str) -> bool:
    """Return whether a token closes a sentence."""
    return token.rstrip("\"'”’)]").endswith((".", "!", "?"))


def with_casing_of(model: str, word: str) -> str:
    """Return a lower-case word cased like a model: lower, Capitalised or UPPER."""
    if model.islower():
        return word
    if len(model) > 1 and model.isupper():
        return word.upper()
    return word[:1].upper() + word[1:]
