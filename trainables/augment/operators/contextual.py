"""What contextual substitution and insertion share: places in a text, filled by a masked language model in rounds.

A model that sees too many holes at once guesses; one that fills them one by one, as nlpaug does, runs once a word. So
at most ``masked_at_once`` of the words of a text are masked in one pass (by default .15, the share on which BERT's
kind was trained), spread evenly, and each further pass sees what the earlier ones wrote. All texts go
through a round together. Up to a strength of .15 one pass does it; .3 takes two.

The word is drawn with the model's probabilities, renormalised over the ``top_k`` likeliest content words that fit.
(nlpaug draws uniformly among ten acceptable ones of twenty draws.) The draw is a Gumbel-max whose noise is
a hash of the seed, the place and the candidate, so that no candidate's chances depend on which others were looked at.
"""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from trainables.augment.english.articles import article_agrees
from trainables.augment.english.opposites import are_opposed
from trainables.augment.english.protect import FUNCTION_WORDS, SplitText, find_open_words
from trainables.augment.english.word_forms import share_stem
from trainables.augment.english.words import Word, parse
from trainables.augment.models.gumbel import gumbel, hash_of
from trainables.augment.models.masked_lm import (
    EncodedText,
    MaskedLanguageModel,
    Proposals,
    Window,
    load_masked_lm,
)
from trainables.augment.models.model_source import ModelSource, model_source, source_fault
from trainables.augment.operator import WordOperator
from trainables.errors import ConfigurationError
from trainables.model.encoder import has_masked_lm_head, resolve_device, resolve_precision
from trainables.settings import EncoderSettings

_CONTEXT = 32  # least tokens on either side of a masked position of a text longer than a window


@dataclass(slots=True)
class Place:
    """A place of a text where a word is written.

    Attributes
    ----------
    piece
        Position in the text's pieces.
    start, end
        Tokens that the mask takes the place of.
    key
        Seed of its draw.
    choice
        Position of the word chosen, in the model's words; None before, and where none fits.
    """

    piece: int
    start: int
    end: int
    key: int
    choice: int | None = None


@dataclass(slots=True)
class Draft:
    """A text on its way through the rounds, and the words written so far, by piece."""

    text: SplitText
    tokens: list[int]
    rounds: list[list[Place]]
    written: dict[int, str] = field(default_factory=dict)

    @property
    def places(self) -> list[Place]:
        """All places in the order of the text."""
        return sorted((place for places in self.rounds for place in places), key=lambda place: place.piece)


class ContextualOperator(WordOperator):
    """Base of the operators that let a masked language model write words.

    Parameters
    ----------
    name
        Name in the registry.
    model
        The masked language model.
    strength
        Share of the words of a text that it may change, in (0, 1].
    top_k
        Likeliest words that are drawn from.
    temperature
        Of the draw; below 1 the likeliest words come more often.
    masked_at_once
        Most words masked in one pass, as a share of the text's words, rounded up.

    Raises
    ------
    ConfigurationError
        A value is outside its range.
    """

    def __init__(
        self,
        name: str,
        model: MaskedLanguageModel,
        strength: float,
        *,
        top_k: int = 100,
        temperature: float = 1.0,
        masked_at_once: float = 0.15,
        seed: int = 0,
    ) -> None:
        super().__init__(name, strength, seed)
        faults = []
        if not isinstance(top_k, int) or top_k < 1:
            faults.append(
                f"option top_k of the operator {name} is {top_k!r}: expected a whole number from 1 on"
            )
        if not temperature > 0:
            faults.append(
                f"option temperature of the operator {name} is {temperature!r}: expected more than 0"
            )
        if not 0 < masked_at_once <= 1:
            faults.append(
                f"option masked_at_once of the operator {name} is {masked_at_once!r}: expected a share in (0, 1]"
            )
        if faults:
            raise ConfigurationError(faults)
        self.model = model
        self.top_k = top_k
        self.temperature = temperature
        self.masked_at_once = masked_at_once

    @abstractmethod
    def find_places(self, text: SplitText, n: int, rng: random.Random) -> list[int]:
        """Return up to n positions of pieces at which to write."""

    @abstractmethod
    def masked_tokens(self, first: int, last: int) -> tuple[int, int]:
        """Return the tokens that the mask replaces at a word of tokens ``first`` to ``last`` (exclusive)."""

    @abstractmethod
    def fits(self, word: str, candidate: str) -> bool:
        """Return whether a candidate may be written at a word; both are lower-case."""

    @abstractmethod
    def written(self, word: Word, candidate: str) -> str:
        """Return what stands in the place of a piece, ``candidate`` written."""

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Change one text."""
        whole = "".join(text.pieces)
        return self._filled([self._draft(text, self.model.encode([whole])[0], whole, rng)])[0]

    def augment_batch(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return one augmentation per text; element i depends on ``texts[i]`` and ``seeds[i]`` alone."""
        different = list(dict.fromkeys(texts))
        known = {
            text: (find_open_words(text), encoded)
            for text, encoded in zip(different, self.model.encode(different), strict=True)
        }
        return self._filled(
            [
                self._draft(*known[text], text, random.Random(seed))
                for text, seed in zip(texts, seeds, strict=True)
            ]
        )

    def _draft(self, text: SplitText, encoded: EncodedText, whole: str, rng: random.Random) -> Draft:
        pieces = self.find_places(text, self.n_changes(text), rng)
        key = rng.getrandbits(64)
        found = []
        for piece, (first, last) in zip(pieces, _token_spans(text, pieces, encoded, whole), strict=True):
            if first < last:
                start, end = self.masked_tokens(first, last)
                found.append(Place(piece, start, end, key=hash_of(key, piece)))
        at_once = max(1, math.ceil(self.masked_at_once * text.n_words))
        n_rounds = -(-len(found) // at_once)
        # Every n-th place in one round: holes of a pass stand as far apart as they can.
        return Draft(text, encoded.ids, [found[i::n_rounds] for i in range(n_rounds)])

    def _filled(self, drafts: Sequence[Draft]) -> list[str]:
        for number in range(max((len(draft.rounds) for draft in drafts), default=0)):
            active = [draft for draft in drafts if number < len(draft.rounds)]
            windows: list[Window] = []
            masked: list[tuple[Draft, Place]] = []
            for draft in active:
                tokens, positions = self._masked(draft, number)
                windows += cut_windows(tokens, positions, self.model.window_size)
                masked += [(draft, place) for place in draft.rounds[number]]
            self._choose(masked, self.model.propose(windows, self.top_k))
        return [self._text_of(draft) for draft in drafts]

    def _masked(self, draft: Draft, number: int) -> tuple[list[int], list[int]]:
        """Return a draft's tokens with what earlier rounds wrote and this round's masks, and where those are."""
        tokens: list[int] = []
        positions = []
        done = 0
        now = {place.piece for place in draft.rounds[number]}
        for place in draft.places:
            if place.piece in now:
                tokens += draft.tokens[done : place.start]
                positions.append(len(tokens))
                tokens.append(self.model.mask_id)
            elif place.choice is not None:
                tokens += draft.tokens[done : place.start]
                tokens.append(int(self.model.token_ids[place.choice]))
            else:
                continue
            done = place.end
        tokens += draft.tokens[done:]
        return tokens, positions

    def _choose(self, masked: Sequence[tuple[Draft, Place]], proposals: Proposals) -> None:
        keys = np.array([place.key for _, place in masked], dtype=np.uint64)
        noise = gumbel(keys[:, None], self.model.token_ids[proposals.words].astype(np.uint64))
        ranking = np.argsort(-(proposals.logits / self.temperature + noise), axis=1, kind="stable")
        for row, (draft, place) in enumerate(masked):
            word = draft.text.word(place.piece).core.lower()
            around = self._around(draft, place)
            before = _core_of(draft.text, place.piece - 2)
            for rank in ranking[row].tolist():
                choice = int(proposals.words[row, rank])
                candidate = self.model.words[choice]
                if (
                    candidate not in around
                    and article_agrees(before, candidate)
                    and self.fits(word, candidate)
                ):
                    place.choice = choice
                    draft.written[place.piece] = candidate
                    break

    def _around(self, draft: Draft, place: Place) -> set[str]:
        """Return the words next to a place, in the source and as they stand now: none is to be doubled."""
        words = set()
        for piece in (place.piece - 2, place.piece + 2):
            if piece in draft.written:
                words.add(draft.written[piece])
            words.add(_core_of(draft.text, piece))
        return words

    def _text_of(self, draft: Draft) -> str:
        pieces = draft.text.pieces.copy()
        for piece, candidate in draft.written.items():
            pieces[piece] = self.written(draft.text.word(piece), candidate)
        return "".join(pieces)


def _core_of(text: SplitText, piece: int) -> str:
    """Return the lower-case word at a piece, or nothing where there is none."""
    word = parse(text.pieces[piece]) if 0 <= piece < len(text.pieces) else None
    return "" if word is None else word.core.lower()


def _token_spans(
    text: SplitText, pieces: Sequence[int], encoded: EncodedText, whole: str
) -> list[tuple[int, int]]:
    """Return first and last (exclusive) token of the word at each piece; an empty span where tokens cross its ends."""
    offsets = np.cumsum([0, *map(len, text.pieces)]).tolist()
    spans = []
    for piece in pieces:
        word = text.word(piece)
        start = offsets[piece] + len(word.prefix)
        end = start + len(word.core)
        first = int(np.searchsorted(encoded.ends, start, side="right"))
        last = int(np.searchsorted(encoded.starts, end, side="left"))
        # A SentencePiece token covers the space before its word.
        if first < last and (
            whole[int(encoded.starts[first]) : start].strip() or encoded.ends[last - 1] > end
        ):
            last = first
        spans.append((first, last))
    return spans


def cut_windows(tokens: list[int], masked: Sequence[int], size: int) -> list[Window]:
    """Cut a text into windows of at most ``size`` tokens such that every masked position is in one of them.

    Of a text that is longer, windows overlap by twice the context that each position has at least on either side.

    Examples
    --------
    >>> [(w.ids, w.masked) for w in cut_windows([7, 8, 9], [1], size=3)]
    [([7, 8, 9], [1])]
    """
    if not masked:
        return []
    if len(tokens) <= size:
        return [Window(tokens, list(masked))]
    context = min(_CONTEXT, size // 4)
    step = size - 2 * context
    by_start: dict[int, list[int]] = {}
    for position in masked:
        start = min(max(0, position // step * step - context), len(tokens) - size)
        by_start.setdefault(start, []).append(position)
    return [
        Window(tokens[start : start + size], [position - start for position in positions])
        for start, positions in by_start.items()
    ]


@lru_cache(maxsize=1 << 17)
def differ_in_meaning_only(word: str, candidate: str) -> bool:
    """Return whether a candidate is neither a form of a word nor its opposite."""
    return word != candidate and not share_stem(word, candidate) and not are_opposed(word, candidate)


def is_content_word(word: str) -> bool:
    """Return whether a lower-case word is English and no function word."""
    return len(word) > 2 and word.isascii() and word not in FUNCTION_WORDS


def why_no_model(operator: str, encoder: EncoderSettings, model: object = None) -> str | None:
    """Return what keeps an operator from having a masked language model, and what to do, or None."""
    if model is not None:
        return source_fault(operator, "model", model)
    if has_masked_lm_head(encoder):
        return None
    return (
        f"operator {operator} needs a masked language model, and the encoder {encoder.name!r} has no such head: give "
        f'operator_options {{"{operator}": {{"model": "NAME@REVISION or folder"}}}}, e.g. bert-base-uncased with its '
        "commit from the Hub, or take it as the encoder"
    )


def shared_model(operator: str, encoder: EncoderSettings, model: str | None) -> MaskedLanguageModel:
    """Return the masked language model of an operator's option, else the encoder's own; one per process.

    Raises
    ------
    ConfigurationError
        There is none, or it cannot be loaded.
    """
    if reason := why_no_model(operator, encoder, model):
        raise ConfigurationError(reason)
    source = (
        ModelSource(encoder.source, encoder.revision)
        if model is None
        else model_source(operator, "model", model)
    )
    return load_masked_lm(source, resolve_device(encoder), resolve_precision(encoder))
