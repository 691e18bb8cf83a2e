"""Split a text into words and what lies between them, so that nothing is lost, and carry casing over."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html.entities import html5
from typing import NamedTuple

_WHITESPACE = re.compile(r"(\s+)")
_PLAIN_WORD = re.compile(r"([^\w#@/\\]*)([^\W\d_]+)((?:['’][sS])?[^\w#@/\\]*)")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);?")


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

    A possessive ``'s`` counts as punctuation, and so does an HTML entity (``&quot;``). Combining marks belong to the
    letter before them. Compounds (``half-life``, ``and/or``), contractions, codes, addresses and numerals are no plain
    words.

    Examples
    --------
    >>> parse("&quot;cafe\u0301,"), parse("&amp;"), parse("half-life")
    (Word(prefix='&quot;', core='cafe\u0301', suffix=','), None, None)
    """
    outline = token if token.isascii() and "&" not in token else _outline(token)
    match = _PLAIN_WORD.fullmatch(outline)
    if match is None or not match[2].isalpha():  # "m²" and "A¼" are letters to the pattern
        return None
    start, end = match.span(2)
    return Word(token[:start], token[start:end], token[end:])


def _outline(token: str) -> str:
    """Return a token of the same length in which an entity is punctuation and a mark on a letter is a letter."""
    outline = list(_ENTITY.sub(_as_punctuation, token))
    for i, character in enumerate(outline):
        if i and outline[i - 1].isalpha() and unicodedata.category(character).startswith("M"):
            outline[i] = outline[i - 1]
    return "".join(outline)


def _as_punctuation(match: re.Match[str]) -> str:
    known = match[0][1] == "#" or match[0][1:] in html5
    return "&" * len(match[0]) if known else match[0]


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
