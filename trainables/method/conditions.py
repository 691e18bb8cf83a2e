"""Settings that a configuration does not read because of another of its values.

:func:`trainables.method.arms.settings_of` says what an arm reads at all. Of that, a value can leave others without
effect: where stage 1's rows are repeated, no operator touches them. Two configurations that differ in nothing else are
one and the same training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from trainables.settings import TrialSettings, augments


class Condition(NamedTuple):
    """Settings that are read only under some values of another one.

    Attributes
    ----------
    names
        The settings.
    decided_by
        The other one.
    reads
        Whether they are read under a value of it.
    """

    names: tuple[str, ...]
    decided_by: str
    reads: Callable[[Any], bool]


_DEFAULTS = vars(TrialSettings())
# A new condition goes here, and its law into tests/trainables/test_sampled_values.py.
CONDITIONS = (
    Condition(("operator", "strength"), "stage1_data", augments),
    Condition(("stage1_rows_per_class",), "stage1_data", lambda recipe: recipe.endswith("_equal")),
    Condition(("stage1_epochs",), "stage1_steps", lambda steps: steps is None),
    Condition(("stage2_epochs",), "stage2_steps", lambda steps: steps is None),
)


def unread_settings(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the settings that cannot change anything beside these values; one that is not given has its default.

    Examples
    --------
    >>> sorted(unread_settings({"stage1_data": "duplicated_balanced"}))
    ['operator', 'stage1_rows_per_class', 'strength']
    >>> sorted(unread_settings({"stage1_data": "augmented_equal", "stage2_steps": 100}))
    ['stage2_epochs']
    """
    return frozenset(
        name
        for condition in CONDITIONS
        for name in condition.names
        if not condition.reads(values.get(condition.decided_by, _DEFAULTS[condition.decided_by]))
    )
