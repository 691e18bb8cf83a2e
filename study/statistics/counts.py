"""Predictions as counts by replicate and group: from these a metric is computed anew for any choice of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.statistics.differences import Floats

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GroupCounts:
    """What a metric of the form ``mean over k of 2 · hits_k / both_k`` adds up, by replicate and group of test rows.

    F1 of a class is one such term: its true positives over the sum of its rows and its predictions.

    Attributes
    ----------
    hits, both
        (R, G, K) for R replicates, G groups and K terms.
    rows
        (G, K) scored rows of each term. A term that has none among the chosen groups does not enter the mean, as a
        class that the labels lack does not.
    """

    hits: Floats
    both: Floats
    rows: Floats

    @property
    def replicates(self) -> int:
        """R."""
        return int(self.hits.shape[0])

    @property
    def groups(self) -> int:
        """G."""
        return int(self.hits.shape[1])

    def values(self) -> Floats:
        """Return (R,) the metric of each replicate on all groups."""
        both = self.both.sum(1)
        terms = np.divide(2.0 * self.hits.sum(1), both, out=np.zeros_like(both), where=both > 0)
        return np.asarray(terms[:, self.rows.sum(0) > 0].mean(1))


def macro_f1_counts(predicted: Ints, labels: Ints, groups: Ints, n_classes: int) -> GroupCounts:
    """Count for macro-F1: one term a class.

    Parameters
    ----------
    predicted
        (R, n) predicted classes of the test rows in each replicate.
    labels
        (n,) their labels.
    groups
        (n,) their groups; rows of one group are drawn together. Where every row stands alone, ``arange(n)``.
    n_classes
        Number of classes C.

    Examples
    --------
    >>> counts = macro_f1_counts(np.array([[0, 1, 1, 1]]), np.array([0, 0, 1, 1]), np.arange(4), 2)
    >>> counts.values().round(3).tolist()
    [0.733]
    """
    return _counts(predicted, labels, groups, np.eye(n_classes))


def micro_f1_minority_counts(
    predicted: Ints, labels: Ints, groups: Ints, n_classes: int, majority: int
) -> GroupCounts:
    """Count for :func:`trainables.metrics.micro_f1_minority`: one term, of all classes but the majority.

    With two classes both are counted. ``majority`` is the index of the class that is left out; the rest is as in
    :func:`macro_f1_counts`.
    """
    counted = np.ones((n_classes, 1))
    if n_classes > 2:
        counted[majority] = 0.0
    return _counts(predicted, labels, groups, counted)


def accuracy_counts(correct: npt.NDArray[np.bool_], groups: Ints) -> GroupCounts:
    """Count for accuracy, of which it is enough to know which rows are right: (R, n), and their groups (n,)."""
    right = np.asarray(correct, np.int64)
    return _counts(right, np.ones(right.shape[1], np.int64), groups, np.array([[0.0], [1.0]]), both_of=2)


def _counts(
    predicted: Ints, labels: Ints, groups: Ints, terms: Floats, both_of: int | None = None
) -> GroupCounts:
    """Count rows by group and class, then add up the classes of each term; ``terms`` is (C, K) of 0 and 1."""
    if predicted.shape[1:] != labels.shape or labels.shape != groups.shape:
        raise ValueError(
            "expected predictions (R, n), labels (n,) and groups (n,), "
            f"got {predicted.shape}, {labels.shape} and {groups.shape}"
        )
    names, place = np.unique(groups, return_inverse=True)
    n_classes = len(terms)
    shape = (len(names), n_classes)

    def by_class(classes: Ints, which: npt.NDArray[np.bool_] | None = None) -> Floats:
        cells = place * n_classes + classes
        chosen = cells if which is None else cells[which]
        return np.bincount(chosen, minlength=shape[0] * n_classes).reshape(shape) @ terms

    rows = by_class(labels)
    hits = np.stack([by_class(labels, labels == one) for one in predicted])
    if both_of is not None:
        both = np.broadcast_to(both_of * rows, hits.shape)
    else:
        both = np.stack([rows + by_class(one) for one in predicted])
    return GroupCounts(hits, both, rows)
