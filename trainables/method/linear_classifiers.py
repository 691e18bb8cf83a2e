"""Logistic regression on fixed features of the texts: arms that cost seconds, and that a gain has to beat.

``tfidf_lr`` weighs words by TF-IDF; ``frozen_lr`` takes the mean of the pretrained encoder's last
hidden states, which is not trained. Both choose the strength of the regularisation, and whether classes weigh equally,
by cross-validation inside the training rows of the replicate alone.

scikit-learn fits them. Its solver draws nothing at random, so only the folds need a seed.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.reuse.cache import ContentCache
from trainables.reuse.frozen_features import frozen_features
from trainables.settings import EncoderSettings
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts
from trainables.world import World

Rows = npt.NDArray[np.int64]
Features = Any  # (n, d): a numpy array or a scipy sparse matrix
# Given the rows to learn from and those to describe, returns the features of both. What it learns (which terms there
# are, how much they weigh, a scale) it learns from the first ones.
FeaturesOf = Callable[[Rows, Rows], tuple[Features, Features]]

TFIDF, FROZEN = "tfidf", "frozen"
# The whole grid: inverse strengths C of the L2 penalty, from the strongest penalty to the weakest, each with all rows
# weighing the same and with all classes weighing the same. On ADME, of grids that began at 0.1 (words) or went from
# 0.001 to 1,000 (an encoder's states of length 1), cross-validation took 10 or 100.
STRENGTHS = (1.0, 10.0, 100.0)
CLASS_WEIGHTS = (None, "balanced")
FOLDS = 5
_MANY_ROWS = 1000
# Newton's method takes few iterations and so may stop at 1e-3. L-BFGS, which then stops too early, got to about the
# same scores at 1e-4: 5.6 s of one processor against 17.3 on a draw of 20 Newsgroups (3,594 rows, 25,000 words, six
# points).
_SOLVER = {"solver": "newton-cg", "tol": 1e-3, "max_iter": 100}
_NEVER = float(np.log(1e-12))  # log-probability of a class that has no training row


@dataclass(frozen=True)
class LinearReport:
    """What tuning and fitting a linear classifier did.

    Attributes
    ----------
    rows, features
        Training rows, and their features.
    strength, balanced
        The chosen C, and whether the classes weigh the same.
    folds
        Folds of the cross-validation that chose them; 0 where there was nothing to choose by.
    cross_validated_f1
        Macro-F1 of the chosen values over all training rows, each predicted by a classifier that did not see it; NaN
        without folds.
    iterations
        Iterations of the final fit.
    computed
        Texts whose features the encoder had to compute.
    seconds
        Wall time of everything, scoring included.
    """

    rows: int
    features: int
    strength: float
    balanced: bool
    folds: int
    cross_validated_f1: float
    iterations: int
    computed: int
    seconds: float


def train_linear(
    kind: str,
    texts: LabelledTexts,
    evaluation: Mapping[str, TokenisedTexts],
    encoder: EncoderSettings,
    n_classes: int,
    *,
    seed: int,
    world: World,
    cache: ContentCache | None = None,
) -> tuple[dict[str, npt.NDArray[np.float32]], LinearReport]:
    """Tune and fit a logistic regression, and return its logits on the evaluation sets, on every worker.

    The first worker computes, the others wait for what it found.

    Parameters
    ----------
    kind
        Features: ``tfidf`` or ``frozen``.
    texts
        Training rows, n >= 1.
    evaluation
        Texts to score, by name of the set.
    encoder, n_classes
        The pretrained encoder, and the number of classes C.
    seed
        Of the folds.
    world
        The workers that share this run.
    cache
        Where the encoder's features are kept.

    Returns
    -------
    logits
        (m, C) float32 log-probabilities per evaluation set; log(1e-12) for a class without training rows.
    report
        What was chosen.

    Raises
    ------
    TrialFailed
        Memory does not suffice for the encoder.
    """
    started = time.perf_counter()
    found = None
    if world.rank == 0:
        sets = [texts.tokens, *evaluation.values()]
        if kind == TFIDF:
            features_of, computed = _tfidf(sets), 0
        else:
            states, computed = frozen_features(encoder, n_classes, TokenisedTexts.concatenate(sets), cache)
            features_of = _centred(states)
        sizes = [len(tokens) for tokens in evaluation.values()]
        logits, fit = tuned_logits(features_of, texts.labels, sum(sizes), n_classes, seed)
        parts = np.split(logits, np.cumsum(sizes)[:-1]) if sizes else []
        seconds = time.perf_counter() - started
        report = LinearReport(len(texts), *fit, computed=computed, seconds=seconds)
        found = dict(zip(evaluation, parts, strict=True)), report
    told: tuple[dict[str, npt.NDArray[np.float32]], LinearReport] = world.gather(found)[0]
    return told


def _tfidf(sets: list[TokenisedTexts]) -> FeaturesOf:
    """Return TF-IDF features of sets of texts, of which the first is the one to learn from.

    (1 + ln count) · (ln((1 + n) / (1 + n_t)) + 1) for a word in n_t of the n learned texts, each row scaled to length 1
    (scikit-learn's ``TfidfTransformer`` with sublinear counts). Words that the learned texts lack do not count, nor,
    where there are 1,000 learned texts or more, those that one of them alone has. Pairs of words took two to four times
    as long; on one or two draws each they scored between .013 lower and .008 higher on ADME, alike on SMS spam, and
    lower on 20 Newsgroups. Whole texts count, also what ``max_length`` cuts off: that they cost nothing to read is what
    speaks for such a classifier.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer

    if any(tokens.words is None for tokens in sets):
        raise ValueError(
            "TF-IDF needs the words of the texts: tokenise them with trainables.texts.words.with_words"
        )
    words = TokenisedTexts.concatenate(sets).words
    assert words is not None
    known, places = np.unique(words.ids, return_inverse=True)
    shape = (len(words), len(known))
    counts = csr_matrix((np.ones(len(places)), places, words.offsets), shape=shape)
    counts.sum_duplicates()

    def features_of(learn: Rows, describe: Rows) -> tuple[Features, Features]:
        own = counts[learn]
        least = 1 if len(learn) < _MANY_ROWS else 2
        kept = np.flatnonzero(own.getnnz(axis=0) >= least)
        if not len(kept):  # no text has a word
            return np.zeros((len(learn), 1)), np.zeros((len(describe), 1))
        weigh = TfidfTransformer(sublinear_tf=True)
        return weigh.fit_transform(own[:, kept]), weigh.transform(counts[describe][:, kept])

    return features_of


def _centred(states: npt.NDArray[np.float32]) -> FeaturesOf:
    """Return the states without their mean over the rows to learn from, each row scaled to length 1.

    An encoder's states share a large mean, which tells no texts apart (Mu & Viswanath 2018). Of one length they suit
    the same penalties as TF-IDF. A row that is the mean itself stays 0.
    """

    def features_of(learn: Rows, describe: Rows) -> tuple[Features, Features]:
        centred = states.astype(np.float64) - states[learn].mean(axis=0, dtype=np.float64)
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        centred /= np.where(lengths > 0.0, lengths, 1.0)
        return centred[learn], centred[describe]

    return features_of


def tuned_logits(
    features_of: FeaturesOf, labels: Rows, n_evaluated: int, n_classes: int, seed: int
) -> tuple[npt.NDArray[np.float32], tuple[int, float, bool, int, float, int]]:
    """Tune a logistic regression by cross-validation, fit it on all training rows, and score the evaluated rows.

    Every point of the grid predicts each training row from the other folds; macro-F1 over all these predictions
    chooses (not the mean over folds, which a class with few rows would spoil: Forman & Scholz 2010). Of equal points
    the one with the strongest penalty is taken. Folds are stratified; a class with fewer rows than folds is missing
    from some of them.

    Parameters
    ----------
    features_of
        Features of rows; training rows are 0 to n - 1, evaluated ones follow.
    labels
        (n,) class indices of the training rows.
    n_evaluated
        Rows m to score.
    n_classes
        Classes C.
    seed
        Of the folds.

    Returns
    -------
    logits
        (m, C) float32, see :func:`train_linear`.
    fit
        The fields of :class:`LinearReport` from ``features`` to ``iterations``.
    """
    n = len(labels)
    folds = min(FOLDS, int(np.bincount(labels).max()))
    present = np.unique(labels)
    strength, weight, score = 1.0, None, float("nan")
    if len(present) > 1 and folds > 1:
        strength, weight, score = _chosen(features_of, labels, folds, seed)
    else:
        folds = 0
    train, evaluated = features_of(np.arange(n), np.arange(n, n + n_evaluated))
    logits = np.full((n_evaluated, n_classes), _NEVER, np.float32)
    iterations = 0
    if len(present) == 1:
        logits[:, present] = 0.0
    elif n_evaluated:
        model = _fitted(train, labels, strength, weight)
        logits[:, present] = _log_probabilities(model, evaluated)
        iterations = int(model.n_iter_.max())
    return logits, (train.shape[1], strength, weight is not None, folds, score, iterations)


def _chosen(features_of: FeaturesOf, labels: Rows, folds: int, seed: int) -> tuple[float, str | None, float]:
    """Return C, class weights and their cross-validated macro-F1: the best of the grid."""
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold

    grid = [(strength, weight) for strength in STRENGTHS for weight in CLASS_WEIGHTS]
    predicted = np.empty((len(grid), len(labels)), np.int64)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(splitter.split(np.zeros(len(labels)), labels))
    for learn, check in parts:
        train, held_out = features_of(learn, check)
        for point, (strength, weight) in enumerate(grid):
            seen = np.unique(labels[learn])
            if len(seen) == 1:
                predicted[point, check] = seen
            else:
                predicted[point, check] = _fitted(train, labels[learn], strength, weight).predict(held_out)
    scores = [f1_score(labels, row, average="macro", zero_division=0.0) for row in predicted]
    best = int(np.argmax(np.round(scores, 9)))
    return (*grid[best], float(scores[best]))


def _fitted(features: Features, labels: Rows, strength: float, weight: str | None) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, class_weight=weight, **_SOLVER)
    with warnings.catch_warnings():
        # At a weak penalty the last digits take long and decide nothing; the report holds the number of iterations.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, labels)


def _log_probabilities(model: Any, features: Features) -> npt.NDArray[np.float64]:
    """Return the (m, C) log-probabilities of a fitted classifier; unlike their logarithms, probabilities underflow."""
    from scipy.special import log_softmax

    scores = model.decision_function(features)
    if scores.ndim == 1:  # two classes: the score of the second one, that of the first is 0
        scores = np.stack([np.zeros_like(scores), scores], axis=1)
    found: npt.NDArray[np.float64] = log_softmax(scores, axis=1)
    return found
