"""What a run said of every text that it was scored on, kept beside the study so that figures can be computed anew.

Metrics of a ledger are sums over rows. How far they would move on other test texts, what a precision-recall curve
looks like, and which temperature calibrates a model hang on the rows themselves.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.errors import StudyStopped
from trainables.priors import adjust_logits

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RunScores:
    """The logits of one replicate of one arm.

    Attributes
    ----------
    validation, test
        (v, C) and (t, C) logits of the validation and test rows.
    validation_labels, test_labels
        (v,) and (t,) class indices.
    test_groups
        (t,) number of the group of each test row: rows of one group stand or fall together.
    balanced
        Indices of the test rows that make the balanced test set.
    offsets
        (C,) class offsets fitted on validation, to be added to the logits.
    drawn
        (C,) training rows of each class.
    order
        (C,) classes from the majority to the minority.
    """

    validation: Floats
    validation_labels: Ints
    test: Floats
    test_labels: Ints
    test_groups: Ints
    balanced: Ints
    offsets: npt.NDArray[np.float64]
    drawn: Ints
    order: Ints

    def adjusted(self) -> RunScores:
        """Return the same run after post-hoc logit adjustment (Menon et al. 2021, eq. 9).

        Its class offsets are what is left to add: with them, it predicts what the unadjusted run does with its own.
        """
        shift = adjust_logits(np.zeros((1, len(self.drawn)), dtype=np.float32), self.drawn)[0]
        return replace(
            self,
            offsets=self.offsets - shift,
            validation=adjust_logits(self.validation, self.drawn),
            test=adjust_logits(self.test, self.drawn),
        )

    def save(self, path: Path) -> None:
        """Write the scores so that a reader sees all of them or no file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.writing-{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                np.savez_compressed(file, **asdict(self))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> RunScores:
        """Read the scores of a run.

        Raises
        ------
        StudyStopped
            The file is missing or damaged.
        """
        try:
            with np.load(path) as found:
                return cls(**{name: found[name] for name in cls.__dataclass_fields__})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StudyStopped(
                f"{path}: the scores of a confirmed run cannot be read ({error}). The verdict rests on them: put the "
                "file back, or start over with --fresh."
            ) from None


def scores_path(folder: Path, trial_id: str, replicate: int) -> Path:
    """Return where the scores of a run lie in a folder of them."""
    return folder / f"{trial_id}-{replicate}.npz"
