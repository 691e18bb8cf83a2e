"""Every class's least rows in every part of a split: whether its groups allow them, and the fewest moves to them.

Rows of one group are never parted, so a class can lack rows in a part although it has enough of them: they stand in
too few groups, or in groups that other classes need elsewhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int64]  # (G, C) rows per group and class

# Bounds the search by its own steps and not by time, so that the same corpus gets the same split everywhere.
_SEARCH_NODES = 2000


def servable_parts(table: Table, minimum: int) -> npt.NDArray[np.int64]:
    """Return to how many parts each class can give its least rows, (C,), were it alone in its groups.

    Exact for ``minimum`` up to 2; beyond, an upper bound.

    Examples
    --------
    >>> servable_parts(np.array([[3, 1, 2], [0, 1, 2], [0, 1, 1]]), 2).tolist()
    [1, 1, 2]
    """
    if minimum < 1:
        return np.full(table.shape[1], np.iinfo(np.int64).max)
    small = np.where(table < minimum, table, 0).sum(axis=0)
    return np.asarray((table >= minimum).sum(axis=0) + small // minimum, dtype=np.int64)


def short_classes(table: Table, part_of_group: Table, minimum: int, used: npt.NDArray[np.bool_]) -> Table:
    """Return the classes that have fewer than their least rows in a part that is used."""
    counts = np.stack([table[part_of_group == part].sum(axis=0) for part in np.flatnonzero(used)])
    return np.flatnonzero((counts < minimum).any(axis=0))


def with_least_rows(table: Table, part_of_group: Table, minimum: int, used: npt.NDArray[np.bool_]) -> Table:
    """Return the parts of the groups, changed by the fewest rows such that every class has its least rows everywhere.

    Classes whose groups do not allow it are passed over. Where all others cannot be served together, the parts come
    back as they were.

    Parameters
    ----------
    table
        (G, C) rows per group and class.
    part_of_group
        (G,) part of each group.
    minimum
        Least rows of a class in a part.
    used
        (P,) whether a part is to have rows at all.
    """
    short = short_classes(table, part_of_group, minimum, used)
    possible = np.flatnonzero(servable_parts(table, minimum) >= used.sum())
    short = np.intersect1d(short, possible)
    if not len(short):
        return part_of_group
    # As a rule only groups of the classes that lack rows have to move.
    for movable in (np.flatnonzero(table[:, short].any(axis=1)), np.arange(len(table))):
        moved = _fewest_moves(table[:, possible], part_of_group, movable, minimum, used)
        if moved is not None:
            changed = part_of_group.copy()
            changed[movable] = moved
            return changed
    return part_of_group


def _fewest_moves(
    table: Table, part_of_group: Table, movable: Table, minimum: int, used: npt.NDArray[np.bool_]
) -> Table | None:
    """Return the new parts of the groups that may move, or None where no choice of them serves every class.

    An integer program with one binary variable a group and part.
    """
    from scipy import sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    n_parts = len(used)
    fixed = np.ones(len(table), dtype=bool)
    fixed[movable] = False
    there = np.stack([table[fixed & (part_of_group == part)].sum(axis=0) for part in range(n_parts)], axis=1)
    stays = part_of_group[movable, None] == np.arange(n_parts)
    one_part = sparse.kron(sparse.eye(len(movable)), np.ones((1, n_parts)))
    rows = sparse.kron(sparse.csr_array(table[movable].T), sparse.eye(n_parts))  # (C * P, G * P)
    least = np.where(used, minimum, 0) - there
    # The fraction makes one of several equally good choices the best one, the same everywhere.
    fraction = np.arange(stays.size).reshape(stays.shape) / (2 * stays.size)
    cost = np.where(stays, 0, table[movable].sum(axis=1)[:, None] + fraction)
    found = milp(
        cost.ravel(),
        integrality=1,
        bounds=Bounds(0, np.tile(used.astype(float), len(movable))),
        constraints=[LinearConstraint(one_part, 1, 1), LinearConstraint(rows, least.ravel(), np.inf)],
        options={"node_limit": _SEARCH_NODES, "mip_rel_gap": 0.0},
    )
    return (
        None if found.x is None else np.asarray(found.x.reshape(stays.shape).argmax(axis=1), dtype=np.int64)
    )
