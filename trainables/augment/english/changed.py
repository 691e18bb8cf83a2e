"""How much of a text an augmentation changed: the achieved strength, whatever the operator does."""

from __future__ import annotations

import re

# A word from its first to its last letter or digit ("mg/L", "t1/2", "drug's"), or one mark of punctuation.
_ITEM = re.compile(r"[^\W_](?:\S*[^\W_])?|\S")


def changed_share(before: str, after: str) -> float:
    """Return the share of a text's words that were changed, see :func:`changed_words`.

    It exceeds 1 where more words were inserted than the text has.

    Examples
    --------
    >>> changed_share("The dose was given twice, daily.", "The was dose given, daily.")
    0.5
    """
    return changed_words(before, after) / max(1, count_words(before))


def changed_words(before: str, after: str) -> int:
    """Return the fewest substituted, inserted and deleted words that turn one text into the other.

    It is the Levenshtein distance over words and marks of punctuation, so that a swap counts as two and an
    inserted comma as one. Neither casing nor white space counts, and a word does not change with the
    punctuation around it.

    Examples
    --------
    >>> changed_words("The renal route.", "Renal route."), changed_words("a b c", "b a c"), changed_words("a b", "a, b")
    (1, 2, 1)
    """
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(_ITEM.findall(before.casefold()), _ITEM.findall(after.casefold()))


def count_words(text: str) -> int:
    """Return how many tokens of a text hold a letter or a digit."""
    return sum(any(character.isalnum() for character in token) for token in text.split())
