"""Row numbers of resampled training sets: oversampled, undersampled, or drawn class by class.

Draws come from a numpy ``Generator``, which imbalanced-learn's samplers do not take.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def oversample(labels: Rows, rng: np.random.Generator) -> Rows:
    """Return all rows, and after them random repetitions that bring every class to n_max.

    Repetitions are drawn with replacement, as in imbalanced-learn's ``RandomOverSampler``. Classes of equal size
    give every row once, in order.

    Parameters
    ----------
    labels
        (n,) class indices.
    rng
        Generator that draws the repetitions.
    """
    counts = np.bincount(labels)
    extra = [
        rng.choice(np.flatnonzero(labels == label), counts.max() - count)
        for label, count in enumerate(counts)
        if 0 < count < counts.max()
    ]
    return np.concatenate([np.arange(len(labels)), *extra])


def undersample(labels: Rows, rng: np.random.Generator) -> Rows:
    """Return n_min rows of every class in order, drawn without replacement.

    As in imbalanced-learn's ``RandomUnderSampler``; n_min is the smallest count of a class that has rows.
    Classes of equal size give every row once.
    """
    counts = np.bincount(labels)
    kept = [
        rng.choice(np.flatnonzero(labels == label), counts[counts > 0].min(), replace=False)
        for label in np.flatnonzero(counts)
    ]
    return np.sort(np.concatenate(kept))


def class_balanced_draws(labels: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Return n rows: for each, a class is drawn uniformly, then a row uniformly from that class.

    References
    ----------
    Kang et al., Decoupling representation and classifier for long-tailed recognition, ICLR 2020, equation 1
    with q = 0.
    """
    counts = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    starts = np.cumsum(counts) - counts
    drawn = rng.choice(np.flatnonzero(counts), n)
    return np.asarray(order[starts[drawn] + rng.integers(counts[drawn])])
