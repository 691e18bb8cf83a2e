"""Which texts of a replicate a stage trains on: one choice for each kind of arm.

A choice is made once per stage: every epoch goes over the same texts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.method.resampling import oversample, undersample
from trainables.seeds import generator
from trainables.settings import TrialSettings
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts

Labels = npt.NDArray[np.int64]  # (n,)


class ReplicateTexts(NamedTuple):
    """Texts of one replicate: the rows that were drawn, and the stage-1 set where the arm has one."""

    original: LabelledTexts
    stage1: LabelledTexts | None = None


class TextsChoice(NamedTuple):
    """Texts that a stage trains on.

    Attributes
    ----------
    select
        Makes them from the replicate's texts, the trial's settings and a seed, which is the same for every arm.
    reads
        Settings that decide them.
    """

    select: Callable[[ReplicateTexts, TrialSettings, int], LabelledTexts]
    reads: tuple[str, ...] = ()


def _stage1_set(texts: ReplicateTexts, settings: TrialSettings, seed: int) -> LabelledTexts:
    if texts.stage1 is None:
        raise ValueError(f"arm {settings.arm!r} trains on a stage-1 set but was given none")
    return texts.stage1


def _original_and_stage1_set(texts: ReplicateTexts, settings: TrialSettings, seed: int) -> LabelledTexts:
    stage1 = _stage1_set(texts, settings, seed)
    if settings.stage1_data.endswith("+original"):
        return stage1
    return LabelledTexts(
        TokenisedTexts.concatenate([texts.original.tokens, stage1.tokens]),
        np.concatenate([texts.original.labels, stage1.labels]),
    )


def _resampled(
    how: Callable[[Labels, np.random.Generator], npt.NDArray[np.int64]], purpose: str
) -> Callable[[ReplicateTexts, TrialSettings, int], LabelledTexts]:
    """Return a choice of rows by their labels; ``purpose`` keeps its random numbers apart from other choices'."""

    def select(texts: ReplicateTexts, settings: TrialSettings, seed: int) -> LabelledTexts:
        labels = texts.original.labels
        chosen = how(labels, generator(seed, purpose))
        return LabelledTexts(texts.original.tokens.select(chosen), labels[chosen])

    return select


_SET_READS = ("stage1_data", "stage1_rows_per_class", "operator", "strength", "copies")
ORIGINAL = TextsChoice(lambda texts, settings, seed: texts.original)
OVERSAMPLED = TextsChoice(_resampled(oversample, "oversample"))
UNDERSAMPLED = TextsChoice(_resampled(undersample, "undersample"))
AUGMENTED = TextsChoice(_stage1_set, _SET_READS)
DUPLICATED = TextsChoice(_stage1_set, ("stage1_data", "stage1_rows_per_class", "copies"))
ORIGINAL_AND_AUGMENTED = TextsChoice(_original_and_stage1_set, _SET_READS)
