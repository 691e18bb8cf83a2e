"""Whether texts are English, by the words that no English text does without."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trainables.augment.english.protect import FUNCTION_WORDS

_WORD = re.compile(r"[^\W\d_]+")
_LOOKED_AT = 500  # texts, spread evenly
_LEAST = 0.2  # of the words; news agencies' cables have .30, labels of drugs .35, Spanish .03, Catalan .08


def function_word_share(texts: Sequence[str]) -> float:
    """Return the share of English function words among the words of some texts; 0 where there are no words."""
    step = max(1, len(texts) // _LOOKED_AT)
    words = [word for text in texts[::step] for word in _WORD.findall(text.lower())]
    return sum(word in FUNCTION_WORDS for word in words) / len(words) if words else 0.0


def looks_english(texts: Sequence[str]) -> bool:
    """Return whether texts look English.

    Examples
    --------
    >>> looks_english(["The drug was absorbed within an hour."])
    True
    >>> looks_english(["El fármaco se absorbió en una hora."])
    False
    """
    return function_word_share(texts) >= _LEAST
