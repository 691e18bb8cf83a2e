"""Take an English word apart into lemma and ending, and put another lemma into the same form."""

from __future__ import annotations

from collections.abc import Collection, Iterator

# Detachment rules as in morphy(7WN): part of speech, the form, what ends the word, what ends the lemma.
_DETACHMENTS = (
    ("noun", "s", "s", ""), ("noun", "s", "ses", "s"), ("noun", "s", "xes", "x"), ("noun", "s", "zes", "z"),
    ("noun", "s", "ches", "ch"), ("noun", "s", "shes", "sh"), ("noun", "s", "ies", "y"),
    ("verb", "s", "s", ""), ("verb", "s", "ies", "y"), ("verb", "s", "es", "e"), ("verb", "s", "es", ""),
    ("verb", "ed", "ied", "y"), ("verb", "ed", "ed", "e"), ("verb", "ed", "ed", ""),
    ("verb", "ing", "ing", "e"), ("verb", "ing", "ing", ""),
)  # fmt: skip
_VOWELS = "aeiou"
_NEVER_INFLECTED = frozenset({"be", "have", "do"})
_MASS = ("ness", "ics", "ity", "ism")  # of what is not counted as a rule


def has_plural(lemma: str) -> bool:
    """Return whether a noun may be counted, as far as its ending tells: not ``denseness`` and ``kinetics``."""
    return not lemma.endswith(_MASS)


def regular_bases(word: str) -> Iterator[tuple[str, str, str]]:
    """Yield (part of speech, form, possible lemma) of a lower-case word.

    Examples
    --------
    >>> ("verb", "ed", "absorb") in regular_bases("absorbed")
    True
    """
    for part, form, ending, replacement in _DETACHMENTS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            yield part, form, word.removesuffix(ending) + replacement


def inflected(lemma: str, part: str, form: str, irregular: Collection[str]) -> str | None:
    """Return a lemma in a form, or None where irregular forms leave a choice.

    Parameters
    ----------
    lemma
        Lower-case word.
    part
        ``noun`` or ``verb``; anything else has no forms.
    form
        ``s``, ``ed``, ``ing``, or empty for the lemma itself.
    irregular
        The lemma's irregular forms of this part of speech, doubled consonants (``occurred``) among them.

    Examples
    --------
    >>> inflected("study", "verb", "ed", []), inflected("analysis", "noun", "s", ["analyses"])
    ('studied', 'analyses')
    >>> inflected("occur", "verb", "ing", ["occurred", "occurring"]), inflected("give", "verb", "ed", ["gave", "given"])
    ('occurring', None)
    """
    if not form:
        return lemma
    if lemma in _NEVER_INFLECTED:
        return None
    if part == "noun":
        listed = list(irregular)
    elif form == "ed":  # whatever is neither -s nor -ing is a past tense or a participle
        listed = [one for one in irregular if not one.endswith(("s", "ing"))]
        if any(not one.endswith("ed") for one in listed):
            return None
        if not listed and any(one.endswith(lemma[-1] * 2 + "ing") for one in irregular):
            return None  # "hitting" is listed and no past tense, which is "hit" itself
    else:
        listed = [one for one in irregular if one.endswith(form)]
    if listed:
        return listed[0] if len(listed) == 1 else None
    return _regular(lemma, form)


def _regular(lemma: str, form: str) -> str:
    consonant_and_y = lemma.endswith("y") and lemma[-2:-1] not in _VOWELS
    if form == "s":
        if lemma.endswith(("s", "x", "z", "ch", "sh")):
            return lemma + "es"
        return lemma[:-1] + "ies" if consonant_and_y else lemma + "s"
    if form == "ed":
        if lemma.endswith("e"):
            return lemma + "d"
        return lemma[:-1] + "ied" if consonant_and_y else lemma + "ed"
    if lemma.endswith("ie"):
        return lemma[:-2] + "ying"
    return (lemma[:-1] if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) else lemma) + "ing"
