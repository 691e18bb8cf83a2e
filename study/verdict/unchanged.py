"""How many augmentations came back as the very text they were made from, as stage 1 really trained on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from study.record.ledger import TrialRecord

_WORTH_SAYING = 0.1


@dataclass(frozen=True)
class Unchanged:
    """Augmentations of one operator, over all replicates that used it.

    Attributes
    ----------
    made
        Texts that the operator was asked to change.
    unchanged
        Those of them that equal their source.
    """

    made: int
    unchanged: int

    @property
    def share(self) -> float:
        """Share of the texts that equal their source."""
        return self.unchanged / self.made


def unchanged_by_operator(trials: Iterable[TrialRecord]) -> dict[str, Unchanged]:
    """Return the operators in the order of their names; replicates of a version that did not count are left out."""
    made: dict[str, int] = {}
    unchanged: dict[str, int] = {}
    for trial in trials:
        operator = str(trial.config.get("operator"))
        for replicate in trial.replicates.values():
            if n := round(replicate.diagnostics.get("augmentations_made", 0.0)):
                made[operator] = made.get(operator, 0) + n
                same = round(replicate.diagnostics["augmentations_unchanged"])
                unchanged[operator] = unchanged.get(operator, 0) + same
    return {operator: Unchanged(made[operator], unchanged[operator]) for operator in sorted(made)}


def unchanged_sentence(trials: Iterable[TrialRecord]) -> str:
    """Name the operators that often returned a text as it was; empty where none did."""
    often = {name: f for name, f in unchanged_by_operator(trials).items() if f.share >= _WORTH_SAYING}
    if not often:
        return ""
    listed = ", ".join(
        f"{name} {100 * found.share:.0f} % ({found.unchanged:,} of {found.made:,})"
        for name, found in often.items()
    )
    return (
        f"Augmentations that equal their source text, since the operator found no word to change: {listed}. Trials of "
        "such an operator mostly duplicate texts; languages without spaces between words need one that rewrites texts "
        "(paraphrase, or back_translation with models of that language)."
    )
