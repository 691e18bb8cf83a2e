"""A corpus as the encoder reads it, split once: where every way of preparing it for trials begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus
from trainables.corpora.leakage import group_numbers, kept_together, split_corpus
from trainables.corpora.split import Split
from trainables.corpora.split_settings import SplitSettings
from trainables.model.encoder import load_tokenizer
from trainables.model.tokenizer import token_kinds
from trainables.seeds import derive_seed
from trainables.settings import EncoderSettings
from trainables.texts.alike import first_alike
from trainables.texts.coverage import Coverage, coverage
from trainables.texts.tokens import TokenisedTexts, tokenise
from trainables.texts.words import with_words
from trainables.truncation import TOKENS, truncation_remarks

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReadCorpus:
    """The rows of a corpus in canonical order, with what takes long to find.

    Attributes
    ----------
    corpus, encoder, settings, judged_on
        What was read and how, see :func:`read_corpus`.
    tokens
        The texts as token ids, and as words.
    clusters, alike
        (n,) what must stay together: near-duplicates, and texts that the encoder reads alike.
    split
        The one split of the corpus.
    """

    corpus: Corpus
    encoder: EncoderSettings
    settings: SplitSettings
    judged_on: str
    tokens: TokenisedTexts
    clusters: Ints
    alike: Ints
    split: Split

    @property
    def together(self) -> Ints | None:
        """What is kept together because the encoder reads it alike; None where whole texts are judged."""
        return self.alike if self.judged_on == TOKENS else None

    def groups(self) -> Ints:
        """Return the (n,) number of what each row stands or falls with."""
        return group_numbers(self.corpus, self.clusters)

    def truncation_remarks(self, split: Split) -> tuple[str, ...]:
        """Say what a split does about texts that the encoder reads alike."""
        length = self.encoder.max_length
        return truncation_remarks(
            self.corpus, split, self.settings, self.clusters, self.alike, self.judged_on, length
        )

    def coverage(self, rows: Ints) -> Coverage:
        """Return how much of these rows the encoder knows."""
        kinds = token_kinds(load_tokenizer(self.encoder))
        return coverage(self.tokens.select(rows), self.corpus.labels[rows], kinds, self.encoder.max_length)


def read_corpus(
    corpus: Corpus,
    encoder: EncoderSettings,
    *,
    study_seed: int,
    split_settings: SplitSettings,
    judged_on: str = TOKENS,
) -> ReadCorpus:
    """Tokenise a corpus, find what is alike in it, and split it.

    Parameters
    ----------
    corpus, encoder
        The corpus, and the encoder whose tokenizer is used.
    study_seed
        Seed of the study.
    split_settings
        How the corpus is split, see :func:`trainables.corpora.leakage.split_corpus`.
    judged_on
        What decides which rows leak: ``"tokens"``, where texts that are equal in what the encoder reads of them do, or
        ``"texts"``, where only whole texts are compared, as in studies of earlier versions.

    Raises
    ------
    ConfigurationError
        A class has too few rows for the split.
    """
    corpus = corpus.in_canonical_order()
    tokenizer = load_tokenizer(encoder)
    tokens = with_words(tokenise(corpus.texts, tokenizer, encoder.max_length), corpus.texts)
    clusters, alike = kept_together(corpus, split_settings), first_alike(tokens, token_kinds(tokenizer))
    split = split_corpus(
        corpus,
        seed=derive_seed(study_seed, "split"),
        settings=split_settings,
        clusters=clusters,
        alike=alike if judged_on == TOKENS else None,
    )
    return ReadCorpus(corpus, encoder, split_settings, judged_on, tokens, clusters, alike, split)
