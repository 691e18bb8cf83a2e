"""A corpus made ready once for every trial: split, tokenised, and small enough to ship to workers.

All replicates share this one split; :mod:`trainables.resplit` gives each of them one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus
from trainables.corpora.imbalance import Profile, draw
from trainables.corpora.leakage import split_remarks
from trainables.corpora.split import PARTS
from trainables.corpora.split_settings import SplitSettings
from trainables.corpora.wording import class_in_words, listed
from trainables.errors import ConfigurationError
from trainables.read_corpus import ReadCorpus, read_corpus
from trainables.reuse.cache import DEFAULT_MAX_BYTES
from trainables.reuse.checkpoint import EVERY_S
from trainables.reuse.lengths import NO_LENGTHS, StageLengths
from trainables.seeds import generator
from trainables.settings import NATURAL, EncoderSettings
from trainables.texts.coverage import Coverage
from trainables.texts.tokens import TokenisedTexts
from trainables.truncation import TOKENS


@dataclass(frozen=True)
class PreparedCorpus:
    """What workers get by reference from the object store.

    Attributes
    ----------
    train_texts
        Texts of the training rows; augmentation sees nothing else.
    train_tokens, validation_tokens, test_tokens
        The same rows as token ids, and as words.
    train_labels, validation_labels, test_labels
        int64 class indices.
    classes
        Class names.
    digest
        The corpus's digest; together with the run's seed and encoder it decides everything above.
    remarks
        Sentences, for people, on what became of the texts: what the encoder does not know, for example.
    coverage
        How much of the training and validation texts the encoder knows.
    ranked_by
        Rows per class by which classes are ranked from majority to minority; empty for those of the training part.
    validation_texts
        Texts of the validation rows, for the model that is trained on them too once everything is decided.
    test_groups
        Number of the group of each test row, its near-duplicates included.
    judged_on
        What :func:`prepare` was given.
    """

    train_texts: Sequence[str]
    train_tokens: TokenisedTexts
    train_labels: npt.NDArray[np.int64]
    validation_tokens: TokenisedTexts
    validation_labels: npt.NDArray[np.int64]
    test_tokens: TokenisedTexts
    test_labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    digest: str
    remarks: tuple[str, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    ranked_by: tuple[int, ...] = ()
    validation_texts: Sequence[str] = ()
    test_groups: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    judged_on: str = TOKENS

    def without_test(self) -> PreparedCorpus:
        """Return the same corpus without its test rows."""
        none = np.zeros(0, np.int64)
        return replace(self, test_tokens=self.test_tokens.select(none), test_labels=none, test_groups=none)

    def of_replicate(self, replicate: int) -> PreparedCorpus:
        """Return the parts that a replicate trains and is scored on: these, whichever it is."""
        return self

    def train_rows(self) -> npt.NDArray[np.int64]:
        """Return the (1, C) training rows per class, one line for all replicates."""
        return np.bincount(self.train_labels, minlength=len(self.classes))[None]

    def class_counts(self) -> dict[str, dict[str, int]]:
        """Return the rows per class of each part of the split."""
        labels = (self.train_labels, self.validation_labels, self.test_labels)
        return {
            part: dict(
                zip(self.classes, np.bincount(rows, minlength=len(self.classes)).tolist(), strict=True)
            )
            for part, rows in zip(PARTS, labels, strict=True)
        }


class CorpusOfReplicates(Protocol):
    """What workers get: for every replicate the parts that it trains and is scored on."""

    def of_replicate(self, replicate: int) -> PreparedCorpus:
        """Return a replicate's parts."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What all trials of a study have in common.

    Attributes
    ----------
    study_seed
        Seed of the study; every generator is derived from it.
    encoder
        The pretrained encoder.
    profile
        How the class counts fall from majority to minority: the profile, or its name.
    n_max
        Rows of the largest class at every imposed ratio, so that only the imbalance differs.
    max_train_rows
        Bound on the rows of a draw at the natural ratio.
    cache_dir
        Folder of the content-addressed cache, visible to every node.
    operator_options
        Options of augmentation operators, ``{operator: {option: value}}``.
    share_vanilla
        Keep vanilla's weights in the cache, for arms that begin with them (``crt``, ``feature_smote``).
    stage1_grid
        Lengths of stage 1 that a search may propose; a longer stage 1 stores its weights at each of them on its way.
    cache_max_bytes
        Limit on the size of the cache.
    checkpoint_every_s
        Seconds between two checkpoints within a stage.
    test_sets
        Test sets to score beside validation, see :data:`trainables.settings.TEST_SETS`.
    scores_dir
        Folder where the scores of confirmed runs are kept, visible to every node.
    """

    study_seed: int
    encoder: EncoderSettings
    profile: Profile | str
    n_max: int
    max_train_rows: int | None
    cache_dir: str
    operator_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    share_vanilla: bool = False
    stage1_grid: StageLengths = NO_LENGTHS
    cache_max_bytes: int = DEFAULT_MAX_BYTES
    checkpoint_every_s: float = EVERY_S
    test_sets: tuple[str, ...] = ()
    scores_dir: str = ""


def prepare(
    corpus: Corpus,
    encoder: EncoderSettings,
    *,
    study_seed: int,
    max_validation_rows: int | None,
    validation_per_class: int | None = None,
    split_settings: SplitSettings | None = None,
    max_test_rows: int | None = None,
    judged_on: str = TOKENS,
    read: ReadCorpus | None = None,
) -> PreparedCorpus:
    """Split a corpus by group, as its source says, or as the settings say, and tokenise it.

    Parameters
    ----------
    corpus, encoder
        The corpus to split, and the encoder whose tokenizer is used.
    study_seed
        Seed of the study.
    max_validation_rows
        Bound on the validation rows, which keep their class proportions.
    validation_per_class
        Validation rows of every class; replaces ``max_validation_rows``.
    split_settings
        How the corpus is split, see :func:`trainables.corpora.leakage.split_corpus`.
    max_test_rows
        Bound on the test rows, which keep their class proportions.
    judged_on
        What decides which rows leak: ``"tokens"``, where texts that are equal in what the encoder reads of them do, or
        ``"texts"``, where only whole texts are compared, as in studies of earlier versions.
    read
        The corpus as read with the same values, where that is there already.

    Raises
    ------
    ConfigurationError
        A class has too few rows for the split.
    """
    settings = split_settings or SplitSettings()
    read = read or read_corpus(
        corpus, encoder, study_seed=study_seed, split_settings=settings, judged_on=judged_on
    )
    corpus, tokens, split = read.corpus, read.tokens, read.split
    if validation_per_class is not None:
        few = np.bincount(corpus.labels[split.validation], minlength=len(corpus.classes))
        check_validation_per_class(few[None], corpus.classes, validation_per_class)
    validation = split.validation[
        scored_rows(
            corpus.labels[split.validation],
            max_validation_rows,
            validation_per_class,
            generator(study_seed, "validation"),
        )
    ]
    test = split.test[test_rows(corpus.labels[split.test], max_test_rows, study_seed)]
    seen = np.concatenate([split.train, validation])
    return PreparedCorpus(
        train_texts=[corpus.texts[i] for i in split.train],
        train_tokens=tokens.select(split.train),
        train_labels=corpus.labels[split.train],
        validation_tokens=tokens.select(validation),
        validation_labels=corpus.labels[validation],
        test_tokens=tokens.select(test),
        test_labels=corpus.labels[test],
        test_groups=read.groups()[test],
        classes=corpus.classes,
        digest=corpus.digest,
        remarks=(
            *split_remarks(corpus, split, settings),
            *read.truncation_remarks(split),
        ),
        coverage=read.coverage(seen),
        validation_texts=[corpus.texts[i] for i in validation],
        judged_on=judged_on,
    )


def scored_rows(
    labels: npt.NDArray[np.int64], max_rows: int | None, per_class: int | None, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return which rows of a validation part, (n,) class indices, arms are scored on.

    Parameters
    ----------
    labels
        Of the whole part.
    max_rows, per_class
        ``max_validation_rows`` and ``validation_per_class`` of :func:`prepare`.
    rng
        Generator of this choice.

    Raises
    ------
    ConfigurationError
        ``max_rows`` cannot hold two rows of every class.
    """
    if per_class is not None:
        return draw(labels, 1.0, n_max=per_class, rng=rng)
    return draw(labels, NATURAL, max_rows=max_rows, rng=rng, bound="max_validation_rows")


def test_rows(labels: npt.NDArray[np.int64], max_rows: int | None, study_seed: int) -> npt.NDArray[np.int64]:
    """Return which rows of a test part, (n,) class indices, arms are scored on: ``max_test_rows`` of them at most."""
    rng = generator(study_seed, "test")
    return draw(labels, NATURAL, max_rows=max_rows, rng=rng, bound="max_test_rows")


def check_validation_per_class(
    validation_rows: npt.NDArray[np.int64], classes: Sequence[str], per_class: int
) -> None:
    """Refuse a balanced validation part that is larger than the classes allow.

    Parameters
    ----------
    validation_rows
        (R, C) validation rows per class of each replicate, or of all in one line.
    classes
        C class names.
    per_class
        Rows of every class that are asked for.

    Raises
    ------
    ConfigurationError
        Naming the classes that have fewer.
    """
    least, where = validation_rows.min(axis=0), validation_rows.argmin(axis=0)
    few = sorted(
        (int(n), name, int(where[c]))
        for c, (name, n) in enumerate(zip(classes, least, strict=True))
        if n < per_class
    )
    if not few:
        return
    several = len(validation_rows) > 1
    raise ConfigurationError(
        f"validation_per_class is {per_class}, but {len(few)} of {len(classes)} classes "
        f"{'has' if len(few) == 1 else 'have'} fewer validation rows: "
        f"{listed([class_in_words(name, n) + in_replicate(replicate, several) for n, name, replicate in few])}; lower "
        f"it to {least.min()} or less, or leave rare classes out (--rare-classes, --min-rows)."
    )


def in_replicate(replicate: int, several: bool) -> str:
    """Return which replicate a number of rows is of; empty where all replicates share one split."""
    return f" in replicate {replicate}" if several else ""
