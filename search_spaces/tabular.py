"""Your own table, at its natural imbalance unless ratios are given.

Command::

    python -m study.launch tabular --data my.csv --text COLUMN --label COLUMN [--group COLUMN] [--split COLUMN]

CSV, TSV, JSON or Parquet, plain or gzip, or ``hf:NAME`` for a Hugging Face data set. Columns go by name, or by
number from 0 (``--text 1 --label 0`` for a table without a header).

Expected result: none is stated, because the corpus is the user's own.
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
