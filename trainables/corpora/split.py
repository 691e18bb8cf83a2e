"""Train, validation and test: no group in two parts, classes as even as the groups allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trainables.corpora.least_rows import servable_parts, short_classes, with_least_rows
from trainables.corpora.wording import class_in_words, listed
from trainables.errors import ConfigurationError
from trainables.seeds import generator

Rows = npt.NDArray[np.int64]
PARTS = ("train", "validation", "test")
LEAST_ROWS = 2  # of every class in every part
_ORDERS = 20  # random orders tried at most
_CLOSE = 0.1  # of a class's rows in validation and test: a random order that comes as close is taken


@dataclass(frozen=True)
class Split:
    """Row indices of the three parts, each sorted, (n_part,) int64.

    Attributes
    ----------
    train, validation, test
        The parts. Together every row once, except those that leak between parts that the source gives.
    removed
        The number of those, by part and reason.
    """

    train: Rows
    validation: Rows
    test: Rows
    removed: Mapping[str, int] = field(default_factory=dict, compare=False)


def split_by_group(
    labels: npt.NDArray[np.int64],
    groups: Sequence[str],
    classes: int | Sequence[str] | None = None,
    *,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    seed: int,
    minimum: int = LEAST_ROWS,
    largest_first: bool = True,
) -> Split:
    """Split rows by group, stratified by class.

    Groups are placed one by one where they reduce most the squared distance
    ``sum_c ((n_pc - target_pc) / n_c)^2`` between the counts of a part p and its targets; dividing by the
    class size makes rare classes count as much as frequent ones. The largest come first, which is most even, but large
    groups then always go to train, and where few groups are of equal size every seed gives the same parts. In a random
    order every group can come to every part, and the parts of two seeds differ. Where a class is left without its
    least rows in a part, and its groups allow them, the fewest rows are moved that give them
    (:mod:`trainables.corpora.least_rows`).

    Parameters
    ----------
    labels
        (n,) class indices.
    groups
        n group names.
    classes
        Number of classes, or their names (for messages); by default the largest label plus one.
    fractions
        Shares of train, validation and test; they add up to 1. A part of share 0 stays empty.
    seed
        Decides the order of groups of equal size, or of all groups.
    minimum
        Rows that every class needs in every part.
    largest_first
        Whether groups are placed by size; otherwise in random order. Of up to 20 such orders the first is taken that
        brings every class within a tenth of its rows in validation and test, else the one that comes closest.

    Raises
    ------
    ConfigurationError
        Naming the classes whose rows or groups are too few for every part.

    Examples
    --------
    >>> labels = np.array([0, 1] * 20)
    >>> parts = split_by_group(labels, [f"g{i // 2}" for i in range(40)], seed=0)
    >>> len(parts.train), len(parts.validation), len(parts.test)
    (28, 6, 6)
    """
    labels = np.asarray(labels, dtype=np.int64)
    names = _class_names(labels, classes)
    _check_input(labels, groups, fractions, len(names))
    table, group_of_row = rows_per_group(labels, groups, len(names))
    shares = np.asarray(fractions)
    place = _place if largest_first else _place_in_random_order
    part_of_group = place(table, shares, minimum, generator(seed, "split"))
    part_of_group = with_least_rows(table, part_of_group, minimum, shares > 0)
    _check_parts(table, part_of_group, names, minimum, shares > 0)
    part_of_row = part_of_group[group_of_row]
    train, validation, test = (np.flatnonzero(part_of_row == part).astype(np.int64) for part in range(3))
    return Split(train, validation, test)


def split_into_folds(
    labels: npt.NDArray[np.int64],
    groups: Sequence[str],
    classes: Sequence[str],
    *,
    folds: int,
    fold: int,
    validation: float,
    seed: int,
    minimum: int = LEAST_ROWS,
) -> Split:
    """Split rows by group such that the test part is one of several folds, each stratified by class.

    Every row is in the test part of exactly one fold; what is left is split into train and validation as by
    :func:`split_by_group`.

    Parameters
    ----------
    labels
        (n,) class indices.
    groups
        n group names.
    classes
        C class names.
    folds, fold
        Number of folds, and the number of the one that is the test part, from 1.
    validation
        Share of all rows that the validation part gets.
    seed
        Study seed: the same for all folds.
    minimum
        Rows that every class needs in every fold, and in train and validation.

    Raises
    ------
    ConfigurationError
        Naming the classes whose rows or groups are too few for every fold or part.
    """
    labels = np.asarray(labels, dtype=np.int64)
    shares = np.full(folds, 1 / folds)
    table, group_of_row = rows_per_group(labels, groups, len(classes))
    fold_of_group = _place(table, shares, minimum, generator(seed, "folds"))
    fold_of_group = with_least_rows(table, fold_of_group, minimum, shares > 0)
    names = [f"fold {number}" for number in range(1, folds + 1)]
    _check_parts(table, fold_of_group, classes, minimum, shares > 0, names)
    fold_of_row = fold_of_group[group_of_row]
    test, rest = np.flatnonzero(fold_of_row == fold - 1), np.flatnonzero(fold_of_row != fold - 1)
    of_rest = round(validation * folds / (folds - 1), 12)
    inner = split_by_group(
        labels[rest],
        [groups[row] for row in rest.tolist()],
        classes,
        fractions=(round(1 - of_rest, 12), of_rest, 0.0),
        seed=seed,
        minimum=minimum,
    )
    return Split(rest[inner.train], rest[inner.validation], test.astype(np.int64))


def rows_per_group(
    labels: npt.NDArray[np.int64], groups: Sequence[str], n_classes: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the (G, C) rows per group and class, groups by name, and the (n,) number of each row's group."""
    number_of_group = {group: number for number, group in enumerate(sorted(set(groups)))}
    group_of_row = np.fromiter((number_of_group[group] for group in groups), np.int64, len(groups))
    table = np.zeros((len(number_of_group), n_classes), dtype=np.int64)
    np.add.at(table, (group_of_row, labels), 1)
    return table, group_of_row


def rare_classes_advice(least: str = "") -> str:
    """Return what to do about classes that have too few rows, in one sentence that ends a fault's message.

    Parameters
    ----------
    least
        ``" --min-rows K"`` where the option's own bound does not count these classes as rare.
    """
    return (
        f"Give --rare-classes leave-out{least} to study the other classes, --rare-classes merge:NAME{least} to make "
        "one class of these (NAME may be a class that exists), or more rows and groups of them."
    )


def _place(
    table: npt.NDArray[np.int64], fractions: npt.NDArray[np.float64], minimum: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the part of each group, given rows per group and class; the largest groups are placed first."""
    weights = 1.0 / np.maximum(table.sum(axis=0), 1) ** 2
    order = rng.permutation(len(table))
    order = order[np.argsort(-(table[order] * np.sqrt(weights)).sum(axis=1), kind="stable")]
    return _placed(table, _targets(table, fractions, minimum), fractions > 0, order)


def _place_in_random_order(
    table: npt.NDArray[np.int64], fractions: npt.NDArray[np.float64], minimum: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the part of each group, placed in a random order; orders that leave the parts uneven are drawn again."""
    targets, used = _targets(table, fractions, minimum), fractions > 0
    best, closest = np.zeros(len(table), dtype=np.int64), np.inf
    for _ in range(_ORDERS):
        parts = _placed(table, targets, used, rng.permutation(len(table)))
        counts = np.stack([table[parts == part].sum(axis=0) for part in range(1, len(fractions))])
        # A class of few rows cannot come closer than one row.
        off = (np.maximum(np.abs(counts - targets[1:]) - 1, 0) / np.maximum(targets[1:], 1)).max()
        if off < closest:
            best, closest = parts, off
        if closest <= _CLOSE:
            break
    return best


def _targets(
    table: npt.NDArray[np.int64], fractions: npt.NDArray[np.float64], minimum: int
) -> npt.NDArray[np.float64]:
    """Return the (P, C) rows that each part is to have of each class."""
    sizes = table.sum(axis=0)
    targets = fractions[:, None] * sizes[None, :]
    scarce = sizes >= len(fractions) * minimum
    targets[1:, scarce] = np.maximum(targets[1:, scarce], minimum * (fractions > 0)[1:, None])
    targets[0] = sizes - targets[1:].sum(axis=0)
    return np.asarray(targets, dtype=np.float64)


def _placed(
    table: npt.NDArray[np.int64],
    targets: npt.NDArray[np.float64],
    used: npt.NDArray[np.bool_],
    order: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return the part of each group, placed in this order."""
    weights = 1.0 / np.maximum(table.sum(axis=0), 1) ** 2
    counts = np.zeros_like(targets)
    parts = np.zeros(len(table), dtype=np.int64)
    for group in order:
        missing = ((targets - counts) * weights * table[group]).sum(axis=1)
        # Rounding keeps the choice the same on machines that add in another order.
        parts[group] = int(np.argmax(np.where(used, np.round(missing, 12), -np.inf)))
        counts[parts[group]] += table[group]
    return parts


def _class_names(labels: npt.NDArray[np.int64], classes: int | Sequence[str] | None) -> list[str]:
    if classes is None:
        classes = int(labels.max(initial=-1)) + 1
    return [str(index) for index in range(classes)] if isinstance(classes, int) else list(classes)


def _check_input(
    labels: npt.NDArray[np.int64], groups: Sequence[str], fractions: Sequence[float], n_classes: int
) -> None:
    faults = []
    if len(labels) != len(groups):
        faults.append(f"split: {len(labels)} labels but {len(groups)} groups; every row needs one of each.")
    if len(labels) == 0:
        faults.append("split: the corpus has no rows.")
    if len(fractions) != 3 or fractions[0] <= 0 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        faults.append(
            f"split: fractions {tuple(fractions)} must be three shares that add up to 1, of which train is positive."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < n_classes:
        faults.append(
            f"split: labels reach from {labels.min()} to {labels.max()}, expected 0 to {n_classes - 1}."
        )
    if faults:
        raise ConfigurationError(faults)


def _check_parts(
    table: npt.NDArray[np.int64],
    part_of_group: npt.NDArray[np.int64],
    names: Sequence[str],
    minimum: int,
    used: npt.NDArray[np.bool_],
    part_names: Sequence[str] = PARTS,
) -> None:
    short = short_classes(table, part_of_group, minimum, used)
    if not len(short):
        return
    rows, groups = table.sum(axis=0), (table > 0).sum(axis=0)
    servable = servable_parts(table, minimum) >= used.sum()
    order = sorted(short.tolist(), key=lambda index: (rows[index], index))
    described = [class_in_words(names[i], int(rows[i]), int(groups[i])) for i in order]
    parts = [part for part, is_used in zip(part_names, used, strict=True) if is_used]
    # Where a class has enough, but its groups hold other classes too, only its number of rows can make it rare.
    least = f" --min-rows {rows[short].max() + 1}" if servable[short].any() else ""
    raise ConfigurationError(
        f"split: {len(short)} of {len(names)} classes {'has' if len(short) == 1 else 'have'} too few rows or groups "
        f"for {minimum} rows in each of "
        f"{listed(parts)} (rows of one group, near-duplicates and texts that the encoder reads as one are never "
        f"parted): {listed(described)}. "
        f"{rare_classes_advice(least)}"
    )
