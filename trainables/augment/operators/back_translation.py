"""Translate sentences there and back (Sennrich et al. 2016), sampling both ways (Edunov et al. 2018)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trainables.augment.english.sentences import split_sentences
from trainables.augment.models.gumbel import hash_of
from trainables.augment.models.model_source import model_digest, model_source, source_fault
from trainables.augment.operators.whole_text import WholeTextOperator, is_rewriting
from trainables.errors import ConfigurationError
from trainables.model.encoder import resolve_device, resolve_precision
from trainables.settings import EncoderSettings

_NAME = "back_translation"
_TRIES = 3


class Translates(Protocol):
    """What back-translation asks of a translator."""

    def translate(self, sentences: Sequence[str], keys: Sequence[int]) -> list[str | None]:
        """Return a translation of each sentence or None; element i depends on sentence and key i alone."""
        ...


@dataclass(slots=True)
class _Sentence:
    """A sentence on its way: where it belongs, and the key of its draws."""

    text: int
    part: int
    source: str
    key: int


class BackTranslation(WholeTextOperator):
    """Translate some sentences of a text there and back.

    A translated sentence may change in every word, so the strength says how many sentences are translated: random ones,
    as many as have together about that share of the words, and at least one. A text of one sentence is
    translated as a whole at every strength.

    What comes back is accepted if it has every value of its sentence (numerals, units, codes, negation; see
    :func:`trainables.augment.operators.whole_text.is_rewriting`) and is another one. Else it is drawn again, three
    times in all; then the sentence stays as it was and counts in ``unchanged``.

    Parameters
    ----------
    forward, backward
        Translators from the texts' language into another one and back.
    strength
        Share of the words of a text whose sentences are translated, in (0, 1].
    """

    def __init__(self, forward: Translates, backward: Translates, strength: float, *, seed: int = 0) -> None:
        super().__init__(_NAME, strength, seed)
        self._forward = forward
        self._backward = backward

    def augment_batch(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return one augmentation per text; element i depends on ``texts[i]`` and ``seeds[i]`` alone."""
        parts = [split_sentences(text) for text in texts]
        pending: list[_Sentence] = []
        for i, seed in zip(range(len(texts)), seeds, strict=True):
            rng = random.Random(seed)
            chosen = self._chosen(parts[i], rng)
            pending += [_Sentence(i, j, parts[i][j], rng.getrandbits(64)) for j in chosen]
        for number in range(_TRIES):
            if not pending:
                break
            made = self._there_and_back(pending, number)
            left = []
            for sentence, candidate in zip(pending, made, strict=True):
                if candidate is not None and is_rewriting(sentence.source, candidate):
                    parts[sentence.text][sentence.part] = candidate
                else:
                    left.append(sentence)
            self.rejected += len(left)
            pending = left
        self.unchanged += len(pending)
        return ["".join(part) for part in parts]

    def _chosen(self, parts: Sequence[str], rng: random.Random) -> list[int]:
        """Return positions of the sentences to translate."""
        lengths = {j: len(part.split()) for j, part in enumerate(parts) if _is_translatable(part)}
        budget = self.strength * sum(len(part.split()) for part in parts)
        chosen: list[int] = []
        for j in rng.sample(list(lengths), len(lengths)):
            # The last one goes in where that brings the words nearer to the share asked for.
            if not chosen or lengths[j] <= 2 * budget:
                chosen.append(j)
                budget -= lengths[j]
        return sorted(chosen)

    def _there_and_back(self, sentences: Sequence[_Sentence], number: int) -> list[str | None]:
        keys = [hash_of(sentence.key, number) for sentence in sentences]
        there = _where_there(self._forward.translate, [sentence.source for sentence in sentences], keys)
        return _where_there(self._backward.translate, there, [hash_of(key, 0) for key in keys])


def _where_there(
    translate: Callable[[Sequence[str], Sequence[int]], list[str | None]],
    sentences: Sequence[str | None],
    keys: Sequence[int],
) -> list[str | None]:
    """Translate the sentences that are not None or empty."""
    there = [(i, sentence) for i, sentence in enumerate(sentences) if sentence]
    made: list[str | None] = [None] * len(sentences)
    done = translate([sentence for _, sentence in there], [keys[i] for i, _ in there]) if there else []
    for (i, _), translated in zip(there, done, strict=True):
        made[i] = translated
    return made


def _is_translatable(sentence: str) -> bool:
    return sum(any(c.isalpha() for c in word) for word in sentence.split()) >= 2


def why_unavailable(forward: object = None, backward: object = None, **_: object) -> str | None:
    """Return which of the two models is missing and how to give it, or None where the operator can run."""
    if forward is None or backward is None:
        return (
            f"operator {_NAME} needs two translation models: give operator_options "
            f'{{"{_NAME}": {{"forward": "NAME@REVISION or folder", "backward": "NAME@REVISION or folder"}}}}, e.g. '
            "Helsinki-NLP/opus-mt-en-de and Helsinki-NLP/opus-mt-de-en with their commits from the Hub"
        )
    faults = (source_fault(_NAME, "forward", forward), source_fault(_NAME, "backward", backward))
    return "; ".join(fault for fault in faults if fault) or None


def identity(forward: str = "", backward: str = "", **_: object) -> list[str]:
    """Return digests of both models' files, or their revisions, for cache keys."""
    return [model_digest(_NAME, "forward", forward), model_digest(_NAME, "backward", backward)]


def build(
    strength: float,
    encoder: EncoderSettings,
    *,
    forward: str | None = None,
    backward: str | None = None,
    temperature: float = 0.8,
    top_k: int = 50,
) -> BackTranslation:
    """Return the operator; its models compute where, and in the precision in which, the encoder does.

    Parameters
    ----------
    strength
        Share of the words of a text whose sentences are translated, in (0, 1].
    encoder
        Names device and precision.
    forward, backward
        Folders or NAME@REVISION of models that each translate in one direction.
    temperature, top_k
        Of the sampling, both ways.

    Raises
    ------
    ConfigurationError
        A model is missing or cannot be loaded; temperature or top_k is out of range.
    """
    faults = [reason] if (reason := why_unavailable(forward, backward)) else []
    if not temperature > 0:
        faults.append(f"option temperature of the operator {_NAME} is {temperature!r}: expected more than 0")
    if not isinstance(top_k, int) or top_k < 1:
        faults.append(f"option top_k of the operator {_NAME} is {top_k!r}: expected a whole number from 1 on")
    if faults or forward is None or backward is None:
        raise ConfigurationError(faults)
    from trainables.augment.models.translator import load_translator

    where = (resolve_device(encoder), resolve_precision(encoder), temperature, top_k)
    there = load_translator(model_source(_NAME, "forward", forward), *where)
    return BackTranslation(
        there, load_translator(model_source(_NAME, "backward", backward), *where), strength
    )
