"""Corpora in words: class names and lists of them for messages and tables, on one line and not too long."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

_COUNTED_ONE_BY_ONE = 12
# They break lines or tables, drive terminals, or turn the text around them: characters that control, and what
# overrides the direction of writing.
_CONTROLS = {"Cc", "Zl", "Zp"}
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def shown(name: str, longest: int = 60) -> str:
    """Return a class name for people: control characters are spelt out, and of a long name the middle is left out.

    Examples
    --------
    >>> shown("a\\nb"), shown("long " * 10 + "end", 12)
    ('a\\\\nb', 'long lo… end')
    """
    plain = "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in _CONTROLS or char in _OVERRIDES
        else char
        for char in name
    )
    if len(plain) <= longest:
        return plain
    end = (longest - 1) * 2 // 5
    return f"{plain[: longest - 1 - end]}…{plain[len(plain) - end :]}"


def listed(items: Sequence[str], most: int = 10) -> str:
    """Return the first of many items as a list, and how many others there are.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
    ('a, b, c', 'a and 2 more')
    """
    if len(items) <= most + 1:  # "and 1 more" is no shorter than the item
        most = len(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def counted(n: int, what: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def class_in_words(name: str, rows: int, groups: int | None = None) -> str:
    """Return a class with its rows and, where rows share groups, their number.

    Examples
    --------
    >>> class_in_words("a", 1, 1), class_in_words("b", 5, 2)
    ("'a' (1 row)", "'b' (5 rows in 2 groups)")
    """
    inside = f" in {counted(groups, 'group')}" if groups is not None and groups < rows else ""
    return f"'{shown(name)}' ({counted(rows, 'row')}{inside})"


def counts_in_words(counts: Mapping[str, int]) -> str:
    """Return the rows of each class, or, where the classes are many, of the largest, the median and the smallest one.

    Examples
    --------
    >>> counts_in_words({"a": 3, "b": 1})
    'a 3, b 1'
    >>> counts_in_words({f"class {n}": n for n in range(1, 101)})
    "100 classes, from 'class 100' with 100 rows to 'class 1' with 1 row; half of them have 51 rows or more"
    """
    if len(counts) <= _COUNTED_ONE_BY_ONE:
        return ", ".join(f"{shown(name)} {n}" for name, n in counts.items())
    order = sorted(counts, key=lambda name: -counts[name])
    largest, half, smallest = order[0], order[(len(order) - 1) // 2], order[-1]
    return (
        f"{len(order)} classes, from '{shown(largest)}' with {counted(counts[largest], 'row')} to '{shown(smallest)}' "
        f"with {counted(counts[smallest], 'row')}; half of them have {counted(counts[half], 'row')} or more"
    )
