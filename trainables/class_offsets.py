"""Class offsets fitted on validation: every arm at its best operating point, at no training cost.

A row's class is argmax_c (z_c + b_c). The offsets b maximise macro-F1 on validation rows; whoever compares two arms
with offsets compares what they learnt, and not where they happen to draw the line between majority and minority.

What is best for the validation rows is not best for others: 60 rows say little about 20 classes. So the fit spends
its freedom sparingly, in two steps.

1. One number τ for all classes, b = -τ·log π, as in post-hoc logit adjustment, by an exact line search. With two
   classes that is every threshold there is.
2. With more classes coordinate ascent, the rarest class first, each step an exact line search too, see
   :func:`_ascend`.

The gain of a move along a line is a sum of steps δ_i, one for each row that changes its class on the way. Were it
chance whether such a change helps or harms, that sum would have the standard error (Σ δ_i²)^½. With more than two
classes the gain has to exceed :data:`CAUTION_TAU` and :data:`CAUTION_CLASS` of these, which was chosen by trial:
validation sets of 60 to 3,000 rows, drawn again and again from SMS spam, TREC, R8, 20 Newsgroups and Banking77 (2 to
77 classes, TF-IDF logits, imbalance ratio .1 and natural), scored by macro-F1 on other rows. Mean gain over no
offsets, and in brackets that of plain coordinate ascent: SMS spam and TREC .074 (.076), R8 and 20 Newsgroups .172
(.140), Banking77 .071 (.026). The worst mean of a corpus, ratio and size, where few rows could say little and there
was little to gain: -.023 (-.042).

Macro-F1 is also what a search maximises by default. It is a function of the confusion matrix, for which the best
decisions are thresholds on probabilities (Lipton et al. 2014), or with more classes an argmax of linear functions of
them (Narasimhan et al. 2015); of these, offsets of logits are those with one number a class.

References
----------
Lipton, Elkan, Naryanaswamy, Optimal thresholding of classifiers to maximize F1 measure, ECML PKDD 2014.
Narasimhan, Ramaswamy, Saha, Agarwal, Consistent multiclass algorithms for complex performance measures, ICML 2015.
Menon et al., Long-tail learning via logit adjustment, ICLR 2021: the direction of the first step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FOLDS = 5
CAUTION_TAU = 0.5  # standard errors
CAUTION_CLASS = 1.5
TAU_RANGE = (-1.0, 3.0)  # with more than two classes
# Beyond the last breakpoint a line search steps this far, in nats.
_BEYOND = 0.5
_MOST_PASSES = 3  # a fourth hardly ever moves anything
# Gains and widths below this are rounding errors.
_SAME = 1e-9

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Crossings(NamedTuple):
    """Where rows change their class along a line, in the order in which they do.

    Attributes
    ----------
    at
        (m,) positions on the line, ascending.
    rows, left, entered
        (m,) the row, the class that it leaves, and the one that it enters.
    """

    at: Floats
    rows: Integers
    left: Integers
    entered: Integers


def fit_offsets(logits: npt.NDArray[np.floating], labels: Integers, training_counts: npt.ArrayLike) -> Floats:
    """Return offsets b that maximise macro-F1 of argmax_c (z_c + b_c) on validation rows.

    The same arguments give the same offsets; where several are equally good, those nearest to where the search stood,
    which begins at zero. Of a class without rows only the first step decides, though others may move past it.

    Parameters
    ----------
    logits
        (n, C).
    labels
        (n,) class indices.
    training_counts
        (C,) rows per class that the classifier was trained on.

    Returns
    -------
    (C,) offsets in nats; the largest class of the training rows has 0.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [2.0, 0.2], [2.0, 1.0], [2.0, 1.4]])
    >>> fit_offsets(logits, np.array([0, 0, 1, 1]), [90, 10]).round(2).tolist()
    [0.0, 1.4]
    """
    z = np.asarray(logits, np.float64)
    z = z - z.max(axis=1, keepdims=True)
    counts = np.asarray(training_counts, np.float64)
    largest = int(counts.argmax())
    if not len(z):
        return np.zeros(len(counts))
    if len(counts) == 2:
        # All directions are alike, also that of equal counts.
        direction = np.eye(2)[1 - largest]
        offsets = _best_shift(*_along_ray(z, direction), labels) * direction
    else:
        direction = np.log(counts[largest] / counts)
        tau = _best_shift(*_along_ray(z, direction), labels, caution=CAUTION_TAU, within=TAU_RANGE)
        offsets = _ascend(z, labels, tau * direction)
    return np.asarray(offsets - offsets[largest])


def cross_fitted(
    logits: npt.NDArray[np.floating],
    labels: Integers,
    training_counts: npt.ArrayLike,
    rng: np.random.Generator,
    folds: int = FOLDS,
) -> Integers:
    """Return the class of each row under offsets that were fitted without its fold.

    Folds are stratified: the rows of a class, shuffled, are dealt out in turn. A class with fewer rows than folds is
    missing from some of them, and one with a single row from the very fit that decides on it.

    Parameters
    ----------
    logits, labels, training_counts
        As for :func:`fit_offsets`.
    rng
        Shuffles the rows.
    folds
        Number of folds.
    """
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[by_class] = np.arange(len(labels)) % folds
    predicted = np.empty(len(labels), np.int64)
    for held_out in (fold == k for k in range(folds)):
        offsets = fit_offsets(logits[~held_out], labels[~held_out], training_counts)
        predicted[held_out] = (logits[held_out] + offsets).argmax(axis=1)
    return predicted


def _ascend(z: Floats, labels: Integers, start: Floats) -> Floats:
    """Move one offset at a time, the rarest class first, until a pass moves none."""
    offsets = start.copy()
    support = np.bincount(labels, minlength=z.shape[1])
    present = [c for c in np.argsort(support, kind="stable").tolist() if support[c]]
    scores = np.ascontiguousarray(z.T) + offsets[:, None]  # (C, n): what one class scores lies together
    top, height = _two_best(scores)
    for _ in range(_MOST_PASSES):
        moved = False
        for c in present:
            is_best = top[0] == c
            rival = np.where(is_best, top[1], top[0])
            needed = np.where(is_best, height[1], height[0]) - scores[c]
            order = np.argsort(needed, kind="stable")
            crossings = Crossings(needed[order], order, rival[order], np.full_like(order, c))
            shift = _best_shift(crossings, rival, labels, caution=CAUTION_CLASS)
            if shift == 0.0:
                continue
            moved = True
            offsets[c] += shift
            scores[c] += shift
            changed = (top == c).any(axis=0) | (scores[c] > height[1])
            top[:, changed], height[:, changed] = _two_best(scores[:, changed])
        if not moved:
            break
    return offsets


def _two_best(scores: Floats) -> tuple[Integers, Floats]:
    """Return (2, n) classes, the best and the second best of each row, and what they score, from (C, n) scores."""
    rows = np.arange(scores.shape[1])
    best = scores.argmax(axis=0)
    others = scores.copy()
    others[best, rows] = -np.inf
    top = np.stack([best, others.argmax(axis=0)])
    return top, scores[top, rows]


def _along_ray(z: Floats, direction: Floats) -> tuple[Crossings, Integers]:
    """Return where argmax_c (z_c + τ·d_c) changes as τ goes from -∞ to ∞, and each row's class at -∞.

    Each class is a line in τ, and the argmax follows the upper envelope of C lines: from the flattest line to ever
    steeper ones, each time at the first point where one overtakes.
    """
    # At -∞ the flattest line is above all others; of several, the highest.
    flattest = direction == direction.min()
    current = first = np.where(flattest, z, -np.inf).argmax(axis=1)
    rows = np.arange(len(z))
    found: list[tuple[Floats, Integers, Integers, Integers]] = []
    while len(rows):
        steeper = direction[None, :] - direction[current, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            meets = (z[rows, current][:, None] - z[rows]) / steeper
        meets = np.where(steeper > 0, meets, np.inf)
        at = meets.min(axis=1)
        # Of classes that overtake at one point the steepest stays ahead.
        entered = np.where(meets == at[:, None], direction, -np.inf).argmax(axis=1)
        goes_on = np.isfinite(at)
        rows, current, entered = rows[goes_on], current[goes_on], entered[goes_on]
        found.append((at[goes_on], rows, current, entered))
        current = entered
    at, rows, left, entered = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((rows, at))
    return Crossings(at[order], rows[order], left[order], entered[order]), first


def _best_shift(
    crossings: Crossings,
    first: Integers,
    labels: Integers,
    *,
    caution: float = 0.0,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> float:
    """Return the position on a line with the best macro-F1: the middle of the best interval between crossings.

    The search stands at 0. It stays there if nothing is better, and of equals it takes the nearest.

    Parameters
    ----------
    crossings
        Where rows change their class.
    first
        (n,) class of each row before all crossings.
    labels
        (n,) class indices.
    caution
        Standard errors by which a gain is reduced.
    within
        Where the position may lie.
    """
    at = crossings.at
    if not len(at):
        return 0.0
    steps = _macro_f1_steps(crossings, first, labels)
    here = int(np.searchsorted(at, 0.0))
    height = np.concatenate([[0.0], np.cumsum(steps)])
    noise = np.concatenate([[0.0], np.cumsum(steps**2)])
    gain = height - height[here] - caution * np.sqrt(np.abs(noise - noise[here]))
    lower, upper = np.concatenate([[-np.inf], at]), np.concatenate([at, [np.inf]])
    middle = np.empty(len(gain))
    middle[1:-1] = (at[:-1] + at[1:]) / 2
    middle[0], middle[-1] = at[0] - _BEYOND, at[-1] + _BEYOND
    gain[(upper - lower < _SAME) | (middle < within[0]) | (middle > within[1])] = -np.inf
    if gain.max() <= _SAME:
        return 0.0
    equals = np.flatnonzero(gain >= gain.max() - _SAME)
    return float(middle[equals[np.abs(middle[equals]).argmin()]])


def _macro_f1_steps(crossings: Crossings, first: Integers, labels: Integers) -> Floats:
    """Return by how much macro-F1 changes at each crossing.

    F1_c = 2·hits_c / (support_c + predicted_c), and a crossing changes hits and predicted of two classes. Sorted by
    class they are running sums, so all crossings take one pass.
    """
    n_classes = int(max(labels.max(), crossings.left.max(), crossings.entered.max(), first.max())) + 1
    support = np.bincount(labels, minlength=n_classes)
    predicted = np.bincount(first, minlength=n_classes)
    hits = np.bincount(labels[first == labels], minlength=n_classes)

    classes = np.column_stack([crossings.left, crossings.entered]).ravel()
    change = np.tile([-1, 1], len(crossings.at))
    hit = change * (np.repeat(labels[crossings.rows], 2) == classes)
    # Within a class the order on the line is kept. NumPy sorts small integers in linear time.
    by_class = np.argsort(classes.astype(np.int16 if n_classes < 2**15 else np.int64), kind="stable")
    classes, change, hit = classes[by_class], change[by_class], hit[by_class]
    begins = np.searchsorted(classes, np.arange(n_classes))

    def running(values: Integers, start: Integers) -> Integers:
        sums = np.concatenate([[0], np.cumsum(values)])
        return np.asarray(start[classes] + sums[1:] - sums[begins][classes])

    predicted_after, hits_after = running(change, predicted), running(hit, hits)
    after = _f1(hits_after, support[classes] + predicted_after)
    before = _f1(hits_after - hit, support[classes] + predicted_after - change)
    steps = np.empty(len(classes))
    steps[by_class] = np.where(support[classes] > 0, after - before, 0.0)
    return np.asarray(steps.reshape(-1, 2).sum(axis=1) / np.count_nonzero(support))


def _f1(hits: Integers, support_and_predicted: Integers) -> Floats:
    return np.asarray(2 * hits / np.maximum(support_and_predicted, 1))
