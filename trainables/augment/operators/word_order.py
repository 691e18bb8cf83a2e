"""Swap and delete words of one text, without touching what carries a value.

Swaps and deletions leave punctuation in its place, sentences starting with a capital, and articles that agree.
Words that bind a value or turn a statement round (``less``, ``between``, ``unless``) neither move nor vanish.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from functools import lru_cache

from trainables.augment.english.articles import article_agrees
from trainables.augment.english.protect import FUNCTION_WORDS, LATIN, NEGATIONS, UNITS, SplitText
from trainables.augment.english.words import ends_sentence, parse, word_set

_ANCHORS = word_set(
    """less more fewer most least than above below over under between within up down to from except unless versus
    despite if but until before after only increase increases increased increasing decrease decreases decreased
    decreasing reduce reduces reduced reducing reduction higher lower greater unlikely unchanged minimal marginally
    significant clinically absolute approximately known with or to"""
)
_ARTICLES = frozenset({"a", "an"})
_DETERMINERS = _ARTICLES | {"the"}
_AUXILIARIES = word_set(
    "is are was were be been being has have had may can could should would will do does did"
)
_PREPOSITIONS = word_set(
    "in by of from with for to on at via through into after before during between among per"
)
_COORDINATING = frozenset({"and", "or"})
_NEAR = 3  # words that a numeral is away from a noun whose value it is


_BOUNDS = frozenset({"least", "most"})


def movable(text: SplitText) -> list[int]:
    """Return the open positions whose words may be moved or deleted."""
    return [
        i
        for i in text.open
        if _lower_core(text.pieces[i]) not in _ANCHORS and core_at(text.pieces, i + 2) not in LATIN
    ]


def deletable(text: SplitText) -> list[int]:
    """Return the open positions whose words may be deleted.

    Beside what may not move, these exclude ``at`` of a bound (``at least``), and the noun of a value: in *35%
    excreted in urine* the value is another one without *urine*.
    """
    return [
        i
        for i in movable(text)
        if not (_lower_core(text.pieces[i]) == "at" and core_at(text.pieces, i + 2) in _BOUNDS)
        and not _is_noun_of_value(text, i)
    ]


def _is_noun_of_value(text: SplitText, i: int) -> bool:
    """Return whether a word ends a phrase such as ``in urine`` with a numeral near it."""
    if core_at(text.pieces, i - 2) not in _PREPOSITIONS or _lower_core(text.pieces[i]) in FUNCTION_WORDS:
        return False
    return any(map(_has_digit, text.pieces[max(0, i - 2 * _NEAR - 2) : i + 2 * _NEAR + 1 : 2]))


def neighbouring_pairs(text: SplitText, rng: random.Random) -> list[tuple[int, int]]:
    """Return positions close to each other that :func:`swap_words` may swap, the least harmful first.

    First come, in random order, two content words side by side, two around an ``and`` or ``or``, and an
    auxiliary and its adverb (``is rapidly``). Words that a function word would cross come last, since the
    sentence then says who does what to whom in another way, or in none.
    """
    positions = set(movable(text))
    safe, others = [], []
    for i in sorted(positions):
        if text.word(i).suffix:
            continue
        for j in (i + 2, i + 4):
            if j not in positions or text.word(j).prefix:
                continue
            if j == i + 4 and text.pieces[i + 2].lower() not in _COORDINATING:
                continue
            one, two = text.word(i).core.lower(), text.word(j).core.lower()
            if {one, two} & LATIN or (j == i + 2 and {one, two} & _COORDINATING):
                continue
            if _binds_next(text.pieces, i - 2):
                continue
            crosses = {one, two} & FUNCTION_WORDS
            adverb = one in _AUXILIARIES and two.endswith("ly") and two not in FUNCTION_WORDS
            if not crosses or adverb:
                safe.append((i, j))
            elif j == i + 2:
                others.append((i, j))
    return [*rng.sample(safe, len(safe)), *rng.sample(others, len(others))]


def random_pairs(text: SplitText, rng: random.Random, without: Collection[int] = ()) -> list[tuple[int, int]]:
    """Return disjoint random pairs of content words that start no sentence.

    EDA (Wei & Zou 2019) swaps words of any kind; here function words keep their places.
    """
    positions = [
        i
        for i in movable(text)
        if i not in without
        and not starts_sentence(text, i)
        and text.word(i).core.lower() not in FUNCTION_WORDS | LATIN
    ]
    rng.shuffle(positions)
    return list(zip(positions[::2], positions[1::2], strict=False))


def swap_words(text: SplitText, pieces: list[str], pairs: Iterable[tuple[int, int]], n: int) -> set[int]:
    """Swap words in ``pieces`` at the first n pairs where that is possible; return the positions swapped."""
    swapped: set[int] = set()
    for i, j in pairs:
        if len(swapped) >= 2 * n:
            break
        if i not in swapped and j not in swapped and _may_swap(text, pieces, i, j):
            _swap(text, pieces, i, j)
            swapped.update((i, j))
    return swapped


def _may_swap(text: SplitText, pieces: list[str], i: int, j: int) -> bool:
    one, two = text.word(i).core.lower(), text.word(j).core.lower()
    if one == two or one in _ARTICLES or two in _ARTICLES:
        return False
    # "Aranesp clearance" must not become "Clearance aranesp"; "The clearance" may be turned round.
    if starts_sentence(text, i) and one not in FUNCTION_WORDS:
        return False
    around = [(_core_before(pieces, i), two), (one, _core_after(pieces, j))]
    if j != i + 2:
        around += [(two, _core_after(pieces, i)), (_core_before(pieces, j), one)]
    return all(before != after and article_agrees(before, after) for before, after in around)


def _swap(text: SplitText, pieces: list[str], i: int, j: int) -> None:
    first, second = text.word(i), text.word(j)
    to_front, to_back = second.core, first.core
    if starts_sentence(text, i) and first.core[0].isupper() and second.core.islower():
        to_front = to_front[0].upper() + to_front[1:]
        to_back = to_back if to_back == "I" else to_back[0].lower() + to_back[1:]
    pieces[i] = first.prefix + to_front + first.suffix
    pieces[j] = second.prefix + to_back + second.suffix


def delete_words(text: SplitText, pieces: list[str], positions: Iterable[int], n: int) -> int:
    """Delete up to n of the words at ``positions`` from ``pieces``, first ones first; return how many.

    A word before punctuation stays, since a phrase hangs on it, and so do the first word of a sentence and the last
    one of a text. So does a word without which an article would no longer agree, a word would be doubled, or a
    numeral, preposition or article would run into another (``22% of 48%``).
    """
    deleted: set[int] = set()
    n = min(n, text.n_words - 1)
    for i in positions:
        if len(deleted) >= n:
            break
        if not text.word(i).suffix and _may_vanish(text, i, deleted):
            deleted.add(i)
    for i in sorted(deleted):
        word = text.word(i)
        pieces[i] = word.prefix
        at_start = all(j in deleted for j in range(0, i, 2))
        space = i + 1 if word.prefix or at_start else i - 1
        if space < len(pieces):
            pieces[space] = ""
    return len(deleted)


def _may_vanish(text: SplitText, i: int, deleted: set[int]) -> bool:
    if starts_sentence(text, i):
        return False
    right = _next_kept(text, i, deleted)
    first = i
    while first - 2 in deleted:
        first -= 2
    if (
        right is not None
        and _leans_on_next(text.pieces, first - 2)
        and _cannot_be_leant_on(text.pieces[right])
    ):
        return False
    before = _core_before(text.pieces, first)
    after = "" if right is None else _core_after(text.pieces, right - 2)
    if before and before == after:  # "of the dose of" must not become "of of"
        return False
    if before not in _ARTICLES:
        return True
    return right is not None and article_agrees(before, text.pieces[right].lstrip("("))


def _binds_next(pieces: list[str], i: int) -> bool:
    """Return whether the token at a position is a numeral, a unit or a negation, which the next word belongs to."""
    core = core_at(pieces, i)
    return i >= 0 and (_has_digit(pieces[i]) or core in NEGATIONS or core in UNITS)


def _leans_on_next(pieces: list[str], i: int) -> bool:
    """Return whether the token at a position says nothing without what follows it."""
    core = core_at(pieces, i)
    return _binds_next(pieces, i) or core in _PREPOSITIONS or core in _DETERMINERS or core == "only"


def _cannot_be_leant_on(token: str) -> bool:
    return _has_digit(token) or _lower_core(token) in FUNCTION_WORDS


def _next_kept(text: SplitText, i: int, deleted: set[int]) -> int | None:
    return next((j for j in range(i + 2, len(text.pieces), 2) if j not in deleted), None)


def starts_sentence(text: SplitText, i: int) -> bool:
    """Return whether a sentence starts at position i."""
    return i == 0 or not text.pieces[i - 2] or ends_sentence(text.pieces[i - 2])


def _core_before(pieces: list[str], i: int) -> str:
    """Return the lower-case word before position i, or an empty string where none is, or a mark stands between."""
    word = parse(pieces[i - 2]) if i > 1 else None
    return "" if word is None or word.suffix else word.core.lower()


def _core_after(pieces: list[str], i: int) -> str:
    """Return the lower-case word after position i, whatever punctuation follows it."""
    word = parse(pieces[i + 2]) if i + 2 < len(pieces) else None
    return "" if word is None or word.prefix else word.core.lower()


def core_at(pieces: list[str], i: int) -> str:
    """Return the lower-case word at position i, or an empty string where there is none."""
    return _lower_core(pieces[i]) if 0 <= i < len(pieces) else ""


@lru_cache(maxsize=1 << 17)
def _lower_core(token: str) -> str:
    word = parse(token)
    return "" if word is None else word.core.lower()


@lru_cache(maxsize=1 << 17)
def _has_digit(token: str) -> bool:
    return any(character.isdigit() for character in token)
