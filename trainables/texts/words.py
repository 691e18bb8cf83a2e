"""Words of texts as numbers: what a bag of words counts, shared between processes like token ids."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from trainables.texts.tokens import TokenisedTexts

# Chinese and Japanese put no space between words: each of their characters counts as one, and pairs of neighbours tell
# words apart. Punctuation marks count too, so that a text without a single letter has something to be told by.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, in their order.

    Examples
    --------
    >>> words_of("Half-life: 3 h!")
    ['half', '-', 'life', ':', '3', 'h', '!']
    """
    return _WORD.findall(text.lower())


def with_words(tokens: TokenisedTexts, texts: Sequence[str]) -> TokenisedTexts:
    """Return tokenised texts with the words of the same texts.

    A word's number is the place at which it first occurs among these texts: only texts that were numbered in one call
    can be compared. Of how often a word occurs, the number says nothing.

    Parameters
    ----------
    tokens
        n tokenised texts.
    texts
        The n texts.
    """
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    rows = [np.fromiter((numbers[word] for word in words_of(text)), np.int32) for text in texts]
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    ids = np.concatenate([np.empty(0, np.int32), *rows])
    return dataclasses.replace(tokens, words=TokenisedTexts(ids, offsets))
