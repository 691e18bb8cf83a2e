"""Labels that look alike and are not the same: spaces, case, accents and numbers written in another way."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(?:\.0*)?")
# Words for a missing value: those that are hardly ever a class, and those that may be one.
_NO_VALUE = frozenset(("nan", "-nan", "null", "n/a", "#n/a", "<na>", "nat", "undefined"))
_MISSING = _NO_VALUE | {"none", "na", "nil"}
# Letters of other scripts that no reader can tell from Latin ones, and dashes and quotes of all kinds.
_LOOKS_LIKE = str.maketrans(
    "аеорсукхіѕјԁһӏ" + "αονικρυ" + "‐‑‒–—−" + "’‘´`" + "“”",
    "aeopcykxisjdhl" + "aovikpu" + "------" + "''''" + '""',
)
_SAME_WIDTH = ("<wide>", "<narrow>", "<noBreak>")
_VARIANTS = "\ufe0e\ufe0f"  # an emoji in colour or not
_MISSING_KEY = "\ufdd0missing"  # no label, as this is no character
_LISTED = 10


def look(label: str) -> str:
    """Return what labels share that look alike.

    Case, spaces, invisible characters and the way in which an accent is composed do not count, nor do zeros that
    leave a number what it is; all the usual words for a missing value are alike.

    Examples
    --------
    >>> look("Caf\\u00e9 "), look("cafe\\u0301"), look("01"), look("1.0")
    ('café', 'café', '1', '1')
    >>> look("NaN") == look("null")
    True
    """
    plain = " ".join("".join(map(_plain, unicodedata.normalize("NFC", label))).split())
    if plain in _MISSING:
        return _MISSING_KEY
    number = _WHOLE.fullmatch(plain)
    return f"{number[1].replace('+', '')}{number[2]}" if number else plain


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Return the labels that look alike, together."""
    groups: dict[str, list[str]] = {}
    for label in sorted(labels):
        groups.setdefault(look(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def _plain(character: str) -> str:
    if character in _VARIANTS or unicodedata.category(character) == "Cf":
        return ""
    if unicodedata.decomposition(character).startswith(_SAME_WIDTH):
        character = unicodedata.normalize("NFKC", character)
    return character.casefold().translate(_LOOKS_LIKE)


def remarks_on(counts: Mapping[str, int], label: str) -> list[str]:
    """Return what is to be said of labels that look alike, or like none.

    Parameters
    ----------
    counts
        Rows by label.
    label
        The column, for people.
    """
    remarks = []
    groups = alike(counts)
    if groups:
        listed = "; ".join(_listed(group, counts) for group in groups[:_LISTED])
        more = f"; and {len(groups) - _LISTED} more" if len(groups) > _LISTED else ""
        remarks.append(
            f"Column {label} holds labels that look alike and are classes of their own: {listed}{more}. "
            f"--merge-alike makes one class of each."
        )
    together = {name for group in groups for name in group}
    remarks += [
        f"Column {label}: {counts[name]} rows have the label {name!r}, which reads like a missing one; it is a class "
        f"here. Leave the field empty where there is no label."
        for name in sorted(counts)
        if name.casefold() in _NO_VALUE and name not in together
    ]
    return remarks


def _listed(group: list[str], counts: Mapping[str, int]) -> str:
    # ascii: what looks the same is told apart by the numbers of its characters.
    return " and ".join(f"{name!a:.60} ({counts[name]})" for name in group)


def common_spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Return, by look, the most common of the labels with it; among equals the first.

    Examples
    --------
    >>> common_spellings({"ham": 3, "Ham ": 1, "1.0": 1, "1": 1})
    {'1': '1', 'ham': 'ham'}
    """
    labels: dict[str, Counter[str]] = {}
    for label, n in sorted(counts.items()):
        labels.setdefault(look(label), Counter())[label] += n
    return {key: spelled.most_common(1)[0][0] for key, spelled in labels.items()}


def remarks_on_merged(counts: Mapping[str, int], label: str) -> list[str]:
    """Return which labels were made one class."""
    groups = alike(counts)
    if not groups:
        return []
    listed = "; ".join(_listed(group, counts) for group in groups[:_LISTED])
    more = f"; and {len(groups) - _LISTED} more" if len(groups) > _LISTED else ""
    return [f"Column {label}: labels that look alike were made one class each: {listed}{more}."]
