"""Training and validation parts of every replicate's own, cut anew out of the rows that are not test rows.

A gain differs between replicates by the draw, the seed, and which texts are trained on and validated with; the last
is often the largest of the three (Bouthillier et al. 2021, *Accounting for variance in machine learning benchmarks*,
section 2). All replicates share the test part, so that it stays unseen whatever they do.

Groups are placed in random order: placed by size, large groups would be training texts in every replicate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus
from trainables.corpora.leakage import missing_parts, units_of
from trainables.corpora.split import LEAST_ROWS, PARTS, Split, split_by_group
from trainables.corpora.split_settings import SplitSettings
from trainables.errors import ConfigurationError
from trainables.seeds import derive_seed


def resplit(
    corpus: Corpus,
    split: Split,
    *,
    study_seed: int,
    replicates: int,
    settings: SplitSettings,
    clusters: npt.NDArray[np.int64],
    alike: npt.NDArray[np.int64] | None = None,
    minimum: int = LEAST_ROWS,
) -> list[Split]:
    """Return a split for each replicate; they differ in train and validation, and keep test.

    Each depends on the study's seed and the replicate's index alone, not on how many there are. The first is no
    exception: it is not the split that was given.

    Parameters
    ----------
    corpus
        The corpus, in canonical order.
    split
        Its split, of which the test part is kept, and rows of no part stay out.
    study_seed
        Seed of the study.
    replicates
        Number of splits.
    settings
        How the corpus is split: the same rules hold for every replicate.
    clusters
        What :func:`trainables.corpora.leakage.kept_together` returns.
    alike
        See :func:`trainables.corpora.leakage.split_corpus`.
    minimum
        Rows that every class needs in train and in validation.

    Raises
    ------
    ConfigurationError
        Naming the replicates whose parts lack rows of a class.
    """
    units = units_of(corpus, clusters, settings, alike)
    pool = np.sort(np.concatenate([split.train, split.validation]))
    labels, pool_units = corpus.labels[pool], [units[row] for row in pool.tolist()]
    share = _validation_share(corpus, settings)
    found, faults = [], []
    for replicate in range(replicates):
        try:
            parts = split_by_group(
                labels,
                pool_units,
                corpus.classes,
                fractions=(round(1 - share, 12), share, 0.0),
                seed=derive_seed(study_seed, "split", replicate),
                minimum=minimum,
                largest_first=False,
            )
        except ConfigurationError as error:
            faults += [f"replicate {replicate}: {fault}" for fault in error.faults]
        else:
            found.append(Split(pool[parts.train], pool[parts.validation], split.test, split.removed))
    if faults:
        raise ConfigurationError(faults)
    return found


def _validation_share(corpus: Corpus, settings: SplitSettings) -> float:
    """Return the share of the rows that are not test rows that makes validation as large as in the corpus's split."""
    test_is_given = corpus.split is not None and PARTS.index("test") not in missing_parts(corpus.split)
    rest = 1.0 if test_is_given else 1 - settings.test_share
    return round(settings.validation_share / rest, 12)
