"""Losses on logits, and the class weights and margins that they use.

A loss is :func:`cross_entropy` or a value whose ``repr`` says all that it computes, so that it can be part of a cache
key. :data:`LOSSES` holds each under the name that the table of arms uses. A step takes the plain mean of its texts'
losses, weighted or not, so that micro-batches and workers add up to the whole batch;
``torch.nn.CrossEntropyLoss(weight=…)`` divides by the batch's sum of weights instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from trainables.priors import positive_counts
from trainables.settings import TrialSettings

# Takes (b, C) float32 logits, (b,) int64 labels, and how much of the stage is done, step / steps in [0, 1); returns the
# (b,) loss of each row. A step takes their mean.
Loss = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]

# Below this, (1 - p)^γ is taken as constant: its slope is infinite at p = 1 for γ < 1.
_LEAST_ERROR = 1e-6

LDAM_SCALE = 30.0  # s, and the start and β of deferred re-weighting, as in the code of Cao et al. 2019
_LDAM_DEFERRED_FROM = 0.8
_LDAM_BETA = 0.9999


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, progress: float = 0.0) -> torch.Tensor:
    """Return the (b,) negative log-likelihood of each row, from (b, C) logits and (b,) labels."""
    return F.cross_entropy(logits, labels, reduction="none")


@dataclass(frozen=True)
class MaskedTokenLoss:
    """-log p(token | the text without it) of hidden tokens: masked-language training instead of classification.

    Attributes
    ----------
    rate
        Share of the tokens that are asked for, see :func:`trainables.texts.masking.mask_tokens`.

    References
    ----------
    Devlin et al., BERT, NAACL 2019, section 3.1.
    """

    rate: float

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor, progress: float) -> torch.Tensor:
        """Return the (m,) losses of (m, V) logits of hidden tokens and the (m,) tokens."""
        return cross_entropy(logits, labels)


@dataclass(frozen=True)
class LogitAdjusted:
    """-log softmax(z + o)_y: cross-entropy of logits with an offset per class.

    Attributes
    ----------
    offsets
        C numbers, see :func:`prior_offsets`.

    References
    ----------
    Menon et al., Long-tail learning via logit adjustment, ICLR 2021, equation 10. With offsets log n_c it is
    balanced softmax: Ren et al., Balanced meta-softmax for long-tailed visual recognition, NeurIPS 2020, equation 4.
    """

    offsets: tuple[float, ...]

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor, progress: float) -> torch.Tensor:
        """Return the (b,) losses."""
        return cross_entropy(logits + _like(logits, self.offsets), labels)


@dataclass(frozen=True)
class Weighted:
    """w_y · CE.

    Attributes
    ----------
    weights
        C class weights, see :func:`inverse_frequency_weights` and :func:`effective_number_weights`.
    """

    weights: tuple[float, ...]

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor, progress: float) -> torch.Tensor:
        """Return the (b,) losses."""
        return cross_entropy(logits, labels) * _like(logits, self.weights)[labels]


@dataclass(frozen=True)
class Focal:
    """-(1 - p_y)^γ · log p_y, with p = softmax(z) and no class weights.

    Attributes
    ----------
    gamma
        γ >= 0; 0 is cross-entropy.

    References
    ----------
    Lin et al., Focal loss for dense object detection, ICCV 2017, equation 4.
    """

    gamma: float

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor, progress: float) -> torch.Tensor:
        """Return the (b,) losses."""
        nll = cross_entropy(logits, labels)
        error = -torch.expm1(-nll)  # 1 - p_y without cancellation
        return error.clamp(min=_LEAST_ERROR) ** self.gamma * nll


@dataclass(frozen=True)
class Ldam:
    """w_y · CE of logits s·cos less the margin of the row's own class: -w_y · log softmax(z - s·Δ_y·e_y)_y.

    Attributes
    ----------
    margins
        C margins Δ_c, see :func:`ldam_margins`.
    scale
        The factor s that the logits already contain (:class:`trainables.model.output_layer.NormalisedLinear`); 1 for
        plain logits.
    weights
        C class weights.
    weights_from
        Share of the stage after which the weights apply (deferred re-weighting); before it they are 1.

    References
    ----------
    Cao et al., Learning imbalanced datasets with label-distribution-aware margin loss, NeurIPS 2019, section 3.3
    (the loss) and section 3.4 with algorithm 1 (deferred re-weighting); the scale is that of the authors' code.
    """

    margins: tuple[float, ...]
    scale: float
    weights: tuple[float, ...]
    weights_from: float

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor, progress: float) -> torch.Tensor:
        """Return the (b,) losses."""
        margins = self.scale * _like(logits, self.margins)[labels]
        losses = cross_entropy(logits.scatter_add(1, labels[:, None], -margins[:, None]), labels)
        return losses * _like(logits, self.weights)[labels] if progress >= self.weights_from else losses


def inverse_frequency_weights(counts: npt.ArrayLike, power: float = 1.0) -> tuple[float, ...]:
    """Return w_c ∝ 1 / n_c^p with Σw = C, from (C,) class counts.

    References
    ----------
    p = 1 and p = 1/2 are what Cui et al., CVPR 2019, section 4, compare with.
    """
    return _sum_to_classes(positive_counts(counts) ** -power)


def effective_number_weights(counts: npt.ArrayLike, beta: float) -> tuple[float, ...]:
    """Return w_c ∝ (1 - β) / (1 - β^n_c) with Σw = C: one over the effective number of rows.

    Parameters
    ----------
    counts
        (C,) rows per class.
    beta
        β in [0, 1); 0 weights all classes alike, and as β → 1 the weights approach those by 1 / n_c.

    References
    ----------
    Cui et al., Class-balanced loss based on effective number of samples, CVPR 2019, proposition 1 (the effective
    number) and section 4 (the loss and its normalisation).
    """
    if not 0.0 <= beta < 1.0:
        raise ValueError(f"beta is {beta}; expected a number in [0, 1)")
    counts = positive_counts(counts)
    if beta == 0.0:
        return _sum_to_classes(np.ones_like(counts))
    return _sum_to_classes((1.0 - beta) / -np.expm1(counts * np.log(beta)))


def ldam_margins(counts: npt.ArrayLike, largest: float = 0.5) -> tuple[float, ...]:
    """Return Δ_c = largest · (n_c / n_min)^(-1/4), from (C,) class counts.

    References
    ----------
    Cao et al., NeurIPS 2019, section 3.3 (Δ_c ∝ n_c^(-1/4)); the largest margin .5 is that of the authors' code.
    """
    counts = positive_counts(counts)
    return tuple((largest * (counts / counts.min()) ** -0.25).tolist())


def prior_offsets(counts: npt.ArrayLike, tau: float = 1.0) -> tuple[float, ...]:
    """Return τ·log(n_c / n_max) of (C,) class counts.

    That is τ·log π_c up to a constant, which softmax ignores; equal counts give exact zeros.
    """
    counts = positive_counts(counts)
    return tuple((tau * np.log(counts / counts.max())).tolist())


def _sum_to_classes(weights: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple((weights * (len(weights) / weights.sum())).tolist())


def _like(logits: torch.Tensor, values: tuple[float, ...]) -> torch.Tensor:
    return _constant(values, logits.dtype, logits.device)


@lru_cache(maxsize=16)
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return some numbers as a tensor, made once: on a GPU each step would wait for its copy. Nobody writes it."""
    with torch.inference_mode(False):  # training could not use what was made in that mode
        return torch.tensor(values, dtype=dtype, device=device)


Counts = npt.NDArray[np.int64]  # (C,) rows per class of the replicate

LOSSES: Mapping[str, Callable[[Counts, TrialSettings], Loss]] = {
    "cross_entropy": lambda counts, trial: cross_entropy,
    "masked_tokens": lambda counts, trial: MaskedTokenLoss(trial.masking_rate),
    "logit_adjusted": lambda counts, trial: LogitAdjusted(prior_offsets(counts, trial.tau)),
    "inverse_frequency": lambda counts, trial: Weighted(
        inverse_frequency_weights(counts, trial.weight_power)
    ),
    "effective_number": lambda counts, trial: Weighted(effective_number_weights(counts, trial.beta)),
    "focal": lambda counts, trial: Focal(trial.gamma),
    "deferred_ldam": lambda counts, trial: Ldam(
        ldam_margins(counts), LDAM_SCALE, effective_number_weights(counts, _LDAM_BETA), _LDAM_DEFERRED_FROM
    ),
    # Stage 2 goes on with the same head under cross-entropy, so the logits are plain ones: scale 1.
    "weighted_ldam": lambda counts, trial: Ldam(
        ldam_margins(counts), 1.0, effective_number_weights(counts, trial.beta), 0.0
    ),
}
