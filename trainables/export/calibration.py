"""From a classifier's scores to probabilities that hold under a stated class prior.

A classifier's scores are wrong in two ways: they are too sure (Guo et al. 2017), and they carry the class shares of the
rows, or the weights of the loss, that it was trained with. One number for the first, one a class for the second, both
fitted by maximum likelihood on scores of rows that the classifier was not trained on:

    p_v(c | x) = softmax_c(z_c / T + b_c)                   holds under the prior v of those rows
    p_q(c | x) = softmax_c(z_c / T + b_c + log q_c / v_c)   holds under a prior q, if p(x | c) is the same there

With the uniform q this is logit adjustment (Menon et al. 2021) of calibrated scores. All of it is linear in z, so that
it can be folded into the last linear layer: :mod:`trainables.export.folding`.

scikit-learn's temperature scaling (``CalibratedClassifierCV(method="temperature")``) has no b. Where training drew or
weighted the classes, a temperature alone can only blur the scores until the wrong prior hurts less.

References
----------
Alexandari, Kundaje, Shrikumar, Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift
adaptation, ICML 2020, section 3: T and b ("bias-corrected temperature scaling").
Guo et al., On calibration of modern neural networks, ICML 2017: T.
Saerens, Latinne, Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities, Neural Computation
2002, equation 2.4: from v to q.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from trainables.corpora.wording import listed
from trainables.errors import ConfigurationError

# Scores that separate the rows without a fault would be sharpened, and a class without rows shut out, without end.
TEMPERATURES = (0.05, 20.0)
_OFFSET_SPREAD = 3.0  # nats; offsets are fitted as if they were normal around 0 with this standard deviation

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What turns a classifier's logits into those of calibrated probabilities: z / temperature + offsets.

    Attributes
    ----------
    temperature
        T, above 0.
    offsets
        C numbers in nats.
    prior
        The C class shares under which the probabilities hold.
    rows
        Scores that it was fitted on; a row counts once for every replicate that scored it.
    loss_before, loss_after
        Mean negative log-likelihood of those rows, in nats, of the scores as they were and of the calibrated ones;
        both under the class shares of these rows.
    """

    temperature: float
    offsets: tuple[float, ...]
    prior: tuple[float, ...]
    rows: int
    loss_before: float
    loss_after: float

    def apply(self, logits: npt.ArrayLike) -> Floats:
        """Return the (n, C) logits of the calibrated probabilities."""
        return np.asarray(np.asarray(logits, np.float64) / self.temperature + np.asarray(self.offsets))


def calibrate(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], prior: Sequence[float]
) -> Calibration:
    """Fit temperature and class offsets on frozen scores.

    Parameters
    ----------
    logits
        (n, C) of rows that their classifier was not trained on; of several replicates one after the other.
    labels
        (n,) class indices.
    prior
        C class shares of the texts that the model is for, all above 0; they are brought to a sum of 1. Equal ones are
        logit adjustment.

    Raises
    ------
    ValueError
        No scores, scores that are not numbers, or another number of labels or shares.

    Examples
    --------
    >>> logits = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> found = calibrate(logits, np.array([0, 0, 1, 1]), [0.5, 0.5])
    >>> found.temperature > 1, found.loss_after < found.loss_before
    (True, True)
    """
    z = np.asarray(logits, np.float64)
    n, n_classes = z.shape
    if not n or len(labels) != n or len(prior) != n_classes or not np.isfinite(z).all():
        raise ValueError(
            f"{n} finite rows of scores of {n_classes} classes need as many labels ({len(labels)}) and shares "
            f"({len(prior)})"
        )
    truth = np.eye(n_classes)[labels]

    def penalised(x: Floats) -> tuple[float, Floats]:
        """Return the loss of (1/T, b), which is convex, and its gradient."""
        logs = log_softmax(x[0] * z + x[1:], axis=1)
        error = np.exp(logs) - truth
        loss = -(truth * logs).sum() + 0.5 * (x[1:] ** 2).sum() / _OFFSET_SPREAD**2
        gradient = np.concatenate([[(error * z).sum()], error.sum(axis=0) + x[1:] / _OFFSET_SPREAD**2])
        return loss / n, gradient / n

    least, most = TEMPERATURES
    bounds = [(1 / most, 1 / least), *[(None, None)] * n_classes]
    start = np.concatenate([[1.0], np.zeros(n_classes)])
    found = minimize(penalised, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000})
    temperature, offsets = 1 / found.x[0], found.x[1:]
    shares = np.asarray(prior, np.float64) / np.sum(prior)
    # The shares of the rows as the scores now have them: at the optimum they are the labels' own, but for the penalty,
    # which keeps that of a class without rows above 0.
    of_rows = np.exp(log_softmax(z / temperature + offsets, axis=1)).mean(axis=0)
    shifted = offsets + np.log(shares / of_rows)
    return Calibration(
        temperature=float(temperature),
        offsets=tuple((shifted - shifted.mean()).tolist()),
        prior=tuple(shares.tolist()),
        rows=n,
        loss_before=_loss(z, labels),
        loss_after=_loss(z / temperature + offsets, labels),
    )


def prior_faults(given: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """Return why numbers by class can be no class shares, one message each; empty if they can."""
    faults = []
    if missing := [name for name in classes if name not in given]:
        faults.append(f"deployment_prior lacks {listed(missing)}; give a share for every class.")
    if unknown := [name for name in given if name not in classes]:
        faults.append(f"deployment_prior names {listed(unknown)}; the classes are {listed(list(classes))}.")
    wrong = [f"{name} ({share!r:.40})" for name, share in given.items() if not _is_share(share)]
    if wrong:
        faults.append(f"deployment_prior of {listed(wrong)}: a number above 0 was expected.")
    return faults


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < np.inf


def class_shares(
    given: Mapping[str, float] | None, classes: Sequence[str], labels: npt.NDArray[np.int64]
) -> tuple[float, ...]:
    """Return the shares of the classes among the texts that a model is for.

    Parameters
    ----------
    given
        What the user says, by class, in any unit; None takes those of ``labels``.
    classes
        C class names.
    labels
        (n,) class indices of the corpus, each class at least once.

    Raises
    ------
    ConfigurationError
        Naming every class that is missing, unknown, or whose share is not above 0.

    Examples
    --------
    >>> class_shares({"spam": 1, "ham": 3}, ("ham", "spam"), np.array([0, 1]))
    (0.75, 0.25)
    """
    if given is None:
        counts = np.bincount(labels, minlength=len(classes)).astype(np.float64)
        return tuple((counts / counts.sum()).tolist())
    if faults := prior_faults(given, classes):
        raise ConfigurationError(faults)
    total = sum(given.values())
    return tuple(given[name] / total for name in classes)


def _loss(logits: Floats, labels: npt.NDArray[np.int64]) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())
