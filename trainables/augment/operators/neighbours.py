"""Nearest whole words in an encoder's input embeddings, computed once per word and process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from trainables.augment.english.opposites import are_opposed
from trainables.augment.english.protect import COARSE
from trainables.augment.english.word_forms import differ_in_number, ending, share_stem
from trainables.augment.operators.substitution import INFLECTION_TIER, LAST_TIER, Substitutes

_CHUNK = 512  # words per matrix product
_CANDIDATES = 48  # nearest entries looked at per word; forms of the word itself take many of the first places
_CALIBRATION_ROWS = 512
_LOWEST_FLOOR = 0.3
_BELOW_FLOOR = 0.08  # how far below the floor the last tier reaches: "severe" is .10 below it from "mild"
_TEMPERATURE = 0.2  # of the softmax over cosines: a cosine .2 higher is drawn e times as often


class NeighbourTable:
    """Substitutes by cosine similarity of input embeddings.

    A substitute is among the nearest entries above the floor, has the same ending (``-s``, ``-ed``, ``-ing``,
    ``-ly``, none), does not share its stem with the word and is not its opposite. These are tier 0. Where nothing
    is left, the word's own singular or plural serves (``dose``, ``doses``); else what lies a little below the floor
    (``patients``, ``hospitals``), in :data:`~trainables.augment.operators.substitution.LAST_TIER`.

    Parameters
    ----------
    entries
        Lower-case whole word to row of ``embeddings``; see :func:`trainables.augment.models.vocabulary.whole_words`.
    embeddings
        (V, d) float32, the encoder's input embeddings.
    top_k
        Substitutes kept per word.
    floor
        Lowest cosine. None sets it so that a word has ``density`` entries above it on average, which adapts it
        to an encoder's geometry (packaged encoder: .47).
    density
        Entries above the floor per word, where ``floor`` is None.
    """

    def __init__(
        self,
        entries: Mapping[str, int],
        embeddings: npt.NDArray[np.float32],  # (V, d)
        *,
        top_k: int = 8,
        floor: float | None = None,
        density: float = 2.0,
    ) -> None:
        self._words = sorted(entries, key=entries.__getitem__)
        rows = embeddings[[entries[word] for word in self._words]].astype(np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        self._units = rows / np.maximum(norms, 1e-12)  # (n, d)
        self._position = {word: i for i, word in enumerate(self._words)}
        self._found: dict[str, Substitutes | None] = {}
        self.top_k = top_k
        self.floor = self._calibrated_floor(density) if floor is None else floor

    def _calibrated_floor(self, density: float) -> float:
        n = len(self._words)
        sample = np.unique(np.linspace(0, n - 1, min(n, _CALIBRATION_ROWS)).astype(int))
        cosines = self._units[sample] @ self._units.T  # (s, n)
        cosines[np.arange(len(sample)), sample] = -1.0
        rank = min(max(round(density * len(sample)), 1), cosines.size)
        value = np.partition(cosines.ravel(), cosines.size - rank)[cosines.size - rank]
        return max(_LOWEST_FLOOR, round(float(value), 2))  # rounded: the same on every machine

    def __contains__(self, word: str) -> bool:
        return word in self._position

    def __getitem__(self, word: str) -> Substitutes | None:
        """Return the substitutes of a lower-case word, or None where it has none."""
        if word not in self._found:
            self.compute((word,))
        return self._found[word]

    def compute(self, words: Iterable[str]) -> None:
        """Find the substitutes of words that were not asked for before, one matrix product per chunk."""
        unseen = sorted(set(words) - self._found.keys())
        known = [word for word in unseen if word in self._position]
        self._found.update(dict.fromkeys(unseen))
        for start in range(0, len(known), _CHUNK):
            chunk = known[start : start + _CHUNK]
            positions = np.array([self._position[word] for word in chunk])
            cosines = self._units[positions] @ self._units.T  # (chunk, n)
            n_candidates = min(_CANDIDATES, cosines.shape[1])
            nearest = np.argpartition(cosines, -n_candidates, axis=1)[:, -n_candidates:]
            # The product's last bits depend on its shape. Recomputed one by one, the similarities of a word
            # are the same whatever else is in the chunk.
            exact = np.einsum(
                "wkd,wd->wk",
                self._units[nearest].astype(np.float64),
                self._units[positions].astype(np.float64),
            )
            for word, candidates, similarities in zip(chunk, nearest, exact, strict=True):
                order = np.lexsort((candidates, -similarities))
                ranked = [(self._words[candidates[i]], float(similarities[i])) for i in order]
                self._found[word] = self._select(word, ranked)

    def _select(self, word: str, ranked: list[tuple[str, float]]) -> Substitutes | None:
        reached = [
            (other, cosine)
            for other, cosine in ranked
            if cosine >= self.floor - _BELOW_FLOOR and other != word and other not in COARSE
        ]
        similar = [
            (other, cosine)
            for other, cosine in reached
            if ending(other) == ending(word) and not share_stem(word, other) and not are_opposed(word, other)
        ]
        tiers = {
            0: [(other, cosine) for other, cosine in similar if cosine >= self.floor],
            INFLECTION_TIER: [(other, cosine) for other, cosine in reached if differ_in_number(word, other)],
            LAST_TIER: similar,
        }
        tier = next((number for number, kept in tiers.items() if kept), None)
        if tier is None:
            return None
        words, cosines = zip(*tiers[tier][: self.top_k], strict=True)
        weights = [math.exp((cosine - cosines[0]) / _TEMPERATURE) for cosine in cosines]
        return Substitutes(words, tuple(accumulate(weights)), tier, inflections=tier == INFLECTION_TIER)
