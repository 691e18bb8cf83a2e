"""SST-2 with one class made rare, two classes: the setting of Hu et al. 2019, "Learning Data Manipulation".

Expect about 120 runs (preset ``laptop``, 50:1000) that train on 470,000 rows: ``--dry-run`` says what that takes on
your machine, and ``--minutes 30`` makes the study fit. Its ten replicates in the confirmation can show a gain of about
.05 in macro F1 (80 % power, a standard deviation of the paired differences of .04 assumed; so few rare rows may well
spread more, which the plan of a second launch knows). ``smoke`` takes some minutes and can show nothing.

Command::

    python -m study.launch sst2 --data FOLDER --counts 20:1000 50:1000 100:1000 --validation-per-class 10

Whole sentences: 20, 50 or 100 negative ones against 1,000 positive, a balanced validation set of 10 per class and the
test set of 1,821. ``--option units=phrases`` takes GLUE's 67,349 phrases instead. Without ``--data`` the published
files are downloaded.

Expected result: to be stated with mean and range over repeats once a confirmation has been run; until then the
study makes no claim.
"""

from __future__ import annotations

from typing import Any

from study.config.presets import PREFINETUNING, presets

STUDY: dict[str, Any] = {**PREFINETUNING, "corpus": "sst2", "profile": "step"}

PRESETS = presets(
    laptop={"imbalance_ratios": (0.05,), "n_max": 1000, "max_train_rows": None},
    cluster={
        "max_length": 64,
        "imbalance_ratios": (0.02, 0.05, 0.1),
        "n_max": 1000,
        "validation_per_class": 10,
    },
)
