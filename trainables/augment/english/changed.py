"""How much of a text an augmentation changed: the achieved strength, whatever the operator does."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    return _distance(_ITEM.findall(before.casefold()), _ITEM.findall(after.casefold()))


def count_words(text: str) -> int:
    """Return how many tokens of a text hold a letter or a digit."""
    return sum(any(character.isalnum() for character in token) for token in text.split())


def _distance(one: Sequence[str], two: Sequence[str]) -> int:
    """Return the Levenshtein distance, by Myers' bit-parallel algorithm (J. ACM 46, 1999) in Hyyrö's form.

    A column of the table is one integer, so that ten thousand words take milliseconds.
    """
    start = 0
    shorter = min(len(one), len(two))
    while start < shorter and one[start] == two[start]:
        start += 1
    end = 0
    while end < shorter - start and one[-1 - end] == two[-1 - end]:
        end += 1
    one, two = one[start : len(one) - end], two[start : len(two) - end]
    if not one or not two:
        return len(one) + len(two)
    places: dict[str, int] = {}
    for i, item in enumerate(one):
        places[item] = places.get(item, 0) | 1 << i
    all_rows, last_row = (1 << len(one)) - 1, 1 << (len(one) - 1)
    rises, falls, distance = all_rows, 0, len(one)  # vertical differences of +1 and of -1
    for item in two:
        equal = places.get(item, 0)
        flat = equal | falls
        equal |= ((equal & rises) + rises) ^ rises
        across_rises = falls | (all_rows & ~(equal | rises))
        across_falls = rises & equal
        distance += bool(across_rises & last_row) - bool(across_falls & last_row)
        across_rises = across_rises << 1 | 1
        rises = (across_falls << 1 | ~(flat | across_rises)) & all_rows
        falls = across_rises & flat & all_rows
    return distance
