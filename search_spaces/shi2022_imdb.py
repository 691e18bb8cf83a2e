"""Shi et al. 2022 on movie reviews: 12,500 positive and 1,250 negative ones, two classes.

Command::

    python -m study.launch shi2022_imdb --data aclImdb_v1.tar.gz
"""

from __future__ import annotations

from typing import Any

from study.config.presets import ON_GPUS
from study.config.published import FEW_SCORED, as_published, on_small_draws, smoke

STUDY: dict[str, Any] = {
    **as_published(batch_size=8, epochs=3.0, paper_epochs=2.0),
    "corpus": "imdb",
    "profile": "step",
    "class_order": ("positive", "negative"),
    "keep_short_classes": True,  # of the positive ones, the validation part takes some
    "n_max": 12500,
    "imbalance_ratios": (0.1,),
    "test_sets": ("test", "test_skewed"),
    "max_length": 512,
}

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {**smoke(STUDY), "n_max": 100},
    "laptop": {**on_small_draws(STUDY), "max_length": 128, "n_max": 400, **FEW_SCORED},
    "cluster": ON_GPUS,
}
