"""Scores of made-up runs: as good as is asked for, on the same test texts."""

from __future__ import annotations

import numpy as np

from trainables.scores import RunScores

LABELS = np.random.default_rng(3).choice(4, size=160, p=[0.4, 0.1, 0.2, 0.3])


def made_up_run(strength: float, seed: int, labels=LABELS, n_classes: int = 4) -> RunScores:
    """Return a run whose logits favour the true class by ``strength``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(labels), n_classes)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += strength
    values = {
        "validation": logits[:40],
        "validation_labels": labels[:40],
        "test": logits,
        "test_labels": labels,
        "test_groups": np.arange(len(labels)) // 4,
        "balanced": np.arange(4),
        "offsets": np.zeros(n_classes),
        "drawn": np.full(n_classes, 10),
        "order": np.arange(n_classes),
    }
    return RunScores(**{name: values[name] for name in RunScores.__dataclass_fields__})


def made_up_runs(strength: float, n: int = 5) -> list[RunScores]:
    """Return the runs of several replicates."""
    return [made_up_run(strength, seed) for seed in range(n)]
