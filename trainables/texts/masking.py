"""Masked tokens: which tokens of a batch a masked language model is asked for, and what stands in their places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.texts.tokens import TokenisedTexts

NOT_ASKED = -1
# Of the tokens that are asked for: share that the mask token replaces, and that another token replaces; the others
# stay as they are.
_MASKED, _REPLACED = 0.8, 0.1


@dataclass(frozen=True)
class MaskableVocabulary:
    """What masking needs to know of a tokenizer.

    Attributes
    ----------
    mask_id
        Entry of the mask token.
    is_ordinary
        (V,) bool, False for special tokens: they are never asked for, and never take another token's place.
    """

    mask_id: int
    is_ordinary: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MaskedTexts:
    """Texts with some of their tokens hidden.

    Attributes
    ----------
    shown
        What the model sees.
    targets
        The tokens that it is asked for, in their places; :data:`NOT_ASKED` everywhere else.
    """

    shown: TokenisedTexts
    targets: TokenisedTexts

    @property
    def n_asked(self) -> int:
        """Tokens that are asked for."""
        return int((self.targets.ids != NOT_ASKED).sum())

    def select(self, rows: npt.ArrayLike) -> MaskedTexts:
        """Return the texts of the given row numbers, in their order."""
        return MaskedTexts(self.shown.select(rows), self.targets.select(rows))


def mask_tokens(
    texts: TokenisedTexts, vocabulary: MaskableVocabulary, rate: float, rng: np.random.Generator
) -> MaskedTexts:
    """Hide some of the tokens of texts.

    Each token that is not special is asked for with probability ``rate``. Of these, 80 % are replaced by the mask token
    and 10 % by another ordinary token; 10 % stay.

    Parameters
    ----------
    texts
        The texts.
    vocabulary
        Their tokenizer's.
    rate
        Share of tokens to ask for, in (0, 1].
    rng
        Where the choice comes from.

    References
    ----------
    Devlin et al., BERT, NAACL 2019, section 3.1 and appendix A.1.
    """
    ids = texts.ids
    asked = vocabulary.is_ordinary[ids] & (rng.random(len(ids)) < rate)
    fate = rng.random(len(ids))
    shown = np.where(asked & (fate < _MASKED), np.int32(vocabulary.mask_id), ids)
    replaced = asked & (fate >= _MASKED) & (fate < _MASKED + _REPLACED)
    ordinary = np.flatnonzero(vocabulary.is_ordinary)
    shown[replaced] = ordinary[rng.integers(len(ordinary), size=int(replaced.sum()))]
    targets = np.where(asked, ids, np.int32(NOT_ASKED))
    return MaskedTexts(TokenisedTexts(shown, texts.offsets), TokenisedTexts(targets, texts.offsets))
