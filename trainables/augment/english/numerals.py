"""Numerals and their units in a text, and whether an augmentation kept them."""

from __future__ import annotations

import itertools
import re

from trainables.augment.english.protect import UNITS

_DIGIT = re.compile(r"\d")
_OPENING, _CLOSING = "([{\"'*“‘", ".,;:!?)]}\"'*”’-"
_UNIT_SIGNS = frozenset({"%", "°", "°c", "°f", "μg", "µg", "μl", "µl", "μm", "µm"})


def numerals(text: str) -> list[tuple[str, str]]:
    """Return every token of a text that holds a digit, in order, each with the unit that follows it, or "".

    Examples
    --------
    >>> numerals("After 12.5 mg/kg (n=4), CYP3A4 and 14C: 30 %.")
    [('12.5', 'mg/kg'), ('n=4', ''), ('CYP3A4', ''), ('14C', ''), ('30', '%')]
    """
    tokens = text.split()
    found = []
    for token, following in itertools.pairwise([*tokens, ""]):
        if not _DIGIT.search(token):
            continue
        opened = token.lstrip(_OPENING)
        core = opened.rstrip(_CLOSING)
        unit = following.lstrip(_OPENING).rstrip(_CLOSING)
        found.append((core, unit if core == opened and _is_unit(unit) else ""))
    return found


def numerals_survive(source: str, augmentation: str) -> bool:
    """Return whether all numerals stand in the same order, each that had a unit with the same one.

    A word that a deletion brings behind a bare numeral does not count as its unit: that is for the eye.

    Examples
    --------
    >>> numerals_survive("give 5 mg at 9 daily", "at 9 mg give 5 daily")
    False
    """
    before, after = numerals(source), numerals(augmentation)
    return len(before) == len(after) and all(
        core == other and unit in ("", its_unit)
        for (core, unit), (other, its_unit) in zip(before, after, strict=True)
    )


def _is_unit(word: str) -> bool:
    return any(part.lower() in UNITS or part.lower() in _UNIT_SIGNS for part in re.split(r"[/·]", word))
