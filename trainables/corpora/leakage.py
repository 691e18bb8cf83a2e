"""From a corpus to its split, such that nothing of the test set is in train: no group, no near-duplicate.

A split of our own joins near-duplicates into one group first, so nothing has to be left out. A split that the source
gives is kept: what train shares with validation or test is taken out of train, what validation shares with test out
of validation, and test stays whole. Parts that the source does not give are cut out of train.

Texts that differ only behind what the encoder reads of them are one to it. Which these are hangs on the encoder, so
the caller says so (``alike``); they are treated like near-duplicates.

A split by row does none of this: it shows what a published protocol that splits at random is worth, and a remark says
how much of it leaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus
from trainables.corpora.duplicates import joined_groups, near_duplicate_clusters, spanning
from trainables.corpora.least_rows import servable_parts
from trainables.corpora.rows import own_group, text_key
from trainables.corpora.split import (
    LEAST_ROWS,
    PARTS,
    Rows,
    Split,
    rare_classes_advice,
    rows_per_group,
    split_by_group,
    split_into_folds,
)
from trainables.corpora.split_settings import ROW, SplitSettings
from trainables.corpora.wording import listed, shown
from trainables.errors import ConfigurationError

_TRAIN, _VALIDATION, _TEST = range(3)
_REMOVED = -1
BEGINNING = "beginning, all that the encoder reads of it,"


@dataclass(frozen=True)
class GivenParts:
    """The source's own split after what leaks was taken out.

    Attributes
    ----------
    part_of_row
        (n,) int64 index into ``PARTS``, -1 for a row that was taken out.
    removed
        Rows taken out, by part and reason.
    """

    part_of_row: npt.NDArray[np.int64]
    removed: dict[str, int]


def kept_together(corpus: Corpus, settings: SplitSettings) -> npt.NDArray[np.int64]:
    """Return the (n,) cluster of near-duplicates of each row that a split must not part; its own where it may."""
    if settings.separates:
        return near_duplicate_clusters(corpus.texts)
    return np.arange(len(corpus), dtype=np.int64)


def units_of(
    corpus: Corpus,
    clusters: npt.NDArray[np.int64],
    settings: SplitSettings,
    alike: npt.NDArray[np.int64] | None = None,
) -> list[str]:
    """Return the name of what each row stays together with: its group and near-duplicates, or in a split by row itself.

    Parameters
    ----------
    corpus, settings
        The corpus, and how it is split.
    clusters
        See :func:`kept_together`.
    alike
        See :func:`split_corpus`.
    """
    if settings.by == ROW:
        return [f"{row:012d}" for row in range(len(corpus))]
    units = joined_groups(corpus.groups, clusters)
    return units if alike is None or not settings.separates else joined_groups(units, alike)


def group_numbers(corpus: Corpus, clusters: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the (n,) number of what each row stands or falls with: its group, and near-duplicates of its rows.

    Parameters
    ----------
    corpus
        The corpus.
    clusters
        See :func:`kept_together`.
    """
    return np.unique(joined_groups(corpus.groups, clusters), return_inverse=True)[1].astype(np.int64)


def split_corpus(
    corpus: Corpus,
    *,
    seed: int,
    settings: SplitSettings | None = None,
    minimum: int = LEAST_ROWS,
    clusters: npt.NDArray[np.int64] | None = None,
    alike: npt.NDArray[np.int64] | None = None,
) -> Split:
    """Split a corpus; see the module for what is done about leakage.

    Parameters
    ----------
    corpus
        The corpus.
    seed
        Seed of what has to be cut.
    settings
        How to split; by default by group, near-duplicates together.
    minimum
        Rows that every class needs in every part.
    clusters
        What :func:`kept_together` returns, where it is known already.
    alike
        (n,) first row that the encoder reads as it reads each row, see :func:`trainables.texts.alike.first_alike`;
        None judges whole texts alone.

    Raises
    ------
    ConfigurationError
        Naming the classes that have too few rows in a part, and settings of parts that the source gives itself.
    """
    settings = settings or SplitSettings()
    clusters = kept_together(corpus, settings) if clusters is None else clusters
    units = units_of(corpus, clusters, settings, alike)
    validation_share, test_share = settings.validation_share, settings.test_share
    if corpus.split is None:
        if settings.folds is not None and settings.fold is not None:
            return split_into_folds(
                corpus.labels,
                units,
                corpus.classes,
                folds=settings.folds,
                fold=settings.fold,
                validation=validation_share,
                seed=seed,
                minimum=minimum,
            )
        return split_by_group(
            corpus.labels,
            units,
            corpus.classes,
            fractions=(round(1 - validation_share - test_share, 12), validation_share, test_share),
            seed=seed,
            minimum=minimum,
        )
    _check_settings(corpus, settings)
    given = given_parts(
        corpus, None if settings.by == ROW else clusters, alike if settings.separates else None
    )
    parts = given.part_of_row.copy()
    missing = missing_parts(corpus.split)
    _check_given(corpus, given, minimum)
    if missing:
        train = np.flatnonzero(parts == _TRAIN)
        cuts = [
            share if part in missing else 0.0
            for part, share in ((_VALIDATION, validation_share), (_TEST, test_share))
        ]
        cut = split_by_group(
            corpus.labels[train],
            [units[row] for row in train],
            corpus.classes,
            fractions=(round(1 - sum(cuts), 12), cuts[0], cuts[1]),
            seed=seed,
            minimum=minimum,
        )
        parts[train[cut.validation]] = _VALIDATION
        parts[train[cut.test]] = _TEST
    train, validation, test = (np.flatnonzero(parts == part).astype(np.int64) for part in range(3))
    return Split(train, validation, test, given.removed)


def split_remarks(corpus: Corpus, split: Split, settings: SplitSettings) -> tuple[str, ...]:
    """Return sentences, for people, on a split: which part was cut out of train, and what leaks in a split by row.

    Parameters
    ----------
    corpus, settings
        What :func:`split_corpus` was given.
    split
        What it returned.
    """
    remarks = []
    if corpus.split is not None:
        remarks += [
            f"The source gives no {PARTS[part]} part: {share:.3g} of its training rows take its place."
            for part, share in ((_VALIDATION, settings.validation_share), (_TEST, settings.test_share))
            if part in missing_parts(corpus.split)
        ]
    if settings.by == ROW:
        clusters = near_duplicate_clusters(corpus.texts).tolist()
        remarks.append(
            f"THE SPLIT LEAKS: it is by row, as in papers that split at random. Of the test rows, "
            f"{_known_share(corpus.groups, split.train, split.test):.0%} have a row of their own group in train and "
            f"{_known_share(clusters, split.train, split.test):.0%} a near-duplicate; of the validation rows, "
            f"{_known_share(corpus.groups, split.train, split.validation):.0%} and "
            f"{_known_share(clusters, split.train, split.validation):.0%}. Its figures hold for texts like those, not "
            "for new groups: split_by=group measures that."
        )
    return tuple(remarks)


def _known_share(values: Sequence[object], train: Rows, part: Rows) -> float:
    """Return the share of a part's rows whose value a training row has too."""
    known = {values[row] for row in train.tolist()}
    return sum(values[row] in known for row in part.tolist()) / max(1, len(part))


def given_parts(
    corpus: Corpus, clusters: npt.NDArray[np.int64] | None, alike: npt.NDArray[np.int64] | None = None
) -> GivenParts:
    """Return the source's own split without what leaks.

    Parameters
    ----------
    corpus
        A corpus with a split.
    clusters
        (n,) near-duplicate cluster of each row; None takes the split as it is.
    alike
        See :func:`split_corpus`.
    """
    assert corpus.split is not None
    part_of_row = np.array([PARTS.index(part) for part in corpus.split], dtype=np.int64)
    if clusters is None:
        return GivenParts(part_of_row, {})
    removed: Counter[str] = Counter()
    keys = [text_key(text) for text in corpus.texts]
    ways: tuple[tuple[str, Sequence[object]], ...] = (
        ("text", keys),
        ("group", corpus.groups),
        ("near-duplicate", clusters.tolist()),
        *(() if alike is None else ((BEGINNING, alike.tolist()),)),
    )
    for part, judged_by in ((_VALIDATION, (_TEST,)), (_TRAIN, (_VALIDATION, _TEST))):
        for reason, values in ways:
            for judge in judged_by:
                theirs = {values[row] for row in np.flatnonzero(part_of_row == judge).tolist()}
                leaks = [row for row in np.flatnonzero(part_of_row == part).tolist() if values[row] in theirs]
                part_of_row[leaks] = _REMOVED
                if leaks:
                    removed[f"{PARTS[part]} row whose {reason} is in {PARTS[judge]}"] += len(leaks)
    return GivenParts(part_of_row, dict(removed))


def unsplittable_classes(corpus: Corpus, clusters: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which classes, (C,), no split can give their least rows in every part, whatever the others need.

    Parameters
    ----------
    corpus
        The corpus, with or without a split.
    clusters
        (n,) near-duplicate cluster of each row.
    """
    units = joined_groups(corpus.groups, clusters)
    n_classes = len(corpus.classes)
    if corpus.split is None:
        table, _ = rows_per_group(corpus.labels, units, n_classes)
        return np.asarray(servable_parts(table, LEAST_ROWS) < len(PARTS))
    given = given_parts(corpus, clusters)
    train = np.flatnonzero(given.part_of_row == _TRAIN)
    table, _ = rows_per_group(corpus.labels[train], [units[row] for row in train], n_classes)
    served = servable_parts(table, LEAST_ROWS) >= 1 + len(missing_parts(corpus.split))
    return np.asarray(~served | (_given_counts(corpus, given) < LEAST_ROWS).any(axis=0))


def duplicate_counts(corpus: Corpus, clusters: npt.NDArray[np.int64]) -> dict[str, int]:
    """Return what is repeated in a corpus, by kind; kinds that do not occur are left out.

    Exact duplicates that the reader left out come first, then the clusters of near-duplicates, then what a given
    split loses because it leaked.

    Parameters
    ----------
    corpus
        The corpus.
    clusters
        (n,) near-duplicate cluster of each row, see
        :func:`trainables.corpora.duplicates.near_duplicate_clusters`.
    """
    sizes = np.bincount(clusters, minlength=1)
    counts = {reason: n for reason, n in corpus.left_out.items() if reason.startswith("duplicate")}
    counts["near-duplicate rows"] = int(sizes[sizes > 1].sum())
    counts["near-duplicate clusters"] = int((sizes > 1).sum())
    counts["near-duplicate clusters with several labels"] = spanning(clusters, corpus.labels.tolist())
    if any(group != own_group(text) for group, text in zip(corpus.groups, corpus.texts, strict=True)):
        counts["near-duplicate clusters in several groups"] = spanning(clusters, corpus.groups)
    if corpus.split is not None:
        counts["near-duplicate clusters across given splits"] = spanning(clusters, corpus.split)
        counts.update(given_parts(corpus, clusters).removed)
    return {kind: n for kind, n in counts.items() if n}


def missing_parts(split: Sequence[str]) -> list[int]:
    """Return the parts that a source's split lacks and that have to be cut out of train."""
    return [part for part in (_VALIDATION, _TEST) if PARTS[part] not in set(split)]


def can_be_resplit(corpus: Corpus) -> bool:
    """Return whether replicates can have training and validation texts of their own: unless the source gives them."""
    return corpus.split is None or _VALIDATION in missing_parts(corpus.split)


def _check_settings(corpus: Corpus, settings: SplitSettings) -> None:
    """Refuse what says how to cut a part that the source gives."""
    assert corpus.split is not None
    missing = missing_parts(corpus.split)
    values = {"test_fraction": (_TEST, settings.test_fraction), "folds": (_TEST, settings.folds)}
    values["validation_fraction"] = (_VALIDATION, settings.validation_fraction)
    faults = [
        f"{name} is {value}, but {corpus.source} comes with a {PARTS[part]} part of its own: remove {name}."
        for name, (part, value) in values.items()
        if value is not None and part not in missing
    ]
    if settings.resplit and not can_be_resplit(corpus):
        faults.append(
            f"resplit is true, but {corpus.source} comes with a {PARTS[_VALIDATION]} part of its own, which every "
            "replicate keeps: remove resplit."
        )
    if settings.folds is not None and _TEST in missing:
        faults.append(
            f"folds is {settings.folds}, but {corpus.source} comes with parts of its own: remove folds, or give no "
            "split."
        )
    if faults:
        raise ConfigurationError(faults)


def _given_counts(corpus: Corpus, given: GivenParts) -> npt.NDArray[np.int64]:
    """Return the (P, C) rows per part and class of the parts that the source gives."""
    assert corpus.split is not None
    there = [part for part in range(len(PARTS)) if part not in missing_parts(corpus.split)]
    n_classes = len(corpus.classes)
    return np.stack(
        [np.bincount(corpus.labels[given.part_of_row == part], minlength=n_classes) for part in there]
    )


def _check_given(corpus: Corpus, given: GivenParts, minimum: int) -> None:
    assert corpus.split is not None
    there = [name for part, name in enumerate(PARTS) if part not in missing_parts(corpus.split)]
    counts = _given_counts(corpus, given)
    short = np.flatnonzero((counts < minimum).any(axis=0)).tolist()
    if not short:
        return
    classes = [
        f"'{shown(corpus.classes[index])}' ("
        + ", ".join(f"{n} in {part}" for part, n in zip(there, counts[:, index], strict=True) if n < minimum)
        + ")"
        for index in short
    ]
    lost = ", ".join(f"{n} {reason}" for reason, n in given.removed.items())
    raise ConfigurationError(
        f"{corpus.source}: {len(short)} of {len(corpus.classes)} classes "
        f"{'has' if len(short) == 1 else 'have'} fewer than {minimum} rows in a part of the given split"
        + (f" (taken out: {lost})" if lost else "")
        + f": {listed(classes)}. {rare_classes_advice()} Without the given split, the rows may be enough."
    )
