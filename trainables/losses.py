"""Losses on logits, and the adjustment of logits by the class prior."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

# (b, C) float32 logits and (b,) int64 labels to the (b,) loss of each row; a step takes their mean.
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the (b,) negative log-likelihood of each row, from (b, C) logits and (b,) labels."""
    return F.cross_entropy(logits, labels, reduction="none")


def log_priors(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return log π_c = log(n_c / N) of (C,) class counts; every count must be positive."""
    counts = np.asarray(counts, dtype=np.float64)
    if (counts <= 0).any():
        raise ValueError(f"every class needs a row to have a prior; counts are {counts.tolist()}")
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
