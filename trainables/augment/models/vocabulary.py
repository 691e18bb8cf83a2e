"""Whole words in a tokenizer's vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trainables.augment.english.protect import NEVER_WRITTEN


def whole_words(vocabulary: Mapping[str, int], special: Iterable[str] = ()) -> dict[str, int]:
    """Return the entries of a tokenizer's vocabulary that may be replaced and may replace others.

    These are whole words of at least three letters without function words, protected words (a weight must not
    become "lbs") and coarse and colloquial ones.

    Parameters
    ----------
    vocabulary
        Token to id, of a WordPiece (``##`` inside words), byte-level BPE (``Ġ`` before words) or SentencePiece
        (``▁`` before words) tokenizer.
    special
        Tokens to leave out.

    Returns
    -------
    dict
        Lower-case word to id. Of entries that differ in casing alone the lower-case one is kept.
    """
    left_out = set(special)
    marker = next(
        (mark for mark in ("Ġ", "▁") if sum(token.startswith(mark) for token in vocabulary) > 1), ""
    )
    entries: dict[str, int] = {}
    for token, index in sorted(vocabulary.items(), key=lambda item: item[1]):
        if token in left_out or not token.startswith(marker):
            continue
        word = token.removeprefix(marker)
        if len(word) < 3 or not word.isalpha() or not word.isascii() or word.lower() in NEVER_WRITTEN:
            continue
        if word.islower() or word.lower() not in entries:
            entries[word.lower()] = index
    return entries
