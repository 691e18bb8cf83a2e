"""From candidate rows to a corpus: what is too short, repeated or contradictory stays out and is counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from trainables.corpora.corpus import Corpus
from trainables.errors import ConfigurationError

DUPLICATE_IN_GROUP = "duplicate in the same group"
DUPLICATE_ACROSS_GROUPS = "duplicate in another group"
CONFLICTING_DUPLICATE = "duplicate with another label"
TOO_SHORT = "too short"


@dataclass(frozen=True)
class Row:
    """One candidate: a text with its class name, its group and where it came from."""

    text: str
    label: str
    group: str
    origin: str


def build_corpus(
    rows: Iterable[Row],
    classes: tuple[str, ...],
    *,
    source: str,
    left_out: Mapping[str, int] | None = None,
    minimum_words: int = 1,
    is_sample: bool = False,
) -> Corpus:
    """Keep every text once and put the rows in an order that does not depend on the order of reading.

    A text that occurs with several labels is dropped altogether. One that occurs in several groups stays in the
    group whose name sorts first, so that no text can reach two parts of a split. Texts are compared without
    regard to case and spaces.

    Parameters
    ----------
    rows
        Candidates in any order.
    classes
        Class names in their fixed order.
    source
        Where the corpus is from, for people.
    left_out
        Counts of what the reader itself has left out.
    minimum_words
        Shorter texts are left out.
    is_sample
        True for the generated sample.

    Raises
    ------
    ConfigurationError
        When no row is left.
    """
    counts: Counter[str] = Counter(left_out or {})
    by_text: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if len(row.text.split()) < minimum_words:
            counts[TOO_SHORT] += 1
        else:
            by_text[" ".join(row.text.lower().split())].append(row)

    kept: list[Row] = []
    for same in by_text.values():
        if len({row.label for row in same}) > 1:
            counts[CONFLICTING_DUPLICATE] += len(same)
            continue
        first = min(same, key=lambda row: (row.group, row.text, row.origin))
        in_group = sum(row.group == first.group for row in same)
        counts[DUPLICATE_IN_GROUP] += in_group - 1
        counts[DUPLICATE_ACROSS_GROUPS] += len(same) - in_group
        kept.append(first)
    if not kept:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(counts.items()) if n) or "it was empty"
        raise ConfigurationError(f"{source}: no usable row was found ({reasons}).")

    kept.sort(key=lambda row: (row.group, row.label, row.text))
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
    )
