"""EDA: easy data augmentation (Wei & Zou, EMNLP-IJCNLP 2019), with numerals, units and punctuation kept."""

from __future__ import annotations

import random
from operator import ne

from trainables.augment.english.protect import SplitText
from trainables.augment.english.wordnet import why_no_wordnet, wordnet_digest
from trainables.augment.english.words import split
from trainables.augment.operator import WordOperator
from trainables.augment.operators.word_order import (
    core_at,
    deletable,
    delete_words,
    random_pairs,
    swap_words,
)
from trainables.augment.operators.wordnet_synonyms import Synonyms, WordNetSynonyms, load_synonyms
from trainables.settings import EncoderSettings

_ENOUGH = 0.8  # of the changes asked for
_MOST_BESIDE = 3  # synonyms inserted beside one word, where a high strength asks for so many


class Eda(WordOperator):
    """Change a text in one of EDA's four ways, drawn at random for each augmentation.

    These are synonym replacement, random insertion of a synonym of one of the text's words, random swap, and random
    deletion. It differs from the published code in what it must not touch (it strips digits and punctuation), in
    synonyms (see :mod:`trainables.augment.operators.wordnet_synonyms`), in the number of changes, which is rounded and
    not cut off, and in that a swap counts as two changed words, so that all four change the same share. A synonym is
    inserted beside its own word (*rapid quick absorption*), not anywhere, where it would split what belongs
    together or become part of another statement; only sure ones are. Where the drawn way reaches less than 80 % of
    the changes asked for, the others are tried, and the one that changes most is taken.

    Parameters
    ----------
    synonyms
        Synonyms of word forms.
    strength
        Share of the words of a text that it may change (the paper's alpha), in (0, 1].
    """

    def __init__(self, synonyms: Synonyms, strength: float, seed: int = 0) -> None:
        super().__init__("eda", strength, seed)
        self._replacement = WordNetSynonyms(synonyms, strength)
        self._synonyms = synonyms

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Change one text."""
        most, best = 0, "".join(text.pieces)
        enough = _ENOUGH * self.n_changes(text)
        for way in rng.sample((self._replace, self._insert, self._swap, self._delete), 4):
            changed, n = way(text, rng)
            if n > most:
                most, best = n, changed
            if n >= enough:
                break
        return best

    def _replace(self, text: SplitText, rng: random.Random) -> tuple[str, int]:
        changed = self._replacement.change(text, rng)
        return changed, sum(map(ne, text.pieces, split(changed)))

    def _insert(self, text: SplitText, rng: random.Random) -> tuple[str, int]:
        sources = []
        for i in text.open:
            found = self._synonyms[text.word(i).core.lower()]
            if found and found.tier == 0:
                sources.append((i, found))
        inserted: dict[int, list[str]] = {i: [] for i, _ in sources}
        left = self.n_changes(text)
        for _ in range(_MOST_BESIDE):
            for i, found in rng.sample(sources, min(left, len(sources))):
                synonym = rng.choices(found.words, cum_weights=found.cumulated)[0]
                if synonym not in inserted[i] and synonym != core_at(text.pieces, i + 2):
                    inserted[i].append(synonym)
                    left -= 1
        pieces = text.pieces.copy()
        for i, synonyms in inserted.items():
            word = text.word(i)
            added = [one.upper() if word.core.isupper() else one for one in synonyms]
            pieces[i] = word.prefix + " ".join([word.core, *added]) + word.suffix
        return "".join(pieces), self.n_changes(text) - left

    def _swap(self, text: SplitText, rng: random.Random) -> tuple[str, int]:
        pieces = text.pieces.copy()
        swapped = swap_words(text, pieces, random_pairs(text, rng), self.n_swaps(text, rng))
        return "".join(pieces), len(swapped)

    def _delete(self, text: SplitText, rng: random.Random) -> tuple[str, int]:
        pieces = text.pieces.copy()
        candidates = deletable(text)
        # Each word goes with the probability alpha, as published; at least one does.
        n = max(1, sum(rng.random() < self.strength for _ in range(text.n_words)))
        # One that was drawn to delete few words has done what it should.
        short = n - delete_words(text, pieces, rng.sample(candidates, len(candidates)), n)
        return "".join(pieces), 0 if short == n else max(1, self.n_changes(text) - short)


def why_unavailable(directory: str | None = None) -> str | None:
    """Return why WordNet cannot be read, and how to get it; None where it can."""
    return why_no_wordnet(directory)


def identity(directory: str | None = None) -> list[str]:
    """Return the digest of WordNet's files, for cache keys."""
    return [wordnet_digest(directory)]


def build(strength: float, encoder: EncoderSettings, directory: str | None = None) -> Eda:
    """Return the operator; the encoder does not enter. ``directory`` holds WordNet's files where it is given."""
    del encoder
    return Eda(load_synonyms(directory), strength)
