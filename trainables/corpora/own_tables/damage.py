"""Texts that are none, or that were damaged before they came here: told, and studied as they are."""

from __future__ import annotations

import re

from trainables.corpora.corpus import Corpus

_NOT_ASCII = re.compile(r"[^\x00-\x7f]{2,}")


def remarks_on_texts(corpus: Corpus, column: str) -> list[str]:
    """Return what is to be said of the texts of a column."""
    remarks = []
    wordless = sum(not any(map(str.isalpha, text)) for text in corpus.texts)
    if 2 * wordless > len(corpus):
        remarks.append(
            f"{wordless} of {len(corpus)} texts hold no letter; is {column} the column of the texts?"
        )
    beyond_ascii = [row for row, text in enumerate(corpus.texts) if not text.isascii()]
    for what, is_damaged in (
        ("U+FFFD, which stands for a character that was lost", _is_lost),
        ("UTF-8 that was once read as cp1252, such as “Ã©” for “é”", is_read_twice),
    ):
        rows = [row for row in beyond_ascii if is_damaged(corpus.texts[row])]
        if rows:
            remarks.append(
                f"{len(rows)} of {len(corpus)} texts hold {what} (the first at {corpus.origins[rows[0]]}). They are "
                f"studied as they are."
            )
    return remarks


def _is_lost(text: str) -> bool:
    return "\ufffd" in text


def is_read_twice(text: str) -> bool:
    """Return whether characters of a text are the bytes of UTF-8, each read as one of cp1252.

    Examples
    --------
    >>> is_read_twice("caf\u00c3\u00a9"), is_read_twice("caf\u00e9 \u00ab\u00e0\u00bb")
    (True, False)
    """
    return any(_is_utf_8(found[0]) for found in _NOT_ASCII.finditer(text))


def _is_utf_8(characters: str) -> bool:
    try:
        characters.encode("cp1252").decode()
    except UnicodeError:
        return False
    return True
