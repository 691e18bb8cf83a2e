"""Whether a classifier that never saw a text's group still gives an augmentation the label of its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.seeds import generator

Rows = npt.NDArray[np.int64]
_FOLDS = 5
_MOST_TEXTS = 4000  # that a classifier is trained on: more cost time and hardly change it


class CrossFittedLabels:
    """Bag-of-words classifiers, each trained without one fold of the groups.

    TF-IDF of words and logistic regression that weighs classes evenly: cheap, deterministic, and blind to the
    encoder that the study judges by.

    Parameters
    ----------
    texts, labels, groups
        n training rows.
    audited
        (m,) numbers of the rows whose augmentations will be judged.
    seed
        Decides which groups share a fold.
    """

    def __init__(
        self, texts: Sequence[str], labels: Rows, groups: Sequence[str], audited: Rows, seed: int
    ) -> None:
        names = sorted(set(groups))
        rng = generator(seed, "audit/folds")
        order = rng.permutation(len(names))
        fold_of_group = {names[group]: place % _FOLDS for place, group in enumerate(order.tolist())}
        folds = np.array([fold_of_group[group] for group in groups], dtype=np.int64)
        self._fold_of_row = folds[audited]
        self._classifiers = {}
        for fold in np.unique(self._fold_of_row).tolist():
            others = rng.permutation(np.flatnonzero(folds != fold))[:_MOST_TEXTS]
            if len(np.unique(labels[others])) > 1:
                self._classifiers[fold] = _fitted([texts[row] for row in others], labels[others])

    def predict(self, texts: Sequence[str], places: Sequence[int]) -> Rows:
        """Return the label that each text gets, -1 where no other group could train a classifier.

        Parameters
        ----------
        texts
            n texts.
        places
            Position in ``audited`` of the row that each text comes from.
        """
        folds = self._fold_of_row[list(places)]
        predicted = np.full(len(texts), -1, dtype=np.int64)
        for fold, classifier in self._classifiers.items():
            if len(rows := np.flatnonzero(folds == fold)):
                predicted[rows] = classifier.predict([texts[row] for row in rows.tolist()])
        return predicted


def _fitted(texts: Sequence[str], labels: Rows) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S*\w\S*")
    return make_pipeline(words, LogisticRegression(C=10.0, class_weight="balanced", max_iter=200)).fit(
        texts, labels
    )
