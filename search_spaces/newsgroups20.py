"""20 Newsgroups by date with a long tail of rare classes, twenty classes.

Expect about 120 runs on up to 2,000 posts each (preset ``laptop``, one ratio).
``--dry-run`` says what that takes on your machine, and ``--minutes 60`` makes the study fit. Its ten replicates in the
confirmation can show a gain of about .05 in macro F1 (80 % power, a standard deviation of the paired differences of .04
assumed). ``smoke`` takes some minutes and can show nothing.

Command::

    python -m study.launch newsgroups20 --data 20news-bydate.tar.gz

Counts fall exponentially from the largest class to the smallest; ``--set profile=step`` makes half of the classes
rare instead. Without ``--data`` the published archive is downloaded.

Expected result: to be stated with mean and range over repeats once a confirmation has been run; until then the
study makes no claim.
"""

from __future__ import annotations

from typing import Any

from study.config.presets import PREFINETUNING, presets

STUDY: dict[str, Any] = {**PREFINETUNING, "corpus": "newsgroups20", "profile": "exponential"}

PRESETS = presets(
    smoke={"max_train_rows": 400},
    laptop={"imbalance_ratios": (0.1,), "max_train_rows": 2000, "max_validation_rows": 600},
    cluster={"imbalance_ratios": (0.5, 0.2, 0.1, 0.05, 0.02)},
)
