"""Replace words by their synonyms in WordNet.

Without a tagger the part of speech is the one that the word is tagged with most often in the corpora behind
WordNet (Miller 1995), which is right where one clearly leads; other words come last. Sense is not
disambiguated: the most frequent one is taken, as in EDA (Wei & Zou 2019) without its random choice among all.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate

from trainables.augment.inflection import inflected, regular_bases
from trainables.augment.opposites import are_opposed
from trainables.augment.protect import NEVER_WRITTEN
from trainables.augment.substitution import FAR_TIER, Substitutes, Substitution
from trainables.augment.wordnet import ADJECTIVE, ADVERB, NOUN, VERB, WordNet, load_wordnet, why_no_wordnet
from trainables.encoder import EncoderSettings

_LEADS = 2.0  # times as many tags as the next part of speech
_SHORTEST = 3
_MOST = 6  # synonyms kept per word


class Synonyms:
    """Synonyms of word forms, looked up once per form and process.

    Parameters
    ----------
    wordnet
        The database.
    """

    def __init__(self, wordnet: WordNet) -> None:
        self._wordnet = wordnet
        self._found: dict[str, Substitutes | None] = {}

    def __getitem__(self, word: str) -> Substitutes | None:
        """Return the synonyms of a lower-case word in the word's own form, or None."""
        if word not in self._found:
            self._found[word] = self._look_up(word)
        return self._found[word]

    def _look_up(self, word: str) -> Substitutes | None:
        if len(word) < _SHORTEST or word in NEVER_WRITTEN or not word.isascii():
            return None
        readings = sorted(self._readings(word), reverse=True)
        if not readings:
            return None
        count, lemma, part, form = readings[0]
        others = [other for other in readings[1:] if other[2] != part]
        unsure = bool(others) and count < _LEADS * max(1, others[0][0])
        for sense, (_, lemmas) in enumerate(self._wordnet.senses(lemma, part)):
            weights = {}
            for other in lemmas:
                if (substitute := self._in_form(word, other, part, form)) is not None:
                    weights[substitute] = 1.0 + self._wordnet.count(other, part)
            if weights:
                best = sorted(weights, key=lambda one: (-weights[one], one))[:_MOST]
                cumulated = tuple(accumulate(weights[one] for one in best))
                return Substitutes(tuple(best), cumulated, FAR_TIER if unsure or sense > 0 else 0)
        return None

    def _readings(self, word: str) -> set[tuple[int, str, str, str]]:
        """Return (tag count, lemma, part of speech, form) of all that a word may be."""
        wordnet = self._wordnet
        readings = {
            (wordnet.count(word, part), word, part, "")
            for part in (NOUN, VERB, ADJECTIVE, ADVERB)
            if wordnet.has(word, part)
        }
        candidates = set(regular_bases(word))
        for part in (NOUN, VERB):
            forms = ("s",) if part == NOUN else ("s", "ed", "ing")
            for lemma in wordnet.irregular_bases(word, part):
                candidates |= {(part, form, lemma) for form in forms}
        for part, form, lemma in candidates:
            if (
                wordnet.has(lemma, part)
                and inflected(lemma, part, form, wordnet.irregular(lemma, part)) == word
            ):
                readings.add((wordnet.count(lemma, part), lemma, part, form))
        return readings

    def _in_form(self, word: str, lemma: str, part: str, form: str) -> str | None:
        if not (lemma.isalpha() and lemma.islower()) or len(lemma) < _SHORTEST:
            return None  # names, and lemmas of several words
        substitute = inflected(lemma, part, form, self._wordnet.irregular(lemma, part))
        if substitute is None or substitute == word or {lemma, substitute} & NEVER_WRITTEN:
            return None
        return None if are_opposed(word, substitute) else substitute


class WordNetSynonyms(Substitution):
    """Replace a share of the words by synonyms in the same form.

    Words with a synonym in their leading sense come first, then function words that may stand for each other,
    then words of a doubtful part of speech or with synonyms in rarer senses only.

    Parameters
    ----------
    synonyms
        Synonyms of word forms.
    strength
        Share of the words of a text that it may change, in (0, 1].
    """

    def __init__(self, synonyms: Synonyms, strength: float, seed: int = 0) -> None:
        super().__init__("wordnet_synonyms", strength, seed)
        self.synonyms = synonyms

    def substitutes(self, word: str) -> Substitutes | None:
        """Return the synonyms of a lower-case word."""
        return self.synonyms[word]


@lru_cache(maxsize=1)
def load_synonyms(directory: str | None = None) -> Synonyms:
    """Return the synonyms of this machine's WordNet, shared within a process.

    Raises
    ------
    ConfigurationError
        There is no WordNet, see :func:`trainables.augment.wordnet.load_wordnet`.
    """
    return Synonyms(load_wordnet(directory))


def why_unavailable(directory: str | None = None) -> str | None:
    """Return why WordNet cannot be read, and how to get it; None where it can."""
    return why_no_wordnet(directory)


def build(strength: float, encoder: EncoderSettings, directory: str | None = None) -> WordNetSynonyms:
    """Return the operator; the encoder does not enter. ``directory`` holds WordNet's files where it is given."""
    del encoder
    return WordNetSynonyms(load_synonyms(directory), strength)
