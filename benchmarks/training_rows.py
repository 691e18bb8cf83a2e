"""Rows for :mod:`benchmarks.training`: labelled text with the lengths of the ADME corpus, or the corpus itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.corpora.drug_labels.sample import generate_sample
from trainables.model.encoder import load_tokenizer
from trainables.prepared import prepare
from trainables.settings import EncoderSettings
from trainables.texts.tokens import TokenisedTexts, tokenise

# Tokens per paragraph of the ADME corpus of openFDA labels: log-normal, fitted to 7,564 paragraphs (MiniLM's tokenizer,
# before the cut at 128 tokens, which a third of them reach). Mean after the cut: 85.
LOG_MEAN, LOG_DEVIATION = 4.453, 0.752
SHORTEST = 10
_POOL = 1500
_SPECIAL_TOKENS = 2


@dataclass(frozen=True)
class Rows:
    """Training and validation rows of one seed, as tokens and labels."""

    tokens: TokenisedTexts
    labels: npt.NDArray[np.int64]
    validation_tokens: TokenisedTexts
    validation_labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]


def generated_rows(encoder: EncoderSettings, n: int, n_validation: int, seed: int) -> Rows:
    """Return rows of generated paragraphs, joined within a class and cut to lengths drawn as in the ADME corpus."""
    rng = np.random.default_rng(seed)
    tokens, labels, classes = _of_length(encoder, n, rng, pool_seed=2 * seed)
    validation_tokens, validation_labels, _ = _of_length(encoder, n_validation, rng, pool_seed=2 * seed + 1)
    return Rows(tokens, labels, validation_tokens, validation_labels, classes)


def corpus_rows(corpus: Any, encoder: EncoderSettings, n: int, n_validation: int, seed: int) -> Rows:
    """Return rows drawn from a corpus that was split by group."""
    prepared = prepare(corpus, encoder, study_seed=seed, max_validation_rows=n_validation)
    picked = np.random.default_rng(seed).permutation(len(prepared.train_labels))[:n]
    return Rows(
        prepared.train_tokens.select(picked),
        prepared.train_labels[picked],
        prepared.validation_tokens,
        prepared.validation_labels,
        prepared.classes,
    )


def _of_length(
    encoder: EncoderSettings, n: int, rng: np.random.Generator, pool_seed: int
) -> tuple[TokenisedTexts, npt.NDArray[np.int64], tuple[str, ...]]:
    corpus = generate_sample(_POOL, seed=pool_seed)
    pool = tokenise(corpus.texts, load_tokenizer(encoder), encoder.max_length)
    lengths = np.exp(rng.normal(LOG_MEAN, LOG_DEVIATION, n)).astype(np.int64)
    lengths = np.clip(lengths, min(SHORTEST, encoder.max_length), encoder.max_length)
    labels = rng.choice(corpus.labels, n)
    rows_of = [np.flatnonzero(corpus.labels == c) for c in range(len(corpus.classes))]
    first, last = pool.ids[0], pool.ids[pool.offsets[1] - 1]
    ids = []
    for length, label in zip(lengths.tolist(), labels.tolist(), strict=True):
        wanted = length - _SPECIAL_TOKENS
        inner = np.empty(0, np.int32)
        while len(inner) < wanted:
            row = rng.choice(rows_of[label])
            inner = np.append(inner, pool.ids[pool.offsets[row] + 1 : pool.offsets[row + 1] - 1])
        ids += [np.array([first], np.int32), inner[:wanted], np.array([last], np.int32)]
    return (
        TokenisedTexts(np.concatenate(ids), np.concatenate([[0], np.cumsum(lengths)])),
        labels,
        corpus.classes,
    )
