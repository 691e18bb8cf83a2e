"""Which settings of a search mattered, as the launch estimated it at its end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from study.record.folder import StudyFolder
from trainables.errors import ConfigurationError


@dataclass(frozen=True)
class WhatMattered:
    """One imbalance ratio.

    Attributes
    ----------
    ratio
        The imbalance ratio.
    trials
        On how many scored trials it rests.
    shares
        Share of the variance of the gains that each setting explains on its own, the largest first.
    """

    ratio: float | str
    trials: int
    shares: dict[str, float]


def load_what_mattered(study: Path) -> list[WhatMattered]:
    """Read what the last launch found; nothing where it had too few trials, or has not ended yet.

    Parameters
    ----------
    study
        The study's folder.

    Raises
    ------
    ConfigurationError
        The file is damaged.
    """
    path = StudyFolder(study.parent, study.name).importances
    if not path.exists():
        return []
    try:
        return [
            WhatMattered(found["imbalance_ratio"], int(found["trials"]), dict(found["importances"]))
            for found in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is damaged ({error}). Delete it: the next launch of the study writes it anew."
        ) from None
