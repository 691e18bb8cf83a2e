"""Insert words that a masked language model expects between two others."""

from __future__ import annotations

import random

from trainables.augment.english.opposites import has_opposite
from trainables.augment.english.protect import SplitText
from trainables.augment.english.words import Word, ends_sentence
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

_NAME = "contextual_insertion"


class ContextualInsertion(ContextualOperator):
    """Insert words, as many as a share of those that are there.

    A word is inserted before a content word that does not start a sentence and is not protected, so that nothing
    comes between a value and its unit or into a name. It is a content word that has no known opposite
    (:func:`trainables.augment.english.opposites.has_opposite`): "increased" or "poor" would assert something new. The
    words that were there all stay. What is inserted is plausible and still a claim of its own: audit it.

    Parameters
    ----------
    model
        The masked language model.
    strength
        Inserted words as a share of the words of a text, in (0, 1].
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
        """Return up to n positions of words to insert before."""
        places = [
            piece
            for piece in text.open
            if piece > 0
            and text.pieces[piece - 2]
            and not ends_sentence(text.pieces[piece - 2])
            and is_content_word(text.word(piece).core.lower())
        ]
        return sorted(rng.sample(places, min(n, len(places))))

    def masked_tokens(self, first: int, last: int) -> tuple[int, int]:
        """Mask nothing that is there: the mask stands before the word."""
        return first, first

    def fits(self, word: str, candidate: str) -> bool:
        """Return whether a candidate says something else than the word it precedes and takes no side."""
        return differ_in_meaning_only(word, candidate) and not has_opposite(candidate)

    def written(self, word: Word, candidate: str) -> str:
        """Return the piece with the candidate before the word: ``(drug),`` gives ``(new drug),``."""
        shouted = len(word.core) > 1 and word.core.isupper()
        return f"{word.prefix}{candidate.upper() if shouted else candidate} {word.core}{word.suffix}"


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
) -> ContextualInsertion:
    """Return the operator with the model of an option, else with the encoder's own masked-language-model head."""
    return ContextualInsertion(
        shared_model(_NAME, encoder, model),
        strength,
        top_k=top_k,
        temperature=temperature,
        masked_at_once=masked_at_once,
    )
