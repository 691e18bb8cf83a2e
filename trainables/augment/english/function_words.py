"""Function words that may stand for each other, and where: the last resort of operators that replace words.

A function word carries the structure of a sentence, so each entry holds only in the surroundings it names. What
changes a modality (``must``), a bound (``under``), or a quantity (``some``) is not in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from trainables.augment.english.words import word_set

PERSONS = word_set(
    """patients subjects volunteers individuals adults children infants men women people persons males females
    participants recipients adolescents neonates humans those customers students readers viewers users"""
)
_MATTER = word_set(
    """plasma serum urine blood bile feces faeces milk tissue tissues liver kidney kidneys intestine gut brain skin lung
    lungs body house home city country area region market"""
)
_BY_A_ROUTE = word_set(
    """metabolized metabolised eliminated excreted cleared catalyzed catalysed mediated degraded hydrolyzed
    absorbed formed transported inactivated primarily mainly largely predominantly principally extensively mostly"""
)
_GIVEN = word_set("administered coadministered taken given used dosed treatment served")
_RELYING = word_set(
    "based depending dependent depend depends effect effects impact influence rely relies relied"
)
_PREPOSITIONS = word_set(
    "of in to by for with on at from during after before under over between among through via"
)
_ARTICLES = word_set("a an the")
_AFTER_A_TIME = word_set("soon shortly day days hour hours week weeks")

_ANYWHERE: dict[str, tuple[str, ...]] = {
    "although": ("though",),
    "though": ("although",),
    "whereas": ("while",),
    "while": ("whereas",),
    "however": ("nevertheless", "nonetheless"),
    "therefore": ("thus", "hence", "consequently"),
    "thus": ("therefore", "hence", "consequently"),
    "hence": ("therefore", "thus", "consequently"),
    "but": ("yet",),
    "also": ("additionally",),
    "may": ("might", "could"),
    "might": ("may", "could"),
    "could": ("might", "may"),
    "these": ("those",),
    "when": ("whenever", "if"),
    "whether": ("if",),
    "until": ("till",),
    "during": ("throughout",),
    "throughout": ("during",),
    "via": ("through", "by"),
    "among": ("amongst",),
    "toward": ("towards",),
    "towards": ("toward",),
    "often": ("frequently",),
    "sometimes": ("occasionally",),
    "always": ("invariably",),
    "almost": ("nearly",),
    "very": ("highly",),
    "despite": ("notwithstanding",),
    "versus": ("against",),
}


class _Place(NamedTuple):
    """Where a function word stands: lower-case tokens around it in its clause."""

    last: str
    next: str
    after: tuple[str, ...]
    before_numeral: bool


_IN_PLACE: dict[str, Callable[[_Place], tuple[str, ...]]] = {
    "and": lambda at: ("&",) if at.last.isalpha() and at.next.isalpha() else (),
    "in": lambda at: _IN_A[_first_noun(at.after)],
    "within": lambda at: ("in",) if _first_noun(at.after) == "matter" else (),
    "with": lambda at: (
        ("having",)
        if at.last in PERSONS and at.next not in _ARTICLES
        else ("to",)
        if at.last == "compared"
        else ("alongside",)
        if at.last in _GIVEN and at.next not in {"caution", "care"}
        else ()
    ),
    "by": lambda at: ("via", "through") if at.last in _BY_A_ROUTE and not at.before_numeral else (),
    "through": lambda at: ("via",) if at.last.isalpha() and not at.before_numeral else (),
    "on": lambda at: ("upon",) if at.last in _RELYING else (),
    "upon": lambda at: ("on",),
    "after": lambda at: ("following",) if at.next.isalpha() and at.last not in _AFTER_A_TIME else (),
    "following": lambda at: ("after",) if at.next else (),
    "which": lambda at: ("that",) if at.last and at.last not in _PREPOSITIONS else (),
    "who": lambda at: ("that",) if at.last in PERSONS else (),
    "because": lambda at: ("since", "as") if at.next not in {"", "of"} else (),
    "about": lambda at: ("approximately", "roughly", "around") if at.before_numeral else (),
    "around": lambda at: ("approximately", "roughly", "about") if at.before_numeral else (),
    "each": lambda at: ("every",) if at.next.isalpha() and at.next not in _PREPOSITIONS | {"other"} else (),
    "only": lambda at: ("solely",) if at.last and at.next.isalpha() else (),
    "those": lambda at: ("these",) if at.next not in {"", "who", "whose", "with", "of", "in"} else (),
    "this": lambda at: ("that",) if at.next not in {"", "is", "was", "may", "suggests"} else (),
}
_IN_A: dict[str, tuple[str, ...]] = {"persons": ("among",), "matter": ("within",), "": ()}


def _first_noun(tokens: tuple[str, ...]) -> str:
    """Return whether persons or matter come first among the next tokens, as far as the lists know."""
    for token in tokens:
        if token in PERSONS:
            return "persons"
        if token in _MATTER:
            return "matter"
        if token in _PREPOSITIONS or not token.isalpha():
            break
    return ""


def stand_ins(word: str, before: str, after: Sequence[str]) -> tuple[str, ...]:
    """Return lower-case words that may take the place of a lower-case function word, or none.

    Parameters
    ----------
    word
        The function word.
    before
        The lower-case token before it in the same clause, or an empty string.
    after
        Up to three lower-case tokens after it in the same clause, nearest first.

    Examples
    --------
    >>> stand_ins("with", "patients", ["renal", "impairment"]), stand_ins("with", "associated", ["food"])
    (('having',), ())
    """
    if before in _ARTICLES:  # "the following", "a when"
        return ()
    if word in _ANYWHERE:
        return _ANYWHERE[word]
    if word not in _IN_PLACE:
        return ()
    following = after[0] if after else ""
    numeral = following[:1].isdigit() or following[:1] in tuple("<>≤≥~±")
    return _IN_PLACE[word](_Place(before, following, tuple(after), numeral))
