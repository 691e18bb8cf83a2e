"""How much of a set of texts reaches the encoder: tokens that it knows, texts without one, texts that are cut."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from trainables.texts.tokens import TokenisedTexts

_LOOKED_AT = 500  # texts, and characters of each, that tell a corpus's script
_JAPANESE = ("HIRAGANA", "KATAKANA")
_SCRIPT_NAMES = {"CJK": "Chinese", "HANGUL": "Korean"}


class TokenKind(IntEnum):
    """What an entry of a vocabulary says of a text.

    ``UNKNOWN`` stands for what the vocabulary lacks. A ``PART`` is some of the bytes of a character, which is how
    byte-level vocabularies write what they lack. A ``LETTER`` is a single letter inside a word of a script that has
    letters. ``SPECIAL`` tokens are of no text.
    """

    KNOWN = 0
    SPECIAL = 1
    UNKNOWN = 2
    PART = 3
    LETTER = 4


@dataclass(frozen=True)
class Coverage:
    """What became of texts as tokens. Special tokens count nowhere.

    Attributes
    ----------
    texts, tokens
        Number of texts and of their tokens.
    unknown, parts, letters
        Tokens of :class:`TokenKind` ``UNKNOWN``, ``PART`` and ``LETTER``.
    texts_unknown
        Texts that have tokens, none of which the encoder knows (all are unknown or parts of characters).
    texts_empty
        Texts without a token.
    texts_full
        Texts that fill the longest sequence: what lies behind that is cut.
    texts_alike
        Texts whose tokens are those of a text of another class: the encoder cannot tell them apart.
    """

    texts: int = 0
    tokens: int = 0
    unknown: int = 0
    parts: int = 0
    letters: int = 0
    texts_unknown: int = 0
    texts_empty: int = 0
    texts_full: int = 0
    texts_alike: int = 0

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that the encoder does not know, parts of characters included."""
        return (self.unknown + self.parts) / max(1, self.tokens)

    @property
    def unknown_text_share(self) -> float:
        """Share of the texts that hold nothing that the encoder knows."""
        return (self.texts_unknown + self.texts_empty) / max(1, self.texts)

    @property
    def full_text_share(self) -> float:
        """Share of the texts that fill the longest sequence."""
        return self.texts_full / max(1, self.texts)

    @property
    def letter_share(self) -> float:
        """Share of the tokens that are single letters inside words."""
        return self.letters / max(1, self.tokens)


def coverage(
    texts: TokenisedTexts,
    labels: npt.NDArray[np.int64],  # (n,)
    kinds: npt.NDArray[np.int8],  # (V,)
    max_length: int,
) -> Coverage:
    """Count what became of texts.

    Parameters
    ----------
    texts, labels
        n tokenised texts and their classes.
    kinds
        :class:`TokenKind` of every entry of the vocabulary.
    max_length
        Longest sequence in tokens, special tokens included.
    """
    kind = kinds[texts.ids]
    ends = texts.offsets[1:]

    def per_text(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        before = np.concatenate(([0], np.cumsum(chosen)))
        return np.asarray(before[ends] - before[texts.offsets[:-1]], dtype=np.int64)

    tokens = per_text(kind != TokenKind.SPECIAL)
    unknown = (kind == TokenKind.UNKNOWN) | (kind == TokenKind.PART)
    return Coverage(
        texts=len(texts),
        tokens=int(tokens.sum()),
        unknown=int((kind == TokenKind.UNKNOWN).sum()),
        parts=int((kind == TokenKind.PART).sum()),
        letters=int((kind == TokenKind.LETTER).sum()),
        texts_unknown=int(((tokens > 0) & (per_text(unknown) == tokens)).sum()),
        texts_empty=int((tokens == 0).sum()),
        texts_full=int((texts.lengths >= max_length).sum()),
        texts_alike=_alike(texts, labels),
    )


def _alike(texts: TokenisedTexts, labels: npt.NDArray[np.int64]) -> int:
    """Return how many texts share their tokens with a text of another class."""
    keys = texts.row_keys()
    classes: dict[bytes, set[int]] = {}
    for key, label in zip(keys, labels.tolist(), strict=True):
        classes.setdefault(key, set()).add(label)
    return sum(len(classes[key]) > 1 for key in keys)


def main_script(texts: Sequence[str]) -> str | None:
    """Return the script in which most letters of some of the texts are written; None where there is no letter.

    Examples
    --------
    >>> main_script(["a good film", "ok"]), main_script(["良い映画でした"]), main_script(["12 :)"])
    ('Latin', 'Japanese', None)
    """
    found = Counter(_scripts(_some(texts)))
    kana = sum(found[name] for name in _JAPANESE)
    if kana * 5 > found["CJK"] + kana:  # Japanese writes Chinese characters too
        found["JAPANESE"] = kana + found.pop("CJK", 0)
    if not found:
        return None
    name = found.most_common(1)[0][0]
    return _SCRIPT_NAMES.get(name, name.capitalize())


def accented_share(texts: Sequence[str]) -> float:
    """Return the share of letters that carry an accent or a vowel sign, in some of the texts.

    Examples
    --------
    >>> accented_share(["café"]), accented_share(["cafe"]), accented_share([])
    (0.25, 0.0, 0.0)
    """
    decomposed = unicodedata.normalize("NFD", "".join(_some(texts)))
    categories = Counter(map(unicodedata.category, decomposed))
    letters = sum(n for category, n in categories.items() if category.startswith("L"))
    return min(1.0, categories["Mn"] / max(1, letters))


def _some(texts: Sequence[str]) -> Iterable[str]:
    step = max(1, len(texts) // _LOOKED_AT)
    return (text[:_LOOKED_AT] for text in texts[::step])


def _scripts(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        for character in text:
            if character.isalpha() and (name := unicodedata.name(character, "")):
                yield name.split()[0].split("-")[0]
