"""Replace words by their neighbours in the encoder's own input embeddings.

It needs no model beside the encoder and nothing to download, and replaces in batches: similarities are
computed once per distinct word. It is blind to context and to the label, like every substitution of single
words (compare synonym replacement in EDA, Wei & Zou 2019).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel
from transformers.utils import logging

from trainables.augment.neighbours import Neighbours, NeighbourTable, whole_words
from trainables.augment.operator import WordOperator
from trainables.augment.protect import SplitText
from trainables.augment.words import parse, with_casing_of
from trainables.encoder import EncoderSettings, load_tokenizer


class EmbeddingNeighbours(WordOperator):
    """Replace a share of the words by near neighbours, the nearer the more often.

    Function words, protected words (:mod:`trainables.augment.protect`) and words that the vocabulary does not
    hold as a whole are left alone; punctuation and casing survive. A word whose only neighbours are its own
    singular or plural is changed where other words do not reach the number asked for.

    Parameters
    ----------
    table
        Substitutes of the encoder's words.
    strength
        Share of the words of a text that it may change, in (0, 1].
    """

    def __init__(self, table: NeighbourTable, strength: float, seed: int = 0) -> None:
        super().__init__("embedding_neighbours", strength, seed)
        self.table = table

    def prepare(self, texts: Sequence[SplitText]) -> None:
        """Find the substitutes of all words of a batch at once."""
        self.table.compute({text.word(i).core.lower() for text in texts for i in text.open})

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Replace words of one text."""
        pieces = text.pieces
        synonyms: list[tuple[int, Neighbours]] = []
        inflections: list[tuple[int, Neighbours]] = []
        for position in text.open:
            lower = text.word(position).core.lower()
            if (neighbours := self.table[lower]) is not None:
                (inflections if neighbours.inflections else synonyms).append((position, neighbours))
        n = self.n_changes(text)
        chosen = rng.sample(synonyms, min(n, len(synonyms)))
        chosen += rng.sample(inflections, min(n - len(chosen), len(inflections)))
        changed = pieces.copy()
        for position, neighbours in sorted(chosen, key=lambda option: option[0]):
            # "blood plasma" must not become "blood blood"
            around = {_lower_core(changed, position - 2), _lower_core(changed, position + 2)}
            drawn = rng.choices(neighbours.words, cum_weights=neighbours.cumulated)[0]
            substitute: str | None = drawn
            if drawn in around:
                substitute = next((other for other in neighbours.words if other not in around), None)
            if substitute is not None:
                word = text.word(position)
                changed[position] = word.prefix + with_casing_of(word.core, substitute) + word.suffix
        return "".join(changed)


def _lower_core(pieces: list[str], position: int) -> str:
    word = parse(pieces[position]) if 0 <= position < len(pieces) else None
    return "" if word is None else word.core.lower()


def load_input_embeddings(encoder: EncoderSettings) -> npt.NDArray[np.float32]:
    """Return the encoder's pretrained input embeddings, (V, d) float32."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # its table of unused weights says nothing about the embeddings
    logging.disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(encoder.source, revision=encoder.revision, dtype=torch.float32)
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()
    weights: npt.NDArray[np.float32] = model.get_input_embeddings().weight.detach().numpy().copy()
    return weights


@lru_cache(maxsize=2)
def _table(name: str, revision: str | None) -> NeighbourTable:
    encoder = EncoderSettings(name=name, revision=revision)
    tokenizer = load_tokenizer(encoder)
    entries = whole_words(tokenizer.get_vocab(), tokenizer.all_special_tokens)
    return NeighbourTable(entries, load_input_embeddings(encoder))


def build(strength: float, encoder: EncoderSettings) -> EmbeddingNeighbours:
    """Return the operator for an encoder; the table of substitutes is shared within a process."""
    return EmbeddingNeighbours(_table(encoder.name, encoder.revision), strength)
