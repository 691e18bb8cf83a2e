"""Tokenised texts with their labels: what a stage trains on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.texts.tokens import TokenisedTexts


@dataclass(frozen=True)
class LabelledTexts:
    """n texts and their (n,) int64 labels."""

    tokens: TokenisedTexts
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)
