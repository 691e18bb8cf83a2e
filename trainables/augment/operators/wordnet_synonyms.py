"""Replace words by their synonyms in WordNet.

Without a tagger the part of speech is the one that the word is tagged with most often in the corpora behind
WordNet (Miller 1995), which is right where one clearly leads. Sense is not disambiguated: the most frequent one
is taken, and of its synonyms those that are used in that sense most often themselves, so that *function* does
not become *map*. What is less sure comes last. EDA (Wei & Zou 2019) chooses among all synonyms of all senses.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate

from trainables.augment.english.inflection import has_plural, inflected, regular_bases
from trainables.augment.english.opposites import are_opposed
from trainables.augment.english.protect import NEVER_WRITTEN
from trainables.augment.english.wordnet import (
    ADJECTIVE,
    ADVERB,
    NOUN,
    VERB,
    Sense,
    WordNet,
    load_wordnet,
    why_no_wordnet,
    wordnet_digest,
)
from trainables.augment.operators.substitution import (
    INFLECTION_TIER,
    LAST_TIER,
    UNSURE_TIER,
    Substitutes,
    Substitution,
)
from trainables.settings import EncoderSettings

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
        """Return the synonyms of a lower-case word in its own form, else a noun's other number, or None."""
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
        rivals = [other for other in readings[1:] if other[2] != part]
        unsure = bool(rivals) and count < _LEADS * max(1, rivals[0][0])
        # "use" is a verb more often, and a noun wherever no "to" or "may" stands before it.
        unsure |= part == VERB and not form and any(other[2] == NOUN for other in rivals)
        senses = self._wordnet.senses(lemma, part)
        mutual = self._synonyms(word, part, form, senses[0], mutual=True)
        if mutual:
            return _weighted(mutual, UNSURE_TIER if unsure else 0)
        for sense in senses:
            if found := self._synonyms(word, part, form, sense, mutual=False):
                return _weighted(found, LAST_TIER)
        return self._other_number(word, lemma, form) if part == NOUN else None

    def _other_number(self, word: str, lemma: str, form: str) -> Substitutes | None:
        if not (form or has_plural(lemma)):
            return None
        other = lemma if form else inflected(lemma, NOUN, "s", self._wordnet.irregular(lemma, NOUN))
        if other is None or other == word or not other.isalpha() or other in NEVER_WRITTEN:
            return None
        # WordNet does not say what is never counted: "urine", most drugs. A plural is counted.
        return Substitutes((other,), (1.0,), INFLECTION_TIER if form else LAST_TIER, inflections=True)

    def _synonyms(self, word: str, part: str, form: str, sense: Sense, *, mutual: bool) -> dict[str, int]:
        """Return synonyms in a sense with their tag counts; mutual ones are used in this sense most often."""
        found = {}
        for other in sense.lemmas:
            substitute = self._in_form(word, other, part, form)
            if substitute is None:
                continue
            count = self._wordnet.count(other, part)
            if count == 0 and _spelling(substitute) != _spelling(word):
                continue  # a rare word, or another drug that WordNet takes for the same
            if mutual and self._wordnet.senses(other, part)[0].synset != sense.synset:
                continue
            found[substitute] = count
        return found

    def _readings(self, word: str) -> set[tuple[int, str, str, str]]:
        """Return (tag count, lemma, part of speech, form) of all that a word may be."""
        wordnet = self._wordnet
        readings = {
            (wordnet.count(word, part), word, part, "")
            for part in (NOUN, VERB, ADJECTIVE, ADVERB)
            if wordnet.has(word, part)
        }
        for part, form, lemma in regular_bases(word):
            if (
                wordnet.has(lemma, part)
                and inflected(lemma, part, form, wordnet.irregular(lemma, part)) == word
            ):
                readings.add((wordnet.count(lemma, part), lemma, part, form))
        for part in (NOUN, VERB):
            form = "s" if part == NOUN else "ing" if word.endswith("ing") else "ed"
            for lemma in wordnet.irregular_bases(word, part):
                if wordnet.has(lemma, part):
                    readings.add((wordnet.count(lemma, part), lemma, part, form))
        return readings

    def _in_form(self, word: str, lemma: str, part: str, form: str) -> str | None:
        if not (lemma.isalpha() and lemma.islower()) or len(lemma) < _SHORTEST:
            return None  # names, and lemmas of several words
        if part == NOUN and form and not has_plural(lemma):
            return None
        substitute = inflected(lemma, part, form, self._wordnet.irregular(lemma, part))
        if substitute is None or substitute == word or {lemma, substitute} & NEVER_WRITTEN:
            return None
        return None if are_opposed(word, substitute) else substitute


def _spelling(word: str) -> str:
    """Return a word without what British and American spelling differ in."""
    for british, american in (
        ("ae", "e"),
        ("oe", "e"),
        ("our", "or"),
        ("is", "iz"),
        ("ys", "yz"),
        ("ical", "ic"),
    ):
        word = word.replace(british, american)
    return word


def _weighted(counts: dict[str, int], tier: int) -> Substitutes:
    best = sorted(counts, key=lambda one: (-counts[one], one))[:_MOST]
    return Substitutes(tuple(best), tuple(accumulate(1.0 + counts[one] for one in best)), tier)


class WordNetSynonyms(Substitution):
    """Replace a share of the words by synonyms in the same form.

    Words with a sure synonym come first, then function words that may stand for each other, words of a doubtful
    part of speech, and plurals without synonyms in the singular. Synonyms in rarer senses (*volume* as *mass*) and
    plurals of singulars are left to strengths that nothing else reaches.

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
        There is no WordNet, see :func:`trainables.augment.english.wordnet.load_wordnet`.
    """
    return Synonyms(load_wordnet(directory))


def why_unavailable(directory: str | None = None) -> str | None:
    """Return why WordNet cannot be read, and how to get it; None where it can."""
    return why_no_wordnet(directory)


def identity(directory: str | None = None) -> list[str]:
    """Return the digest of WordNet's files, for cache keys."""
    return [wordnet_digest(directory)]


def build(strength: float, encoder: EncoderSettings, directory: str | None = None) -> WordNetSynonyms:
    """Return the operator; the encoder does not enter. ``directory`` holds WordNet's files where it is given."""
    del encoder
    return WordNetSynonyms(load_synonyms(directory), strength)
