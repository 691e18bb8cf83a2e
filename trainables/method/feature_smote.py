"""SMOTE in the space of the pooled outputs: new rows of the small classes between neighbours of one class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainables.seeds import derive_seed


def smote(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    neighbours: int,
    seed: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the given features and labels, followed by synthetic rows that bring every class to n_max rows.

    A new row is x + u·(x' - x), with x a row of the class, x' one of its nearest neighbours in the class and u
    uniform in [0, 1). In a class of n_c <= ``neighbours`` rows each row has only n_c - 1 neighbours, and all of them
    are used; a class of one row has none, and its row is repeated.

    Parameters
    ----------
    features
        (n, H).
    labels
        (n,) class indices.
    neighbours
        Number of nearest neighbours that x' is chosen from, >= 1.
    seed
        Each class has a generator of its own, derived from it.

    References
    ----------
    Chawla et al., SMOTE: synthetic minority over-sampling technique, JAIR 2002, section 4.2; the
    implementation is imbalanced-learn's.
    """
    from imblearn.over_sampling import SMOTE

    if neighbours < 1:
        raise ValueError(f"smote_neighbours is {neighbours}; expected 1 or more")
    counts = np.bincount(labels)
    n_max = int(counts.max())
    made_features, made_labels = [features], [labels]
    for label in np.flatnonzero((counts > 0) & (counts < n_max)).tolist():
        count, missing = int(counts[label]), n_max - int(counts[label])
        if count == 1:
            new = np.repeat(features[labels == label], missing, axis=0)
        else:
            sampler = SMOTE(
                sampling_strategy={label: n_max},
                k_neighbors=min(neighbours, count - 1),
                random_state=derive_seed(seed, "smote", label) % 2**32,
            )
            new = sampler.fit_resample(features, labels)[0][len(features) :]
        made_features.append(new.astype(np.float32))
        made_labels.append(np.full(missing, label))
    return np.concatenate(made_features), np.concatenate(made_labels)
