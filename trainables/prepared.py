"""A corpus made ready once for every trial: split, tokenised, and small enough to ship to workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus
from trainables.corpora.imbalance import Profile, class_sizes, draw, largest_n_max
from trainables.corpora.leakage import split_corpus, split_remarks
from trainables.corpora.split import PARTS
from trainables.corpora.split_settings import SplitSettings
from trainables.corpora.wording import class_in_words, listed, shown
from trainables.errors import ConfigurationError
from trainables.model.encoder import load_tokenizer
from trainables.model.tokenizer import token_kinds
from trainables.reuse.cache import DEFAULT_MAX_BYTES
from trainables.reuse.checkpoint import EVERY_S
from trainables.reuse.lengths import NO_LENGTHS, StageLengths
from trainables.seeds import derive_seed, generator
from trainables.settings import NATURAL, EncoderSettings
from trainables.texts.coverage import Coverage, coverage
from trainables.texts.tokens import TokenisedTexts, tokenise
from trainables.texts.words import with_words

_FAR_FROM_RATIO = (
    1.5  # times the rows that the ratio asks for: more than rounding to whole rows gives from one row on
)


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

    def class_counts(self) -> dict[str, dict[str, int]]:
        """Return the rows per class of each part of the split."""
        labels = (self.train_labels, self.validation_labels, self.test_labels)
        return {
            part: dict(
                zip(self.classes, np.bincount(rows, minlength=len(self.classes)).tolist(), strict=True)
            )
            for part, rows in zip(PARTS, labels, strict=True)
        }


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
        Test sets to score beside validation: ``test``, ``test_skewed``.
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


def prepare(
    corpus: Corpus,
    encoder: EncoderSettings,
    *,
    study_seed: int,
    max_validation_rows: int | None,
    validation_per_class: int | None = None,
    split_settings: SplitSettings | None = None,
    max_test_rows: int | None = None,
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

    Raises
    ------
    ConfigurationError
        A class has too few rows for the split.
    """
    corpus = corpus.in_canonical_order()
    split_settings = split_settings or SplitSettings()
    split = split_corpus(corpus, seed=derive_seed(study_seed, "split"), settings=split_settings)
    validation, test = split.validation, split.test
    if max_test_rows is not None and len(test) > max_test_rows:
        rng = generator(study_seed, "test")
        kept = draw(corpus.labels[test], NATURAL, max_rows=max_test_rows, rng=rng, bound="max_test_rows")
        test = test[kept]
    if validation_per_class is not None:
        kept = _balanced(corpus, validation, validation_per_class, generator(study_seed, "validation"))
        validation = validation[kept]
    elif max_validation_rows is not None and len(validation) > max_validation_rows:
        kept = draw(
            corpus.labels[validation],
            NATURAL,
            max_rows=max_validation_rows,
            rng=generator(study_seed, "validation"),
            bound="max_validation_rows",
        )
        validation = validation[kept]
    tokenizer = load_tokenizer(encoder)
    tokens = with_words(tokenise(corpus.texts, tokenizer, encoder.max_length), corpus.texts)
    seen = np.concatenate([split.train, validation])
    return PreparedCorpus(
        train_texts=[corpus.texts[i] for i in split.train],
        train_tokens=tokens.select(split.train),
        train_labels=corpus.labels[split.train],
        validation_tokens=tokens.select(validation),
        validation_labels=corpus.labels[validation],
        test_tokens=tokens.select(test),
        test_labels=corpus.labels[test],
        classes=corpus.classes,
        digest=corpus.digest,
        remarks=split_remarks(corpus, split, split_settings),
        coverage=coverage(
            tokens.select(seen), corpus.labels[seen], token_kinds(tokenizer), encoder.max_length
        ),
    )


def _balanced(
    corpus: Corpus, validation: npt.NDArray[np.int64], per_class: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    labels = corpus.labels[validation]
    counts = np.bincount(labels, minlength=len(corpus.classes)).tolist()
    if min(counts) < per_class:
        few = sorted((n, name) for name, n in zip(corpus.classes, counts, strict=True) if n < per_class)
        raise ConfigurationError(
            f"validation_per_class is {per_class}, but {len(few)} of {len(counts)} classes "
            f"{'has' if len(few) == 1 else 'have'} fewer validation rows: "
            f"{listed([class_in_words(name, n) for n, name in few])}; lower it to {min(counts)} or less, or leave rare "
            "classes out (--rare-classes, --min-rows)."
        )
    return draw(labels, 1.0, n_max=per_class, rng=rng, n_classes=len(counts))


def count_faults(
    prepared: PreparedCorpus, ratios: Sequence[float | str], profile: Profile | str, n_max: int
) -> list[str]:
    """Return a fault for every imbalance ratio at which classes have too few training rows for the requested n_max.

    Parameters
    ----------
    prepared
        The corpus.
    ratios
        Imbalance ratios of the study; ``natural`` is ignored.
    profile
        The profile, or its name.
    n_max
        Rows of the majority.
    """
    faults = []
    for ratio, lacking in _lacking(prepared, ratios, profile, n_max):
        few = [f"{class_in_words(name, count)}, {size} needed" for name, count, size in lacking]
        faults.append(
            f"n_max is {n_max}, but {len(few)} of {len(prepared.classes)} classes {'has' if len(few) == 1 else 'have'} "
            f"fewer training rows than imbalance ratio {ratio:g} needs: {listed(few)}. Lower n_max (or the "
            "counts), use more data, or leave rare classes out (--rare-classes, --min-rows)."
        )
    return faults


def _lacking(
    prepared: PreparedCorpus, ratios: Sequence[float | str], profile: Profile | str, n_max: int
) -> Iterator[tuple[float, list[tuple[str, int, int]]]]:
    """Go through the imposed ratios that ask for more than there is: classes with the rows they have and should."""
    counts = np.bincount(prepared.train_labels, minlength=len(prepared.classes)).tolist()
    for ratio in map(float, (ratio for ratio in ratios if ratio != NATURAL)):
        sizes = class_sizes(counts, ratio, profile, n_max)
        rows = zip(prepared.classes, counts, sizes, strict=True)
        lacking = [(name, count, size) for name, count, size in rows if size > count]
        if lacking:
            yield ratio, lacking


def short_class_remarks(
    prepared: PreparedCorpus, ratios: Sequence[float | str], profile: Profile | str, n_max: int
) -> tuple[str, ...]:
    """Say which classes have fewer rows than the profile asks for and keep all of them; nothing where none has.

    Parameters
    ----------
    prepared, ratios, profile, n_max
        As for :func:`count_faults`.
    """
    profile = Profile.of(profile)
    if not profile.keep_short:
        return ()
    remarks = []
    for ratio, lacking in _lacking(prepared, ratios, replace(profile, keep_short=False), n_max):
        few = [f"'{shown(name)}' ({count:,} of {size:,})" for name, count, size in lacking]
        remarks.append(
            f"Imbalance ratio {ratio:g} with n_max {n_max}: {len(few)} of {len(prepared.classes)} classes have fewer "
            f"training rows than the profile gives them and keep all of them: {listed(few)}."
        )
    return tuple(remarks)


def shared_n_max(
    prepared: PreparedCorpus,
    ratios: Sequence[float | str],
    profile: Profile | str,
    max_train_rows: int | None,
) -> int:
    """Return the n_max that all imposed ratios share: as large as the classes and ``max_train_rows`` allow.

    Parameters
    ----------
    prepared
        The corpus.
    ratios
        Imbalance ratios of the study; ``natural`` is ignored.
    profile
        The profile, or its name.
    max_train_rows
        Bound on the rows of the largest draw, which is the one at the mildest ratio.
    """
    imposed = [float(ratio) for ratio in ratios if ratio != NATURAL]
    counts = np.bincount(prepared.train_labels, minlength=len(prepared.classes))
    if not imposed:
        return int(counts.max())
    n_max = largest_n_max(counts.tolist(), imposed, profile)
    if max_train_rows is not None:
        n_max = min(n_max, max(1, int(max_train_rows / _rows_per_n_max(imposed, profile, len(counts)))))
    return n_max


def ratio_remarks(ratios: Sequence[float | str], n_max: int) -> tuple[str, ...]:
    """Say at which imposed ratios whole rows, of which every class has at least one, make another ratio.

    Examples
    --------
    >>> ratio_remarks([0.1, 0.5, "natural"], 20)
    ()
    >>> ratio_remarks([0.01], 4)
    ('Imbalance ratio 0.01: of n_max 4 rows that is less than one, so minority classes have 1 row, a ratio of 0.25.',)
    """
    remarks = []
    for ratio in map(float, (ratio for ratio in ratios if ratio != NATURAL)):
        [_, least] = class_sizes([2, 1], ratio, "step", n_max)
        if least > n_max * ratio * _FAR_FROM_RATIO:
            remarks.append(
                f"Imbalance ratio {ratio:g}: of n_max {n_max} rows that is less than one, so minority classes have "
                f"1 row, a ratio of {least / n_max:.3g}."
            )
    return tuple(remarks)


def _rows_per_n_max(ratios: Sequence[float], profile: Profile | str, n_classes: int) -> float:
    mildest = max(ratios)
    if Profile.of(profile).name == "step":
        majority = (n_classes + 1) // 2
        return majority + (n_classes - majority) * mildest
    return float(sum(mildest ** (rank / (n_classes - 1)) for rank in range(n_classes)))
