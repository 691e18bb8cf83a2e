"""What a split does about texts that differ only behind ``max_length``, where the encoder does not read."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus
from trainables.corpora.leakage import BEGINNING, missing_parts, units_of
from trainables.corpora.split import Split
from trainables.corpora.split_settings import ROW, SplitSettings
from trainables.corpora.wording import counted

# What decides whether two texts may be in different parts: all of them, or the tokens that the encoder reads as well.
TEXTS, TOKENS = "texts", "tokens"


def truncation_remarks(
    corpus: Corpus,
    split: Split,
    settings: SplitSettings,
    clusters: npt.NDArray[np.int64],
    alike: npt.NDArray[np.int64],
    judged_on: str,
    max_length: int,
) -> tuple[str, ...]:
    """Return sentences, for people, on texts that are equal once they are cut.

    Parameters
    ----------
    corpus, split, settings
        The corpus and its split.
    clusters
        (n,) near-duplicate cluster of each row.
    alike
        (n,) first row that the encoder reads as it reads each row.
    judged_on
        :data:`TOKENS` where the split keeps such rows together, :data:`TEXTS` where it does not.
    max_length
        Tokens that texts are cut to.
    """
    if judged_on == TEXTS or not settings.separates:
        return _leaks(split, settings, alike, max_length)
    remarks = []
    removed = {reason: n for reason, n in split.removed.items() if BEGINNING in reason}
    if removed:
        counts = [
            f"{counted(n, f'{reason.split()[0]} row')} a {reason.split()[-1]} row"
            for reason, n in removed.items()
        ]
        several = sum(removed.values()) > 1
        remarks.append(
            f"Cut to {max_length} tokens, {_equal(counts[0])}{''.join(f', and {_equal(c)}' for c in counts[1:])}: "
            f"the encoder reads them as one. {'They are' if several else 'It is'} left out, and the test part stays "
            "as the source gives it."
        )
    if joined := _joined(corpus, split, settings, clusters, alike):
        remarks.append(
            f"Cut to {max_length} tokens, {joined:,} texts equal a text from elsewhere in the corpus: the encoder "
            "reads them as one, so they are kept in one part of the split."
        )
    return tuple(remarks)


def _equal(count: str) -> str:
    return count.replace(" row a ", " row equals a ").replace(" rows a ", " rows equal a ")


def _joined(
    corpus: Corpus,
    split: Split,
    settings: SplitSettings,
    clusters: npt.NDArray[np.int64],
    alike: npt.NDArray[np.int64],
) -> int:
    """Return how many rows of the parts that we cut stay together for nothing else than being alike when cut."""
    if corpus.split is not None and not missing_parts(corpus.split):
        return 0
    units = units_of(corpus, clusters, settings)
    found: defaultdict[int, list[str]] = defaultdict(list)
    for row in np.concatenate([split.train, split.validation, split.test]).tolist():
        found[int(alike[row])].append(units[row])
    return sum(len(of) for of in found.values() if len(set(of)) > 1)


def _leaks(
    split: Split, settings: SplitSettings, alike: npt.NDArray[np.int64], max_length: int
) -> tuple[str, ...]:
    """Say how many rows equal a training row, where the split does nothing about it."""
    train = alike[split.train]
    known = [int(np.isin(alike[part], train).sum()) for part in (split.validation, split.test)]
    if not any(known):
        return ()
    if settings.by == ROW:
        reason = "the split is by row"
    elif not settings.separate_near_duplicates:
        reason = "separate_near_duplicates is off"
    else:
        reason = (
            "this study began with a split that judges duplicates on whole texts, and keeps it (--fresh starts over "
            "with one that keeps such rows together)"
        )
    return (
        f"Cut to {max_length} tokens, {known[0]:,} of {len(split.validation):,} validation rows and {known[1]:,} of "
        f"{len(split.test):,} test rows equal a training row: {reason}.",
    )
