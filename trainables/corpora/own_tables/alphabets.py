"""How well the characters of a text that are not ASCII fit a language: the evidence for one encoding or another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_WESTERN = (
    "éèêëàâçîïôûùüœæÿ",  # French
    "äöüßéàè",  # German
    "áéíóúñüº",  # Spanish
    "áàâãçéêíóôõúüªº",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "àçéèíïóòúü",  # Catalan
    "ëïéèöüáóê",  # Dutch
    "åäöéàü",  # Swedish, Finnish
    "åæøéèêòóôü",  # Danish, Norwegian
    "áéíóúýþæðö",  # Icelandic
    "äöõüšž",  # Estonian
)
_CENTRAL = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýž",  # Czech
    "áäčďéíĺľňóôŕšťúýž",  # Slovak
    "áéíóöőúüű",  # Hungarian
    "ăâîşţșț",  # Romanian
    "čćđšž",  # Croatian, Slovene
)
_BALTIC = ("ąčęėįšųūž", "āčēģīķļņšūž", "äöõüšž")  # Lithuanian, Latvian, Estonian
_TURKISH = ("çğıiöşüâîû",)  # i: of the capital with a dot

# By encoding: the letters that are not ASCII of each language written in it. The first encoding is the usual one.
ALPHABETS: dict[str, Sequence[str]] = {
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "iso8859_2": _CENTRAL,
    "cp1254": _TURKISH,
    "cp1257": _BALTIC,
    "iso8859_15": _WESTERN,
    "mac_roman": _WESTERN,
    "cp850": _WESTERN,
}
# Signs that stand in texts of any language: before, after or between numbers and words.
_SIGNS = "“”„‘’‚‹›«»…–—•·´£€¥§©®™°±²³¹½¼¾×÷µ†‡‰¿¡¢ªº\u00a0\u00ad"
_WITHIN_WORDS = "’‘´·–—-\u00ad"
_CROWDED = re.compile(r"[^\x00-\x7f]{4,}")  # no Latin writing has four such characters in a row


def fit(text: str, alphabets: Sequence[str]) -> tuple[float, int]:
    """Return the share of the characters that are not ASCII which fit, and how many different letters they are.

    A letter fits that is in the language's alphabet and stands where its case and its neighbours allow: no capital
    behind a small letter, no letter at a digit. A sign fits where it is a common one and does not stand inside a
    word. Four characters in a row do not fit, as Latin writing has none. The best of the languages counts.

    Parameters
    ----------
    text
        Lines of the file as one encoding reads them.
    alphabets
        The small letters of every language that is tried.

    Examples
    --------
    >>> fit("déjà vu, 5 £", ["éàè", "åäö"])
    (1.0, 2)
    >>> fit("d‚j… vu", ["éàè"])  # the same bytes of another encoding
    (0.5, 0)
    """
    letters: Counter[str] = Counter()
    n_signs, total = 0, 0
    crowded = {place for run in _CROWDED.finditer(text) for place in range(*run.span())}
    for place, character in enumerate(text):
        if character.isascii():
            continue
        total += 1
        if place in crowded:
            continue
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        if character.isalpha():
            is_capital_inside = character.isupper() and before.islower()
            if not (is_capital_inside or before.isdigit() or after.isdigit()):
                letters[character.lower()[0]] += 1
        elif character in _SIGNS and (
            character in _WITHIN_WORDS or not (before.isalpha() and after.isalpha())
        ):
            n_signs += 1
    if not total:
        return 1.0, 0
    best = max(alphabets, key=lambda alphabet: sum(letters[letter] for letter in alphabet))
    found = [letter for letter in best if letters[letter]]
    return (n_signs + sum(letters[letter] for letter in found)) / total, len(found)
