"""What becomes of classes that have too few rows or groups for a study: left out, made one class, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus
from trainables.corpora.duplicates import near_duplicate_clusters
from trainables.corpora.leakage import unsplittable_classes
from trainables.corpora.rows import unreadable
from trainables.corpora.split import LEAST_ROWS, PARTS, rare_classes_advice
from trainables.corpora.wording import class_in_words, counted, listed, shown
from trainables.errors import ConfigurationError

LEAVE_OUT, REFUSE, MERGE = "leave-out", "refuse", "merge:"
RARE_CLASSES, MIN_ROWS = "rare_classes", "min_rows"
OPTIONS = (RARE_CLASSES, MIN_ROWS)
SMALLEST = LEAST_ROWS * len(PARTS)
ROW_OF_A_RARE_CLASS = "row of a rare class"

_Classes = npt.NDArray[np.bool_]  # (C,)


def rare_option_faults(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options of rare classes; options of readers are passed over."""
    faults = []
    action = options.get(RARE_CLASSES, REFUSE)
    if not isinstance(action, str) or not (action in (LEAVE_OUT, REFUSE) or _merged_name(action)):
        faults.append(
            f"--rare-classes {action}: {LEAVE_OUT}, {MERGE}NAME or {REFUSE} was expected, e.g. {MERGE}other."
        )
    if _min_rows(options) is None:
        faults.append(
            f"--min-rows {options[MIN_ROWS]}: a whole number of at least {SMALLEST} was expected, because every class "
            f"needs {LEAST_ROWS} rows in each of {', '.join(PARTS)}."
        )
    return faults


def settle_rare_classes(corpus: Corpus, options: Mapping[str, Any]) -> Corpus:
    """Return the corpus without its rare classes, or with them merged into one.

    A class is rare that has fewer rows than ``min_rows``, and one whose groups are too few to give every part of a
    split its least rows; near-duplicates count as one group. What is done is counted, and said in a remark.

    Parameters
    ----------
    corpus
        The corpus as its reader gives it.
    options
        ``rare_classes``: ``leave-out``, ``merge:NAME`` or ``refuse``; ``min_rows``: 6 or more. Where neither is
        given, the corpus stays as it is, and its split says which classes it cannot serve.

    Raises
    ------
    ConfigurationError
        A class is rare and refused, or what is left is no study: one class, or a merged class that is still rare.
    """
    if not options.keys() & {*OPTIONS}:
        return corpus
    action, least = str(options.get(RARE_CLASSES, REFUSE)), _min_rows(options) or SMALLEST
    clusters = near_duplicate_clusters(corpus.texts)
    rare = _rare(corpus, clusters, least)
    if not rare.any():
        return corpus
    which, classes = _in_words(corpus, rare, least)
    if action == REFUSE:
        raise ConfigurationError(
            f"{corpus.source}: {which}: {classes}. {rare_classes_advice(_given(options))}"
        )
    into = _merged_name(action)
    settled = _merged(corpus, rare, into) if into else _without(corpus, rare)
    asked = f"--rare-classes {shown(action)}{_given(options)}"
    if len(settled.classes) < 2:
        left = f"'{shown(settled.classes[0])}' alone" if settled.classes else "no class"
        raise ConfigurationError(
            f"{corpus.source}: {asked} leaves {left}, at least two classes are needed; {which}: {classes}. Give a "
            f"smaller --min-rows (at least {SMALLEST}), or more rows and groups of these classes."
        )
    if into and (still := _rare(settled, clusters, least)).any():
        raise ConfigurationError(
            f"{corpus.source}: after {asked}, {': '.join(_in_words(settled, still, least))}. Merge into a class that "
            f"exists and has more rows, give --rare-classes {LEAVE_OUT}, or more rows and groups of these classes."
        )
    done = f"left out, {counted(len(corpus) - len(settled), 'row')} in all"
    if into:
        n = counted(settled.class_counts()[into], "row")
        old = into in corpus.classes
        done = f"merged into '{shown(into)}', " + (f"which now has {n}" if old else f"a class of {n}")
    remark = f"{which} and {'is' if rare.sum() == 1 else 'are'} {done} ({asked}): {classes}."
    return replace(settled, remarks=(*corpus.remarks, remark))


def _min_rows(options: Mapping[str, Any]) -> int | None:
    """Return the number of rows below which a class is rare; None where it is not a whole number, or too small."""
    given = options.get(MIN_ROWS, SMALLEST)
    if isinstance(given, str) and given.isdecimal():
        given = int(given)
    return given if type(given) is int and given >= SMALLEST else None


def _merged_name(action: str) -> str:
    """Return the name of the merged class; empty where none is named, or one that no text file can hold."""
    name = action.removeprefix(MERGE).strip() if action.startswith(MERGE) else ""
    return "" if unreadable(name) else name


def _given(options: Mapping[str, Any]) -> str:
    return f" --min-rows {options[MIN_ROWS]}" if MIN_ROWS in options else ""


def _rare(corpus: Corpus, clusters: npt.NDArray[np.int64], least: int) -> _Classes:
    few = np.bincount(corpus.labels, minlength=len(corpus.classes)) < least
    return few | unsplittable_classes(corpus, clusters)


def _in_words(corpus: Corpus, rare: _Classes, least: int) -> tuple[str, str]:
    """Return how many classes are rare and why, and their list, the rarest first."""
    rows = np.bincount(corpus.labels, minlength=len(corpus.classes))
    order = sorted(np.flatnonzero(rare).tolist(), key=lambda index: (rows[index], index))
    few = int((rows[rare] < least).sum())
    reasons = [f"fewer than {least} rows"] if few else []
    reasons += ["rows in too few groups for every part of a split"] if few < len(order) else []
    has = "has" if len(order) == 1 else "have"
    return (
        f"{len(order)} of {len(rare)} classes {has} {' or '.join(reasons)}",
        listed([class_in_words(corpus.classes[index], int(rows[index])) for index in order]),
    )


def _without(corpus: Corpus, rare: _Classes) -> Corpus:
    kept = np.flatnonzero(~rare[corpus.labels]).tolist()
    number = np.cumsum(~rare) - 1
    return replace(
        corpus,
        texts=[corpus.texts[i] for i in kept],
        labels=number[corpus.labels[kept]].astype(np.int64),
        groups=[corpus.groups[i] for i in kept],
        classes=tuple(name for name, out in zip(corpus.classes, rare, strict=True) if not out),
        origins=[corpus.origins[i] for i in kept],
        split=None if corpus.split is None else [corpus.split[i] for i in kept],
        left_out={**corpus.left_out, ROW_OF_A_RARE_CLASS: len(corpus) - len(kept)},
    )


def _merged(corpus: Corpus, rare: _Classes, into: str) -> Corpus:
    """Return the corpus with its rare classes in one, which stands last unless it is one of the other classes."""
    kept = [name for name, out in zip(corpus.classes, rare, strict=True) if not out]
    classes = (*kept, into) if into not in kept else tuple(kept)
    number = [classes.index(into if out else name) for name, out in zip(corpus.classes, rare, strict=True)]
    return replace(corpus, classes=classes, labels=np.array(number, dtype=np.int64)[corpus.labels])
