"""Metrics of a classifier on one evaluation set, computed from its logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from trainables.corpora.imbalance import ranked

CALIBRATION_BINS = 15


def evaluate(
    logits: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
    majority_first: Sequence[int] | None = None,
) -> dict[str, float]:
    """Score logits against labels.

    Where a metric would be 0/0: precision and F1 of a class that is never predicted are 0; a class that the labels
    lack enters no mean and has no metrics of its own; MCC is 0 where one side is constant, and micro-F1 where its
    classes have neither rows nor predictions (scikit-learn's convention).

    Parameters
    ----------
    logits
        (n, C), n >= 1.
    labels
        (n,) indices into ``classes``.
    classes
        C names.
    majority_first
        (C,) class indices from the majority to the minority, as a draw ranks them in the training part, see
        :func:`trainables.corpora.imbalance.ranked`: an evaluation set may have been balanced. By default the classes
        are ranked by their rows in ``labels``.

    Returns
    -------
    ``macro_f1``, ``balanced_accuracy`` (mean recall), ``accuracy``, ``mcc``; ``minority_auprc`` (average precision
    of the minority, scored by its probability; the minority is the last of ``majority_first`` that ``labels`` hold);
    ``micro_f1_minority`` (see :func:`micro_f1_minority`); ``ece`` (expected calibration error of the top label, 15 bins
    of equal width, Guo et al. 2017); ``brier`` (sum over classes of the squared error, mean over rows, in [0, 2]);
    ``nll`` (nats per row); and ``recall/<class>``, ``precision/<class>``, ``f1/<class>``.
    """
    # It takes two seconds to load; whoever only draws rows should not wait for it.
    from sklearn.metrics import average_precision_score

    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    p = np.exp(log_p)
    predicted = p.argmax(axis=1)
    support = np.bincount(labels, minlength=len(classes)).tolist()
    order = ranked(support) if majority_first is None else list(majority_first)
    minority = [c for c in order if support[c]][-1]
    truth = np.zeros_like(p)
    truth[np.arange(len(labels)), labels] = 1.0

    scores = {
        "minority_auprc": average_precision_score(labels == minority, p[:, minority]),
        "ece": expected_calibration_error(p.max(axis=1), predicted == labels),
        "brier": ((p - truth) ** 2).sum(axis=1).mean(),
        "nll": -log_p[np.arange(len(labels)), labels].mean(),
    }
    return evaluate_decisions(predicted, labels, classes, order[0]) | {
        name: float(value) for name, value in scores.items()
    }


def evaluate_decisions(
    predicted: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], classes: Sequence[str], majority: int
) -> dict[str, float]:
    """Return those metrics of :func:`evaluate` that hang on the predicted classes alone, under the same names.

    Parameters
    ----------
    predicted, labels
        (n,) class indices, n >= 1.
    classes
        C names.
    majority
        Index of the majority.
    """
    from sklearn.metrics import matthews_corrcoef

    n_classes = len(classes)
    support = np.bincount(labels, minlength=n_classes)
    present = np.flatnonzero(support)
    hits = np.bincount(labels[predicted == labels], minlength=n_classes)
    recall = hits / np.maximum(support, 1)
    precision = hits / np.maximum(np.bincount(predicted, minlength=n_classes), 1)
    f1 = 2 * hits / np.maximum(support + np.bincount(predicted, minlength=n_classes), 1)
    scores = {
        "macro_f1": f1[present].mean(),
        "balanced_accuracy": recall[present].mean(),
        "accuracy": hits.sum() / len(labels),
        "mcc": matthews_corrcoef(labels, predicted),
        "micro_f1_minority": micro_f1_minority(labels, predicted, n_classes, majority),
    }
    for c in present.tolist():
        scores[f"recall/{classes[c]}"] = recall[c]
        scores[f"precision/{classes[c]}"] = precision[c]
        scores[f"f1/{classes[c]}"] = f1[c]
    return {name: float(value) for name, value in scores.items()}


def micro_f1_minority(
    labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], n_classes: int, majority: int
) -> float:
    """Return the micro-F1 of the non-majority classes; with two classes that of both, which equals accuracy.

    ``2·TP / (2·TP + FP + FN)``, with the true positives, false positives and false negatives of all classes except the
    majority added up first. So what the majority takes from the others counts as missed, what they take from it as
    false, and what it gets right does not count. 0 where these classes have neither rows nor predictions.

    Under the profile ``step`` several classes are as large as the largest; still only one is left out.

    Parameters
    ----------
    labels, predicted
        (n,) class indices.
    n_classes
        Number of classes C.
    majority
        Index of the majority.

    References
    ----------
    Shi et al., Improving Imbalanced Learning by Pre-finetuning with Data Augmentation, PMLR 183, 2022: the metric of
    its multi-class tables; for two classes it gives micro-F1 and the F1 of each class.

    Examples
    --------
    >>> micro_f1_minority(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3, majority=0)
    0.5
    """
    counted = np.ones(n_classes, dtype=np.bool_)
    if n_classes > 2:
        counted[majority] = False
    hits = int((counted[labels] & (labels == predicted)).sum())
    # Every row of these classes is a true positive or a false negative, every prediction a true or a false positive.
    both = int(counted[labels].sum() + counted[predicted].sum())
    return 2 * hits / both if both else 0.0


def expected_calibration_error(
    confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], bins: int = CALIBRATION_BINS
) -> float:
    """Return Σ_b (n_b / n)·|accuracy_b - confidence_b| over bins of equal width in (0, 1].

    Parameters
    ----------
    confidence
        (n,) probability of the predicted class.
    correct
        (n,) whether the prediction was right.

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    index = calibration_bin(confidence, bins)
    gap = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def calibration_bin(
    confidence: npt.NDArray[np.float64], bins: int = CALIBRATION_BINS
) -> npt.NDArray[np.int64]:
    """Return the bin of each probability, (n,), among bins of equal width in (0, 1]."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
