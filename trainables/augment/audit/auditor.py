"""What an operator does to real training rows: how much it changes, what it keeps, whether labels survive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.augment.audit.agreement import CrossFittedLabels
from trainables.augment.audit.similarity import mean_pooled
from trainables.augment.english.changed import changed_share, changed_words, count_words
from trainables.augment.english.numerals import numerals, numerals_survive
from trainables.augment.turns import augment_copies
from trainables.errors import ConfigurationError
from trainables.interval import Interval, mean_interval, share_interval
from trainables.seeds import derive_seed, generator
from trainables.settings import EncoderSettings

if TYPE_CHECKING:
    from trainables.augment.operator import Operator

# Words from which the achieved strength is judged: one word of a short text is more than was asked for.
LONG_TEXT = 20
NEAR_SHARE = 0.25


@dataclass(frozen=True)
class Audit:
    """One operator at one strength on training rows.

    Attributes
    ----------
    operator, strength
        What was audited; the strength is the share of words that was asked for.
    rows, copies
        Source rows, and augmentations of each.
    words_changed
        Share of words substituted, inserted or deleted, in sources of at least 20 words.
    unchanged
        Share of augmentations equal to their source.
    distinct
        Share of a source's augmentations that differ from its earlier ones.
    near_duplicates
        Share of augmentations after the first that differ from an earlier one of the same source in fewer than
        a quarter of the words in which they differ from the source.
    similarity
        Cosine between source and first augmentation, mean-pooled over the encoder's last hidden states.
    label_agreement, source_agreement, agreement_change
        Share to which a classifier that was trained on other groups gives the row's label: of augmentations, of
        the sources as they are, and the paired difference.
    numerals_kept
        Share of augmentations of texts with numerals in which all of them, with their units, stand in the same
        order. n counts the texts with numerals.
    """

    operator: str
    strength: float
    rows: int
    copies: int
    words_changed: Interval
    unchanged: Interval
    distinct: Interval
    near_duplicates: Interval
    similarity: Interval
    label_agreement: Interval
    source_agreement: Interval
    agreement_change: Interval
    numerals_kept: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the audit as plain JSON values."""
        return {
            field.name: value.to_json() if isinstance(value, Interval) else value
            for field in fields(self)
            for value in [getattr(self, field.name)]
        }


@dataclass(frozen=True)
class Example:
    """One augmentation beside its source."""

    source: str
    augmentation: str
    label: int


class Auditor:
    """Audit operators on the same rows: sources are encoded, and classifiers trained, once.

    Parameters
    ----------
    texts, labels, groups
        n training rows, and no others: the classifiers learn from them, and the audited rows are among them.
    encoder
        The pretrained encoder.
    rows
        Rows to audit, spread evenly over the classes as far as these go.
    copies
        Augmentations of each row.
    seed
        Every random choice is derived from it.
    among
        (k,) numbers of the rows that may be audited, e.g. those of a draw; None for all.

    Raises
    ------
    ConfigurationError
        There is nothing to audit.
    """

    def __init__(
        self,
        texts: Sequence[str],
        labels: npt.NDArray[np.int64],
        groups: Sequence[str],
        encoder: EncoderSettings,
        *,
        rows: int,
        copies: int,
        seed: int,
        among: npt.NDArray[np.int64] | None = None,
    ) -> None:
        if rows < 1 or copies < 1 or not len(texts) == len(labels) == len(groups) > 0:
            raise ConfigurationError(
                f"audit: {rows} rows and {copies} copies of {len(texts)} texts, {len(labels)} labels and "
                f"{len(groups)} groups: at least one of each, and as many labels and groups as texts, were expected"
            )
        candidates = np.arange(len(texts)) if among is None else among
        self.audited = _spread(labels, candidates, rows, seed)
        self.sources = [texts[row] for row in self.audited]
        self.labels = labels[self.audited]
        self._copies = copies
        self._seed = seed
        self._encoder = encoder
        self._vectors = mean_pooled(self.sources, encoder)
        self._classifiers = CrossFittedLabels(texts, labels, groups, self.audited, seed)
        self._source_right = self._right(self.sources, list(range(len(self.sources))))

    def audit(self, name: str, strength: float, operator: Operator) -> tuple[Audit, list[Example]]:
        """Augment every audited row and measure; the examples are the first augmentation of each row."""
        n, k = len(self.sources), self._copies
        places = [place for place in range(n) for _ in range(k)]
        seeds = [
            derive_seed(self._seed, f"audit/{int(self.audited[place])}", copy)
            for place in range(n)
            for copy in range(k)
        ]
        made = augment_copies(operator, [self.sources[place] for place in places], seeds, [*range(k)] * n)
        of_row = [made[start : start + k] for start in range(0, n * k, k)]
        first = [copies[0] for copies in of_row]
        pairs = list(zip(self.sources, of_row, strict=True))
        right = self._right(made, places)
        agreement = _means(right, k)
        judged = [i for i, value in enumerate(self._source_right) if value is not None]
        audit = Audit(
            operator=name,
            strength=strength,
            rows=n,
            copies=k,
            words_changed=mean_interval(
                [
                    float(np.mean([changed_share(source, copy) for copy in copies]))
                    for source, copies in pairs
                    if count_words(source) >= LONG_TEXT
                ]
            ),
            unchanged=share_interval(
                [sum(copy == source for copy in copies) / k for source, copies in pairs]
            ),
            distinct=share_interval([len(set(copies)) / k for copies in of_row]),
            near_duplicates=share_interval(
                [_near_share(source, copies) for source, copies in pairs if k > 1]
            ),
            similarity=mean_interval((self._vectors * mean_pooled(first, self._encoder)).sum(1).tolist()),
            label_agreement=share_interval([_known(agreement[i]) for i in judged]),
            source_agreement=share_interval([_known(self._source_right[i]) for i in judged]),
            agreement_change=mean_interval(
                [_known(agreement[i]) - _known(self._source_right[i]) for i in judged]
            ),
            numerals_kept=share_interval(
                [
                    sum(numerals_survive(source, copy) for copy in copies) / k
                    for source, copies in pairs
                    if numerals(source)
                ]
            ),
        )
        return audit, [
            Example(source, copy, int(label))
            for source, copy, label in zip(self.sources, first, self.labels, strict=True)
        ]

    def _right(self, texts: Sequence[str], places: Sequence[int]) -> list[float | None]:
        predicted = self._classifiers.predict(texts, places)
        return [
            None if guess < 0 else float(guess == self.labels[place])
            for guess, place in zip(predicted.tolist(), places, strict=True)
        ]


def _near_share(source: str, copies: Sequence[str]) -> float:
    near = 0
    for i, copy in enumerate(copies[1:], start=1):
        own = changed_words(source, copy)
        near += any(other == copy or changed_words(other, copy) < NEAR_SHARE * own for other in copies[:i])
    return near / (len(copies) - 1)


def _means(values: Sequence[float | None], k: int) -> list[float | None]:
    means: list[float | None] = []
    for start in range(0, len(values), k):
        known = [value for value in values[start : start + k] if value is not None]
        means.append(sum(known) / len(known) if known else None)
    return means


def _known(value: float | None) -> float:
    assert value is not None  # a row's copies are judged by the classifier that judges the row
    return value


def _spread(
    labels: npt.NDArray[np.int64], candidates: npt.NDArray[np.int64], rows: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return at most ``rows`` of the candidates: one of every class, another one of every class, and so on."""
    shuffled = generator(seed, "audit/rows").permutation(candidates)
    by_class = [shuffled[labels[shuffled] == label] for label in np.unique(labels[candidates])]
    turns = [
        (turn, number, row) for number, of_class in enumerate(by_class) for turn, row in enumerate(of_class)
    ]
    return np.array([row for *_, row in sorted(turns)[:rows]], dtype=np.int64)
