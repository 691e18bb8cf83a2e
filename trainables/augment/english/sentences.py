"""Sentences of a text."""

from __future__ import annotations

import re

from trainables.augment.english.words import ends_sentence, split

_STARTS_SENTENCE = re.compile(r"[\"'“(\[]*[A-Z0-9]")


def split_sentences(text: str) -> list[str]:
    """Return sentences and the white space between them; joined, they are the text again.

    A sentence ends at a stop before a capital, a digit or a bracket, and at a line break.

    Examples
    --------
    >>> split_sentences("Given e.g. daily. It left.")
    ['Given e.g. daily.', ' ', 'It left.']
    """
    pieces = split(text)
    parts = [pieces[0]]
    for space, token in zip(pieces[1::2], pieces[2::2], strict=True):
        last = parts[-1].rsplit(None, 1)[-1] if parts[-1].strip() else ""
        if "\n" in space or (ends_sentence(last) and _STARTS_SENTENCE.match(token)) or not (last and token):
            parts += [space, token]
        else:
            parts[-1] += space + token
    return [part for part in parts if part]
