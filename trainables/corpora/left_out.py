"""Rows of a source that are not taken: how many for which reason, and where the first of each stands."""

from __future__ import annotations

from collections import Counter


class LeftOut(Counter[str]):
    """Rows by the reason for which they are not taken.

    Attributes
    ----------
    first
        Reason to the place of the first such row, where one was told.

    Examples
    --------
    >>> left_out = LeftOut()
    >>> left_out.add("no label", "my.csv:7")
    >>> left_out.sentence(taken=9)
    '1 of 10 rows was left out (no label: 1, the first at my.csv:7).'
    """

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, str] = {}

    def add(self, reason: str, where: str) -> None:
        """Count one row."""
        self[reason] += 1
        self.first.setdefault(reason, where)

    def sentence(self, taken: int) -> str:
        """Return what was left out, beside the rows that were taken; empty where nothing was."""
        total = self.total()
        if not total:
            return ""
        reasons = "; ".join(
            f"{reason}: {n}" + (f", the first at {self.first[reason]}" if reason in self.first else "")
            for reason, n in self.most_common()
            if n
        )
        return f"{total} of {taken + total} rows {'was' if total == 1 else 'were'} left out ({reasons})."
