"""Lengths that a stage may have in a study, in epochs and in optimizer steps."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.texts.batching import steps_of


@dataclass(frozen=True)
class StageLengths:
    """Lengths of one stage that the trials of a study may ask for.

    Attributes
    ----------
    epochs, steps
        The lengths given in epochs, and those given in steps.
    """

    epochs: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.epochs) + len(self.steps)

    def in_steps(self, n_rows: int, batch_size: int) -> set[int]:
        """Return all lengths in optimizer steps; with ``n_rows`` rows, some of them may coincide."""
        return {*self.steps, *(steps_of(n_rows, batch_size, length) for length in self.epochs)}


NO_LENGTHS = StageLengths()
