"""TREC questions by the kind of answer: six classes, one of them naturally rare (86 of 5,452).

Command::

    python -m study.launch trec --data FOLDER

At imposed ratios half of the classes are rare; ``--set profile=exponential`` makes a long tail instead. Without
``--data`` the published files are downloaded.

Expected result: to be stated with mean and range over repeats once a confirmation has been run; until then the
study makes no claim.
"""

from __future__ import annotations

from typing import Any

from study.config.presets import PREFINETUNING, presets

STUDY: dict[str, Any] = {**PREFINETUNING, "corpus": "trec", "profile": "step"}

PRESETS = presets(
    laptop={"max_length": 48},
    cluster={"max_length": 64, "imbalance_ratios": ("natural", 0.5, 0.2, 0.1, 0.05)},
)
