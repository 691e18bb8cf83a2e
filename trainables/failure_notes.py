"""Why a group of workers failed its trial, told to the group that is started after it.

A worker that fails alone cannot report it: a report waits for all workers, and the others may wait for this one in
the middle of a sum. So it raises, which ends the whole group, and leaves its reason in a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import TrialFailed
from trainables.world import World


@dataclass(frozen=True)
class FailureNotes:
    """Why a group of workers failed its trial, told to the group that Ray Train starts after it.

    Attributes
    ----------
    folder
        Where the notes lie, seen by every node.
    world
        The workers of this group.
    """

    folder: Path
    world: World

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write down why the trial fails within the block."""
        try:
            yield
        except TrialFailed as error:
            self.folder.mkdir(parents=True, exist_ok=True)
            # The group may be ended at any moment, but nothing half-written is ever read.
            writing = self.folder / f".{self.world.rank}"
            writing.write_text(str(error), encoding="utf-8")
            writing.replace(self.folder / f"{self.world.rank}.txt")
            raise

    def take(self) -> str:
        """Return what the workers before wrote down, the same to all workers, and remove it; else an empty text."""
        notes = sorted(self.folder.glob("*.txt")) if self.world.rank == 0 else []
        found = dict.fromkeys(note.read_text(encoding="utf-8") for note in notes)
        for note in notes:
            note.unlink()
        return str(self.world.gather("; ".join(found))[0])
