"""Replace words by their neighbours in the encoder's own input embeddings.

It needs no model beside the encoder and nothing to download, and replaces in batches: similarities are
computed once per distinct word. It is blind to context and to the label, like every substitution of single
words (compare synonym replacement in EDA, Wei & Zou 2019).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel

from trainables.augment.english.protect import SplitText
from trainables.augment.models.vocabulary import whole_words
from trainables.augment.operators.neighbours import NeighbourTable
from trainables.augment.operators.substitution import Substitutes, Substitution
from trainables.model.encoder import load_tokenizer
from trainables.model.pretrained import quiet_loading
from trainables.settings import EncoderSettings


class EmbeddingNeighbours(Substitution):
    """Replace a share of the words by near neighbours, the nearer the more often.

    Protected words (:mod:`trainables.augment.english.protect`) and words that the vocabulary does not hold as a whole
    are left alone; punctuation and casing survive. Where words with near neighbours do not reach the number asked
    for, function words follow that may stand for each other; from a strength of .3, words follow that have only
    their own singular or plural, and those with farther neighbours.

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

    def prepare(self, texts: Iterable[SplitText]) -> None:
        """Find the substitutes of all words of a batch at once."""
        self.table.compute({text.word(i).core.lower() for text in texts for i in text.open})

    def substitutes(self, word: str) -> Substitutes | None:
        """Return the neighbours of a lower-case word."""
        return self.table[word]


def load_input_embeddings(encoder: EncoderSettings) -> npt.NDArray[np.float32]:
    """Return the encoder's pretrained input embeddings, (V, d) float32."""
    with quiet_loading():
        model = AutoModel.from_pretrained(encoder.source, revision=encoder.revision, dtype=torch.float32)
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
