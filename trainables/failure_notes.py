"""Notes on why a group of workers failed its trial, for the group that is started after it.

A worker that fails alone cannot report it: a report waits for all workers, and the others may be waiting for this one
in the middle of a sum. So it raises, which ends the whole group, and leaves its reason in a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import TrialFailed
from trainables.world import World


@dataclass(frozen=True)
class FailureNotes:
    """Notes on why a group of workers failed its trial, for the group that Ray Train starts after it.

    Attributes
    ----------
    folder
        Folder of the notes, visible to every node.
    world
        The workers of this group.
    """

    folder: Path
    world: World

    @contextmanager
    def kept(self) -> Iterator[None]:
        """If the trial fails within the block, write down why."""
        try:
            yield
        except TrialFailed as error:
            self.folder.mkdir(parents=True, exist_ok=True)
            # The group may be ended at any moment, but nothing half-written is ever read.
            writing = self.folder / f".{self.world.rank}"
            note = {"message": str(error), "can_pass": error.can_pass}
            writing.write_text(json.dumps(note), encoding="utf-8")
            writing.replace(self.folder / f"{self.world.rank}.json")
            raise

    def take(self) -> TrialFailed | None:
        """Return why the earlier workers failed, and remove their notes; None if there are none.

        Every worker gets the same answer. If several failed, the failure can pass only if all their causes can.
        """
        files = sorted(self.folder.glob("*.json")) if self.world.rank == 0 else []
        notes = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        for file in files:
            file.unlink()
        notes = self.world.gather(notes)[0]
        if not notes:
            return None
        messages = dict.fromkeys(note["message"] for note in notes)
        return TrialFailed("; ".join(messages), can_pass=all(note["can_pass"] for note in notes))
