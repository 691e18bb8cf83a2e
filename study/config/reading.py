"""Which of a space's settings are read beside which of its values, see :mod:`trainables.method.conditions`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from study.config.ranges import Axis
from trainables.method.conditions import CONDITIONS, unread_settings


def beside(fixed: Mapping[str, Any], space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fixed values that stand beside a space's: steps do not, where it searches the epochs."""
    lengths = {f"{stage}_steps": f"{stage}_epochs" for stage in ("stage1", "stage2")}
    return {name: value for name, value in fixed.items() if lengths.get(name) not in space}


def unread_by_values(
    space: Mapping[str, Axis], fixed: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], frozenset[str]]]:
    """Go through the values that decide what else is read, each with the settings that change nothing beside it.

    Parameters
    ----------
    space
        The searched settings.
    fixed
        The values that stand beside them.

    Examples
    --------
    >>> space = {"stage1_data": ("augmented_equal", "duplicated_equal"), "strength": (0.1, 0.2)}
    >>> [(list(values.values()), "strength" in unread) for values, unread in unread_by_values(space, {})]
    [(['augmented_equal'], False), (['duplicated_equal'], True)]
    """
    deciding = {condition.decided_by for condition in CONDITIONS}
    lists = {name: axis for name, axis in space.items() if name in deciding and isinstance(axis, tuple)}
    for chosen in itertools.product(*lists.values()):
        values = dict(zip(lists, chosen, strict=True))
        yield values, unread_settings({**fixed, **values})


def never_read(space: Mapping[str, Axis], fixed: Mapping[str, Any]) -> frozenset[str]:
    """Return the settings that change nothing in any configuration of a space."""
    return frozenset.intersection(*(unread for _, unread in unread_by_values(space, fixed)))
