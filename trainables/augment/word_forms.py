"""Crude English morphology: enough to keep a substitute's form and to tell inflections from other words."""

from __future__ import annotations

from functools import lru_cache

_ENDINGS = ("ing", "ed", "ly")
_NO_PLURAL = ("ss", "us", "is")
_SHORTEST_STEM = 3


@lru_cache(maxsize=1 << 16)
def ending(word: str) -> str:
    """Return the inflectional ending that a word shows: ``ing``, ``ed``, ``ly``, ``s`` or none."""
    for suffix in _ENDINGS:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            return suffix
    return "s" if word.endswith("s") and not word.endswith(_NO_PLURAL) and len(word) > _SHORTEST_STEM else ""


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    for suffix in ("ing", "ed", "es", "s"):
        if word.endswith(suffix) and ending(word) and len(word) - len(suffix) >= _SHORTEST_STEM:
            word = word.removesuffix(suffix)
            break
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > _SHORTEST_STEM else word


def differ_in_number(word: str, other: str) -> bool:
    """Return whether two words are singular and plural of one (or third person and base form of a verb)."""
    return {ending(word), ending(other)} == {"", "s"} and _stem(word) == _stem(other)


def share_stem(word: str, other: str) -> bool:
    """Return whether two words look derived from one: ``metabolism`` and ``metabolic``, ``health`` and ``healthy``.

    They do where one stem starts the other, where they share their first letters over half of the longer
    word, and where they differ in one letter (``affect`` and ``effect``, ``woman`` and ``women``).
    """
    one, two = sorted((_stem(word), _stem(other)), key=len)
    if two.startswith(one):
        return True
    differing = [i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b]
    if len(differing) == 1 and len(one) == len(two) > 3:
        return True
    shared = differing[0]
    return shared >= 4 and 2 * shared >= max(len(word), len(other))
