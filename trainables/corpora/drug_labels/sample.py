"""The generated sample: invented pharmacokinetics paragraphs over invented drugs, for use without a network.

It has the classes, the skew and the group structure of the ADME corpus, and paragraphs that touch several topics,
so that every part of a study can run on it. Results on it mean nothing about real labels.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Sequence
from typing import TypeVar

from trainables.corpora.corpus import Corpus
from trainables.corpora.drug_labels.headings import CLASSES
from trainables.corpora.drug_labels.sample_sentences import ENZYMES, LEADING, SHARED, SYLLABLES, TRANSPORTERS
from trainables.corpora.notices import SAMPLE
from trainables.corpora.rows import Row, build_corpus
from trainables.errors import ConfigurationError
from trainables.seeds import derive_seed

_Item = TypeVar("_Item")
_PRIOR = {"absorption": 0.16, "distribution": 0.11, "metabolism": 0.11, "excretion": 0.17, "other": 0.45}
_PARAGRAPHS_PER_DRUG = 6
_SENTENCES = (1, 2, 3, 3, 4, 4, 5)
_ONLY_SHARED = 0.25  # share of paragraphs without a sentence that is their class's own
_FOREIGN = 0.6  # chance of each further sentence to belong to another class
_ALTERNATIVES = re.compile(r"\[([^\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_MAX_TRIES = 50


class _Dice:
    """Choices by ``random()`` alone, whose sequence Python keeps the same in all versions and on all machines."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def one_of(self, items: Sequence[_Item]) -> _Item:
        return items[int(self._random.random() * len(items))]

    def between(self, low: int, high: int) -> int:
        return low + int(self._random.random() * (high - low + 1))

    def weighted(self, weights: dict[str, float]) -> str:
        rest = self._random.random() * sum(weights.values())
        for name, weight in weights.items():
            rest -= weight
            if rest < 0:
                return name
        return name


def generate_sample(n_paragraphs: int = 1500, seed: int = 0) -> Corpus:
    """Generate the sample corpus; the same arguments give the same texts everywhere.

    Parameters
    ----------
    n_paragraphs
        Number of paragraphs; about one invented drug (group) for every six.
    seed
        Seed of the texts.

    Raises
    ------
    ConfigurationError
        When fewer paragraphs than 100 are asked for: some class would be missing.

    Examples
    --------
    >>> corpus = generate_sample(200)
    >>> len(corpus), corpus.is_sample
    (200, True)
    """
    if n_paragraphs < 100:
        raise ConfigurationError(f"sample: {n_paragraphs} paragraphs asked for, expected at least 100.")
    dice = _Dice(derive_seed(seed, "sample"))
    drugs = _drug_names(dice, n_paragraphs // _PARAGRAPHS_PER_DRUG)
    rows: list[Row] = []
    seen: set[str] = set()
    for number in range(n_paragraphs):
        drug = drugs[number % len(drugs)]
        label = dice.weighted(_PRIOR)
        text = _new_paragraph(dice, label, drug, drugs, seen)
        seen.add(text.lower())
        rows.append(Row(text, label, drug, f"generated sample seed={seed} #{number}"))
    corpus = build_corpus(rows, CLASSES, source="generated sample", is_sample=True)
    return dataclasses.replace(corpus, notice=SAMPLE)


def _drug_names(dice: _Dice, n: int) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < n:
        names["".join(dice.one_of(part) for part in SYLLABLES)] = None
        if len(names) >= 1500:  # more drugs than the syllables give: number them
            return [f"{name}-{index}" for index in range(n // len(names) + 1) for name in names][:n]
    return list(names)


def _new_paragraph(dice: _Dice, label: str, drug: str, drugs: list[str], seen: set[str]) -> str:
    for _ in range(_MAX_TRIES):
        text = " ".join(_fill(dice, pattern, drug, drugs) for pattern in _patterns(dice, label))
        if text.lower() not in seen:
            return text
    raise ConfigurationError("sample: no new paragraph could be made; ask for fewer paragraphs.")


def _patterns(dice: _Dice, label: str) -> list[str]:
    """Choose the sentences of one paragraph, without repeating one."""
    shared = [pattern for pair, patterns in SHARED for pattern in patterns if label in pair]
    length = dice.one_of(_SENTENCES)
    if dice.chance(_ONLY_SHARED):
        return _distinct(dice, [shared] * min(length, 3))
    banks: list[Sequence[str]] = [LEADING[label]]
    for _ in range(length - 1):
        if dice.chance(_FOREIGN):
            other = dice.one_of([name for name in CLASSES if name != label])
            banks.append(LEADING[other] if dice.chance(0.5) else shared)
        else:
            banks.append(LEADING[label])
    return _distinct(dice, banks)


def _distinct(dice: _Dice, banks: list[Sequence[str]]) -> list[str]:
    chosen: list[str] = []
    for bank in banks:
        chosen.append(dice.one_of([pattern for pattern in bank if pattern not in chosen]))
    if len(chosen) > 2 and dice.chance(0.3):  # the topic does not always come first
        chosen[0], chosen[1] = chosen[1], chosen[0]
    return chosen


def _fill(dice: _Dice, pattern: str, drug: str, drugs: list[str]) -> str:
    text = _ALTERNATIVES.sub(lambda match: dice.one_of(match[1].split("|")), pattern)
    low = dice.between(1, 40) * 5
    values = {
        "drug": drug,
        "Drug": drug.capitalize(),
        "other_drug": dice.one_of([name for name in drugs if name != drug]),
        "pct": str(dice.between(3, 99)),
        "small": str(dice.between(1, 15)),
        "hours": f"{dice.between(1, 95) / 4:g}",
        "days": str(dice.between(2, 28)),
        "mg": str(low),
        "mg2": str(low * dice.between(2, 8)),
        "ng": str(dice.between(12, 950)),
        "ng2": str(dice.between(960, 9900)),
        "litres": str(dice.between(4, 1900)),
        "ratio": f"{dice.between(3, 48) / 10:g}",
        "count": str(dice.between(2, 60)),
        "code": f"M{dice.between(1, 19)}",
        "enzyme": dice.one_of(ENZYMES),
        "enzyme2": dice.one_of(ENZYMES),
        "transporter": dice.one_of(TRANSPORTERS),
    }
    filled = _SLOT.sub(lambda match: values[match[1]], text)
    return filled[0].upper() + filled[1:]
