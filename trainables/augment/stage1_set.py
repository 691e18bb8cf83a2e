"""The rows that stage 1 trains on, made from the training rows of one replicate and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.augment.siblings import Siblings
from trainables.augment.turns import augment_copies
from trainables.errors import ConfigurationError
from trainables.seeds import derive_seed, generator
from trainables.settings import STAGE1_DATA, augments

if TYPE_CHECKING:
    from trainables.augment.operator import Operator

_ATTEMPTS = 4  # augmentations tried for one row of the set before a near-copy is kept


@dataclass(frozen=True)
class Stage1Set:
    """Rows of stage 1.

    Attributes
    ----------
    texts
        m texts.
    labels
        (m,) int64.
    source_rows
        (m,) int64, position of the training row that each text comes from.
    unchanged
        Augmentations that equal their source although an operator was asked to change it.
    near_copies_dropped
        Augmentations that were thrown away, and made anew, because they nearly repeated another one of the
        same source (:class:`trainables.augment.siblings.Siblings`).
    near_copies_kept
        Near-copies that stayed because no attempt brought a better one.
    rows_missing
        Rows that classes lacked to give as many as ``stage1_rows_per_class`` asks of each.
    computed
        Augmentations that were computed to get here: 0 where the set came from the cache.
    """

    texts: list[str]
    labels: npt.NDArray[np.int64]
    source_rows: npt.NDArray[np.int64]
    unchanged: int = 0
    near_copies_dropped: int = 0
    near_copies_kept: int = 0
    rows_missing: int = 0
    computed: int = 0


@dataclass(frozen=True)
class DrawnRows:
    """Training rows of a replicate: all that augmentation sees of the corpus.

    Attributes
    ----------
    texts, labels
        n texts, and their (n,) class indices.
    n_classes
        Classes C; every index is below it.
    """

    texts: Sequence[str]
    labels: npt.NDArray[np.int64]
    n_classes: int


def build_stage1_set(
    recipe: str,
    rows: DrawnRows,
    operator: Operator | None,
    *,
    copies: int,
    rows_per_class: int | None = None,
    seed: int,
) -> Stage1Set:
    """Build the stage-1 set of a recipe.

    Rows are ordered by class and source; batching shuffles them.

    Parameters
    ----------
    recipe
        ``augmented_balanced``: augmentations only, copies * n_max rows of every class, n_max being the largest
        class count among the given rows. ``augmented_balanced+original``: the same after the original rows.
        ``augmented_natural``: ``copies`` augmentations of every row. ``augmented_equal``: ``copies`` augmentations of
        as many rows of every class (Shi et al. 2022). ``duplicated_…``: the very rows that the ``augmented_…`` one of
        that name augments, as they are: the two differ in augmentation alone.
    rows
        What is augmented.
    operator
        What augments; not used where the recipe duplicates.
    copies
        Multiple of n_max, or of the rows, >= 1.
    rows_per_class
        Rows that ``…_equal`` draws from every class; None for as many as the smallest class has. Of a class that has
        fewer it takes all, and counts what is missing.
    seed
        Every random choice is derived from it.

    Raises
    ------
    ConfigurationError
        Unknown recipe, missing operator, ``copies`` < 1, or a class without rows where classes are balanced.
    """
    texts, labels, n_classes = rows.texts, rows.labels, rows.n_classes
    counts = np.bincount(labels, minlength=n_classes)
    _check(recipe, rows, counts, operator, copies)
    missing = 0
    if recipe.endswith("_natural"):
        source_rows = np.repeat(np.argsort(labels, kind="stable"), copies)
    elif recipe.endswith("_equal"):
        taken = equal_rows(counts, rows_per_class)
        source_rows = np.repeat(_equal_sources(labels, taken, seed), copies)
        missing = 0 if rows_per_class is None else n_classes * rows_per_class - int(taken.sum())
    else:
        source_rows = _balanced_sources(labels, n_classes, copies * int(counts.max()), seed)
    if augments(recipe):
        assert operator is not None
        made, dropped, kept, computed = _distinct_augmentations(texts, source_rows, operator, seed)
        unchanged = sum(text == texts[i] for text, i in zip(made, source_rows.tolist(), strict=True))
    else:
        made = [texts[i] for i in source_rows.tolist()]
        unchanged = dropped = kept = computed = 0
    if recipe.endswith("+original"):
        made = [*texts, *made]
        source_rows = np.concatenate([np.arange(len(texts)), source_rows])
    return Stage1Set(made, labels[source_rows], source_rows, unchanged, dropped, kept, missing, computed)


def n_augmented(recipe: str, made: Stage1Set, rows: DrawnRows) -> int:
    """Return how many of a set's texts an operator was asked to change: all but the original rows, or none."""
    if not augments(recipe):
        return 0
    return len(made.texts) - (len(rows.texts) if recipe.endswith("+original") else 0)


def _check(
    recipe: str,
    rows: DrawnRows,
    counts: npt.NDArray[np.int64],
    operator: Operator | None,
    copies: int,
) -> None:
    faults = []
    n_classes = rows.n_classes
    if recipe not in STAGE1_DATA:
        faults.append(f"unknown stage1_data {recipe!r}: expected one of {', '.join(STAGE1_DATA)}")
    elif operator is None and augments(recipe):
        faults.append(f"stage1_data {recipe!r} augments and was given no operator")
    if copies < 1:
        faults.append(f"copies is {copies}: expected 1 or more")
    if not len(rows.texts) == len(rows.labels) > 0:
        faults.append(
            f"{len(rows.texts)} texts and {len(rows.labels)} labels: expected as many of both, and at least one"
        )
    if len(counts) > n_classes:
        faults.append(f"a label is {len(counts) - 1}: expected class indices below {n_classes}")
    if not recipe.endswith("_natural") and not counts[:n_classes].all():
        empty = ", ".join(map(str, np.flatnonzero(counts[:n_classes] == 0)))
        faults.append(f"no training row of class {empty}: stage1_data {recipe!r} needs one of every class")
    if faults:
        raise ConfigurationError(faults)


def _balanced_sources(
    labels: npt.NDArray[np.int64], n_classes: int, per_class: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return (C * per_class,) source rows; within a class, uses of two rows differ by one at most."""
    sources = []
    rng = generator(seed, "stage1_set/sources")
    for label in range(n_classes):
        rows = rng.permutation(np.flatnonzero(labels == label))
        sources.append(np.sort(np.resize(rows, per_class)))
    return np.concatenate(sources)


def equal_rows(counts: npt.NDArray[np.int64], rows_per_class: int | None) -> npt.NDArray[np.int64]:
    """Return the (C,) rows of each class that ``…_equal`` takes, of classes with these (C,) counts of rows.

    ``rows_per_class`` of each, or all where there are fewer; None for as many as the smallest class has.

    Examples
    --------
    >>> equal_rows(np.array([9, 2, 5]), None).tolist(), equal_rows(np.array([9, 2, 5]), 4).tolist()
    ([2, 2, 2], [4, 2, 4])
    """
    return np.minimum(counts, rows_per_class or int(counts.min()))


def _equal_sources(
    labels: npt.NDArray[np.int64], taken: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.int64]:
    """Return the rows that are augmented, ``taken[c]`` random ones of class c."""
    rng = generator(seed, "stage1_set/equal")
    drawn = [rng.permutation(np.flatnonzero(labels == label))[:n] for label, n in enumerate(taken.tolist())]
    return np.concatenate([np.sort(rows) for rows in drawn])


def _distinct_augmentations(
    texts: Sequence[str], source_rows: npt.NDArray[np.int64], operator: Operator, seed: int
) -> tuple[list[str], int, int, int]:
    """Augment every entry of ``source_rows``, anew where it comes out close to another one of its source.

    Returns the texts, the number of near-copies dropped, the number of those left after the last attempt, and
    how many augmentations were computed.
    """
    rows = source_rows.tolist()
    copy_index = _occurrences(rows)
    sources = [texts[i] for i in rows]
    siblings = {i: Siblings(texts[i]) for i in set(rows)}
    made = sources.copy()
    todo = list(range(len(sources)))
    near_copies = []
    computed = 0
    for attempt in range(_ATTEMPTS):
        seeds = [derive_seed(seed, f"stage1_set/{rows[i]}/{copy_index[i]}", attempt) for i in todo]
        turns = [copy_index[i] + attempt for i in todo]  # a near-copy is tried again in another way
        computed += len(todo)
        candidates = augment_copies(operator, [sources[i] for i in todo], seeds, turns)
        for i, candidate in zip(todo, candidates, strict=True):
            if candidate != sources[i]:  # a near-copy of an earlier attempt is better than no change
                made[i] = candidate
        todo = [i for i in todo if not siblings[rows[i]].add(made[i])]
        near_copies.append(sum(made[i] != sources[i] for i in todo))
        if not todo:
            break
    return made, sum(near_copies[: _ATTEMPTS - 1]), near_copies[-1], computed


def _occurrences(rows: Sequence[int]) -> list[int]:
    """Return for each entry how often the same row came before it."""
    seen: dict[int, int] = {}
    occurrences = []
    for row in rows:
        occurrences.append(seen.get(row, 0))
        seen[row] = occurrences[-1] + 1
    return occurrences
