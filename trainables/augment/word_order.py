"""Swap and delete words of one text, without touching what carries a value.

Swaps and deletions leave punctuation in its place, sentences starting with a capital, and articles that agree.
Words that bind a value or turn a statement round (``less``, ``between``, ``unless``) neither move nor vanish.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from itertools import pairwise

from trainables.augment.articles import article_agrees
from trainables.augment.protect import FUNCTION_WORDS, SplitText
from trainables.augment.words import ends_sentence, parse, word_set

_ANCHORS = word_set(
    """less more fewer most least than above below over under between within up down to from except unless versus
    despite if but until before after only increase increases increased increasing decrease decreases decreased
    decreasing reduce reduces reduced reducing reduction higher lower greater unlikely unchanged"""
)
_ARTICLES = frozenset({"a", "an"})


def movable(text: SplitText) -> list[int]:
    """Return the open positions whose words may be moved or deleted."""
    return [i for i in text.open if text.word(i).core.lower() not in _ANCHORS]


def neighbouring_pairs(text: SplitText, rng: random.Random) -> list[tuple[int, int]]:
    """Return, in random order, positions next to each other that :func:`swap_words` may swap."""
    positions = movable(text)
    pairs = [
        (i, j)
        for i, j in pairwise(positions)
        if j == i + 2 and not text.word(i).suffix and not text.word(j).prefix
    ]
    return rng.sample(pairs, len(pairs))


def random_pairs(text: SplitText, rng: random.Random, without: Collection[int] = ()) -> list[tuple[int, int]]:
    """Return disjoint random pairs of positions that start no sentence, as EDA swaps them (Wei & Zou 2019)."""
    positions = [i for i in movable(text) if i not in without and not starts_sentence(text, i)]
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

    A word before punctuation stays, since a phrase hangs on it. So does a word without which an article would no
    longer agree, a word would be doubled, or a sentence would start with a name or a code; and the last one of
    a text.
    """
    deleted: set[int] = set()
    open_positions = set(text.open)
    n = min(n, text.n_words - 1)
    for i in positions:
        if len(deleted) >= n:
            break
        if not text.word(i).suffix and _may_vanish(text, i, deleted, open_positions):
            deleted.add(i)
    for i in sorted(deleted):
        word = text.word(i)
        if starts_sentence(text, i) and word.core[0].isupper():
            following = _next_kept(text, i, deleted)
            if following is not None and pieces[following].islower():
                pieces[following] = _capitalised(pieces[following])
        pieces[i] = word.prefix
        at_start = all(j in deleted for j in range(0, i, 2))
        space = i + 1 if word.prefix or at_start else i - 1
        if space < len(pieces):
            pieces[space] = ""
    return len(deleted)


def _may_vanish(text: SplitText, i: int, deleted: set[int], open_positions: set[int]) -> bool:
    right = _next_kept(text, i, deleted)
    first = i
    while first - 2 in deleted:
        first -= 2
    if starts_sentence(text, first) and text.word(first).core[0].isupper() and right not in open_positions:
        return False
    before = _core_before(text.pieces, first)
    after = "" if right is None else _core_after(text.pieces, right - 2)
    if before and before == after:  # "of the dose of" must not become "of of"
        return False
    if before not in _ARTICLES:
        return True
    return right is not None and article_agrees(before, text.pieces[right].lstrip("("))


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


def _capitalised(token: str) -> str:
    first = next((i for i, character in enumerate(token) if character.isalpha()), 0)
    return token[:first] + token[first].upper() + token[first + 1 :]
