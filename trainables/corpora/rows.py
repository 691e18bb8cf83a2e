"""From candidate rows to a corpus: what is unusable, repeated or contradictory stays out and is counted."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainables.corpora.corpus import Corpus
from trainables.corpora.left_out import LeftOut
from trainables.corpora.split import PARTS
from trainables.errors import ConfigurationError

DUPLICATE_IN_GROUP = "duplicate in the same group"
DUPLICATE_ACROSS_GROUPS = "duplicate in another group"
CONFLICTING_DUPLICATE = "duplicate with another label"
TOO_SHORT = "too short"
NUL = "NUL character"
NOT_UNICODE = "broken character"

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate: a text with its class name, its group, where it came from, and its part of a given split."""

    text: str
    label: str
    group: str
    origin: str
    part: str | None = None


def text_key(text: str) -> bytes:
    """Return 16 bytes that texts share which differ in case and spaces alone."""
    return hashlib.blake2b(
        " ".join(text.lower().split()).encode(errors="surrogatepass"), digest_size=16
    ).digest()


def own_group(text: str) -> str:
    """Return the group of a row that has none: its text's own, whatever the order of rows."""
    return text_key(text).hex()


class _Distinct:
    """The rows kept of one part so far: every text once. Memory grows with the distinct texts alone."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Row] = {}
        self._repeated: dict[bytes, Counter[str]] = {}  # rows per group, of texts seen more than once
        self._conflicting: set[bytes] = set()

    def add(self, row: Row) -> None:
        key = text_key(row.text)
        first = self.rows.setdefault(key, row)
        if first is row:
            return
        self._repeated.setdefault(key, Counter({first.group: 1}))[row.group] += 1
        if first.label != row.label:
            self._conflicting.add(key)
        if _order(row) < _order(first):
            self.rows[key] = row

    def settle(self) -> tuple[list[Row], Counter[str]]:
        """Return the rows that stay, and how many of the others were left out for which reason."""
        counts: Counter[str] = Counter()
        for key, groups in self._repeated.items():
            if key in self._conflicting:
                counts[CONFLICTING_DUPLICATE] += groups.total()
                del self.rows[key]
            else:
                in_group = groups[self.rows[key].group]
                counts[DUPLICATE_IN_GROUP] += in_group - 1
                counts[DUPLICATE_ACROSS_GROUPS] += groups.total() - in_group
        return list(self.rows.values()), counts


def _order(row: Row) -> tuple[str, str, str]:
    return row.group, row.text, row.origin


def build_corpus(
    rows: Iterable[Row],
    classes: tuple[str, ...] | None,
    *,
    source: str,
    left_out: LeftOut | None = None,
    minimum_words: int = 1,
    is_sample: bool = False,
) -> Corpus:
    """Keep every text once and put the rows in an order that does not depend on the order of reading.

    A text that occurs with several labels is dropped altogether. One that occurs in several groups stays in the
    group whose name sorts first, so that no text can reach two parts of a split. Texts are compared without
    regard to case and spaces. Where the source gives a split, this holds within train and within validation,
    and the rows of test all stay: a published test set keeps its size. What stands in two parts is left to
    :func:`trainables.corpora.leakage.split_corpus`.

    Parameters
    ----------
    rows
        Candidates in any order, read once: memory grows with the rows that stay. All name their part, or none.
    classes
        Class names in their fixed order; None takes those of the rows, in numerical or alphabetical order.
    source
        Where the corpus is from, for people.
    left_out
        What the reader itself leaves out, and counts up to the last row; what is left out here is added.
    minimum_words
        Shorter texts are left out.
    is_sample
        True for the generated sample.

    Raises
    ------
    ConfigurationError
        When no row is left.
    """
    counts = LeftOut() if left_out is None else left_out
    found: Counter[str] = Counter()
    distinct: dict[str | None, _Distinct] = {}
    test_rows: list[Row] = []
    for row in rows:
        reason = _unusable(row, minimum_words)
        if reason not in (NUL, NOT_UNICODE):
            found[row.label] += 1
        if reason is not None:
            counts.add(reason, row.origin)
        elif row.part == PARTS[2]:
            test_rows.append(row)
        else:
            distinct.setdefault(row.part, _Distinct()).add(row)

    kept = test_rows
    for part in distinct.values():
        stay, repeated = part.settle()
        kept.extend(stay)
        counts.update(repeated)
    distinct.clear()
    if not kept:
        reasons = counts.sentence(taken=0) or "It was empty."
        raise ConfigurationError(f"{source}: no usable row was found. {reasons}")

    kept.sort(key=lambda row: (row.group, row.label, row.text, row.part or ""))
    if classes is None:
        classes = class_order({row.label for row in kept})
    index = {name: number for number, name in enumerate(classes)}
    return Corpus(
        texts=[row.text for row in kept],
        labels=np.array([index[row.label] for row in kept], dtype=np.int64),
        groups=[row.group for row in kept],
        classes=classes,
        origins=[row.origin for row in kept],
        source=source,
        left_out={reason: n for reason, n in sorted(counts.items()) if n},
        is_sample=is_sample,
        split=None if kept[0].part is None else [str(row.part) for row in kept],
        found={name: found[name] for name in sorted(found, key=lambda name: (index.get(name, -1), name))},
    )


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names sorted as whole numbers where all are, else by their characters.

    Examples
    --------
    >>> class_order(["10", "2"]), class_order(["10", "2", "x"])
    (('2', '10'), ('10', '2', 'x'))
    """
    listed = sorted(names)
    if all(_WHOLE_NUMBER.fullmatch(name) for name in listed):
        listed.sort(key=int)
    return tuple(listed)


def unreadable(value: str) -> str | None:
    """Return why a value cannot be written to a text file, or None where it can."""
    if "\0" in value:
        return NUL
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as JSON escapes can spell it
        return NOT_UNICODE
    return None


def _unusable(row: Row, minimum_words: int) -> str | None:
    for value in (row.text, row.label, row.group):
        if (reason := unreadable(value)) is not None:
            return reason
    return TOO_SHORT if len(row.text.split(None, minimum_words)) < minimum_words else None
