"""Your own table, at its natural imbalance unless ratios are given.

Expect about 120 runs on up to 800 rows each (preset ``laptop``): ``--dry-run`` says what that takes with your texts on
your machine, and ``--minutes 30`` makes the study fit. Its ten replicates in the confirmation can show a gain of about
.05 in macro F1 (80 % power, a standard deviation of the paired differences of .04 assumed; the plan of a second launch
knows your own). ``smoke`` takes some minutes and can show nothing.

Command::

    python -m study.launch tabular --data my.csv --text COLUMN --label COLUMN [--group COLUMN] [--split COLUMN]

CSV, TSV, JSON or Parquet, plain or gzip, or ``hf:NAME`` for a Hugging Face data set. Columns go by name, or by
number from 0 (``--text 1 --label 0`` for a table without a header).

Expected result: none is stated, because the corpus is the user's own. One that was tried is SMS spam, 642 of 5,159
messages (``--imbalance-ratio natural --minutes 9``: 11 minutes on an AMD EPYC with two cores, bfloat16, beside other
work; two trials an arm, seven fresh replicates; the page is in ``findings/``): no difference is shown between
pre-finetuning, .966, and tuned vanilla, .968, gain -.002 [-.026, +.022] in macro F1.
"""

from __future__ import annotations

from typing import Any

from study.config.presets import PREFINETUNING, presets

STUDY: dict[str, Any] = {**PREFINETUNING, "corpus": "tabular", "profile": "step"}

PRESETS = presets(
    smoke={"imbalance_ratios": ("natural",)},
    laptop={"imbalance_ratios": ("natural",)},
    cluster={"imbalance_ratios": ("natural",)},
)
