"""Replace words by what a masked language model expects in their place (Kobayashi 2018; Wu et al. 2019)."""

from __future__ import annotations

import random

from trainables.augment.english.protect import SplitText
from trainables.augment.english.words import Word, with_casing_of
from trainables.augment.models.masked_lm import MaskedLanguageModel
from trainables.augment.models.model_source import model_digest
from trainables.augment.operators.contextual import (
    ContextualOperator,
    differ_in_meaning_only,
    is_content_word,
    shared_model,
    why_no_model,
)
from trainables.settings import EncoderSettings

_NAME = "contextual_substitution"


class ContextualSubstitution(ContextualOperator):
    """Replace a share of the content words by words that fit their context.

    Function words and protected words (:mod:`trainables.augment.english.protect`) are left alone; punctuation and
    casing survive. A substitute is a whole content word, neither a form of the word nor its opposite nor its neighbour
    in the text. Words that the vocabulary holds in pieces only (names of substances, rare terms) are replaced where
    other words do not reach the number asked for. The model knows the context and not the label.

    Parameters
    ----------
    model
        The masked language model.
    strength
        Share of the words of a text that it may change, in (0, 1].
    top_k, temperature, masked_at_once, seed
        See :class:`trainables.augment.operators.contextual.ContextualOperator`.
    """

    def __init__(
        self,
        model: MaskedLanguageModel,
        strength: float,
        *,
        top_k: int = 100,
        temperature: float = 1.0,
        masked_at_once: float = 0.15,
        seed: int = 0,
    ) -> None:
        super().__init__(
            _NAME,
            model,
            strength,
            top_k=top_k,
            temperature=temperature,
            masked_at_once=masked_at_once,
            seed=seed,
        )

    def find_places(self, text: SplitText, n: int, rng: random.Random) -> list[int]:
        """Return up to n positions of content words, those of the vocabulary first."""
        known: list[int] = []
        rare: list[int] = []
        for piece in text.open:
            word = text.word(piece).core.lower()
            if is_content_word(word):
                (known if word in self.model else rare).append(piece)
        chosen = rng.sample(known, min(n, len(known)))
        chosen += rng.sample(rare, min(n - len(chosen), len(rare)))
        return sorted(chosen)

    def masked_tokens(self, first: int, last: int) -> tuple[int, int]:
        """Mask the whole word, however many tokens it has."""
        return first, last

    def fits(self, word: str, candidate: str) -> bool:
        """Return whether a candidate is another word and not the opposite."""
        return differ_in_meaning_only(word, candidate)

    def written(self, word: Word, candidate: str) -> str:
        """Return the piece with the candidate in the word's place."""
        return word.prefix + with_casing_of(word.core, candidate) + word.suffix


def why_unavailable(encoder: EncoderSettings, model: object = None, **_: object) -> str | None:
    """Return what is missing and how to get it, or None where the operator can run."""
    return why_no_model(_NAME, encoder, model)


def identity(model: str | None = None, **_: object) -> list[str]:
    """Return the digest of the model's files, or its revision, for cache keys; nothing for the encoder itself."""
    return [] if model is None else [model_digest(_NAME, "model", model)]


def build(
    strength: float,
    encoder: EncoderSettings,
    *,
    model: str | None = None,
    top_k: int = 100,
    temperature: float = 1.0,
    masked_at_once: float = 0.15,
) -> ContextualSubstitution:
    """Return the operator with the model of an option, else with the encoder's own masked-language-model head."""
    return ContextualSubstitution(
        shared_model(_NAME, encoder, model),
        strength,
        top_k=top_k,
        temperature=temperature,
        masked_at_once=masked_at_once,
    )
