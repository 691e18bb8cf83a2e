"""Whether a rewritten text still carries the values of its source: numerals, units, codes, and negation."""

from __future__ import annotations

import re
from collections import Counter

from trainables.augment.english.protect import NEGATIONS, UNITS

_OUTER = ".,;:!?()[]{}\"'“”‘’"
_UNIT_SIGNS = re.compile(r"[/%°µ·*²³]")
_NEGATED = re.compile(r"n['’]t\b")


def values(text: str) -> Counter[str]:
    """Return the values of a text: every token with a digit, and the unit after it.

    Examples
    --------
    >>> sorted(values("About 12.5 mg/L of CYP3A4 (t1/2 of 7 days)."))
    ['12.5', '7', 'CYP3A4', 'days', 'mg/L', 't1/2']
    """
    found: Counter[str] = Counter()
    tokens = [token.strip(_OUTER) for token in text.split()]
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if any(character.isdigit() for character in token):
            found[token] += 1
            if following.lower() in UNITS or (
                _UNIT_SIGNS.search(following) and not any(character.isdigit() for character in following)
            ):
                found[following] += 1
    return found


def is_negated(text: str) -> bool:
    """Return whether a text holds a word of negation."""
    lower = text.lower()
    return bool(_NEGATED.search(lower)) or any(token.strip(_OUTER) in NEGATIONS for token in lower.split())


def keeps_values(source: str, made: str) -> bool:
    """Return whether a rewritten text has the values of its source, each as often, and is negated if it was."""
    return values(source) == values(made) and is_negated(source) == is_negated(made)
