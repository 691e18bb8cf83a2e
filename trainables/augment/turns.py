"""Operators with several ways of making an augmentation, at which the augmentations of a text take turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from trainables.augment.operator import Operator


@runtime_checkable
class TakesTurns(Protocol):
    """An operator that lets the augmentations of a text take turns at several ways of making one."""

    def augment_copies(self, texts: Sequence[str], seeds: Sequence[int], numbers: Sequence[int]) -> list[str]:
        """Return one augmentation per text; element i depends on text, seed and number i alone."""
        ...


def augment_copies(
    operator: Operator, texts: Sequence[str], seeds: Sequence[int], numbers: Sequence[int]
) -> list[str]:
    """Return one augmentation per text.

    Parameters
    ----------
    operator
        What augments.
    texts, seeds
        As many of both.
    numbers
        How many augmentations of the same text came before each, for operators that take turns
        (:class:`TakesTurns`): one more is another way.
    """
    if isinstance(operator, TakesTurns):
        return operator.augment_copies(texts, seeds, numbers)
    return operator.augment_batch(texts, seeds)
