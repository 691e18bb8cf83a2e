"""Agreement of an indefinite article with the word after it."""

from __future__ import annotations

import re
from functools import lru_cache

_VOWEL_SOUND = re.compile(
    r"(?!eu|ewe|on[ce]e?\b|uni(?![nm])|us[aeiu]|ut[ei]|ur[aei]|uk|ub)[aeiou]|hour|honest|heir|honou?r",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 16)
def starts_with_vowel_sound(word: str) -> bool:
    """Return whether a word takes ``an``; a rule of spelling, which errs on rare words.

    Examples
    --------
    >>> [starts_with_vowel_sound(word) for word in ("oral", "dose", "hour", "uniform", "unusual", "used")]
    [True, False, True, False, True, False]
    """
    return _VOWEL_SOUND.match(word) is not None


def article_agrees(before: str, word: str) -> bool:
    """Return whether a word may stand after another one: False for ``a oral`` and ``an dose`` only.

    Parameters
    ----------
    before
        Lower-case word before, or an empty string.
    word
        The word after it.
    """
    if before == "a":
        return not starts_with_vowel_sound(word)
    return before != "an" or starts_with_vowel_sound(word)
