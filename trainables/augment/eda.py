"""EDA: easy data augmentation (Wei & Zou, EMNLP-IJCNLP 2019), with numerals, units and punctuation kept."""

from __future__ import annotations

import random
from itertools import cycle

from trainables.augment.articles import article_agrees
from trainables.augment.operator import WordOperator
from trainables.augment.protect import SplitText
from trainables.augment.substitution import Substitutes
from trainables.augment.word_order import delete_words, movable, random_pairs, starts_sentence, swap_words
from trainables.augment.wordnet import why_no_wordnet
from trainables.augment.wordnet_synonyms import Synonyms, WordNetSynonyms, load_synonyms
from trainables.encoder import EncoderSettings


class Eda(WordOperator):
    """Change a text in one of EDA's four ways, drawn at random for each augmentation.

    These are synonym replacement, random insertion of a synonym of one of the text's words, random swap, and random
    deletion. It differs from the published code in what it must not touch (it strips digits and punctuation), in
    synonyms (see :mod:`trainables.augment.wordnet_synonyms`), in the number of changes, which is rounded and not
    cut off, and in that a swap counts as two changed words, so that all four change the same share. Where the
    drawn way cannot change anything, the others are tried.

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
        unchanged = "".join(text.pieces)
        for way in rng.sample((self._replacement.change, self._insert, self._swap, self._delete), 4):
            changed = way(text, rng)
            if changed != unchanged:
                return changed
        return unchanged

    def _insert(self, text: SplitText, rng: random.Random) -> str:
        pieces = text.pieces.copy()
        sources = self._sources(text, rng)
        places = [i for i in text.open if not starts_sentence(text, i)]
        if not sources or not places:
            return "".join(pieces)
        shouting = all(text.word(i).core.isupper() for i in text.open)
        left, in_turn = self.n_changes(text), cycle(sources)
        for place in rng.sample(places, len(places)):
            if left == 0:
                break
            found = next(in_turn)
            synonym = rng.choices(found.words, cum_weights=found.cumulated)[0]
            word, before = text.word(place), pieces[place - 2].rpartition(" ")[2].lower()
            if synonym not in (word.core.lower(), before) and article_agrees(before, synonym):
                inserted = synonym.upper() if shouting else synonym
                pieces[place] = f"{word.prefix}{inserted} {word.core}{word.suffix}"
                left -= 1
        return "".join(pieces)

    def _sources(self, text: SplitText, rng: random.Random) -> list[Substitutes]:
        """Return the synonyms of the text's words in random order, the safest alone where they are enough."""
        words = dict.fromkeys(text.word(i).core.lower() for i in text.open)
        found = [one for word in words if (one := self._synonyms[word]) and not one.inflections]
        safest = [one for one in found if one.tier == 0]
        sources = safest if len(safest) >= self.n_changes(text) else found
        return rng.sample(sources, len(sources))

    def _swap(self, text: SplitText, rng: random.Random) -> str:
        pieces = text.pieces.copy()
        swap_words(text, pieces, random_pairs(text, rng), self.n_swaps(text, rng))
        return "".join(pieces)

    def _delete(self, text: SplitText, rng: random.Random) -> str:
        pieces = text.pieces.copy()
        candidates = movable(text)
        # Each word goes with the probability alpha, as published; at least one does.
        n = max(1, sum(rng.random() < self.strength for _ in range(text.n_words)))
        delete_words(text, pieces, rng.sample(candidates, len(candidates)), n)
        return "".join(pieces)


def why_unavailable(directory: str | None = None) -> str | None:
    """Return why WordNet cannot be read, and how to get it; None where it can."""
    return why_no_wordnet(directory)


def build(strength: float, encoder: EncoderSettings, directory: str | None = None) -> Eda:
    """Return the operator; the encoder does not enter. ``directory`` holds WordNet's files where it is given."""
    del encoder
    return Eda(load_synonyms(directory), strength)
