"""Class priors of the training rows, and the adjustment of logits by them that needs no training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def log_priors(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return log π_c = log(n_c / N) of (C,) class counts; every count must be positive."""
    counts = positive_counts(counts)
    return np.asarray(np.log(counts / counts.sum()))


def adjust_logits(
    logits: npt.NDArray[np.float32], counts: npt.ArrayLike, tau: float = 1.0
) -> npt.NDArray[np.float32]:
    """Return z_c - τ·log π_c: post-hoc logit adjustment.

    Parameters
    ----------
    logits
        (n, C) of a model trained with cross-entropy on the imbalanced rows.
    counts
        (C,) rows per class in that training set.
    tau
        Strength; 1 is consistent for the balanced error.

    References
    ----------
    Menon et al., Long-tail learning via logit adjustment, ICLR 2021, equation 9.
    """
    return (logits - tau * log_priors(counts)).astype(np.float32)


def positive_counts(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return (C,) class counts, each of which must be positive."""
    counts = np.asarray(counts, dtype=np.float64)
    if (counts <= 0).any():
        raise ValueError(f"every class needs a row; the counts are {counts.tolist()}")
    return counts
