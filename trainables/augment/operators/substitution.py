"""Replace words by others, the safest substitutes first."""

from __future__ import annotations

import random
from abc import abstractmethod
from dataclasses import dataclass

from trainables.augment.english.articles import article_agrees
from trainables.augment.english.function_words import stand_ins
from trainables.augment.english.protect import FUNCTION_WORDS, SplitText
from trainables.augment.english.word_forms import ending
from trainables.augment.english.words import parse, with_casing_of, word_set
from trainables.augment.operator import WordOperator

FUNCTION_TIER, UNSURE_TIER, INFLECTION_TIER, LAST_TIER = 1, 2, 3, 4
_LAST_FROM = 0.3  # a lower strength falls short rather than use the last two tiers, which are often wrong
_BARE_VERB_AFTER = word_set("to may might can could will would shall should must does do did not")
_SINGULAR_AROUND = word_set(
    "a an one this that each every another single first second third is was has does itself"
)
_PLURAL_AROUND = word_set(
    "these those both all many several few various multiple are were have do themselves"
)
_DETERMINERS = word_set("the its their his her our your my any")
_FIXED_AFTER_IN = word_set("addition general contrast particular order fact case turn vitro vivo situ")
_CLAUSE_END = frozenset(",;:.!?)")


@dataclass(frozen=True, slots=True)
class Substitutes:
    """What may take the place of one word, best first, with cumulated weights for ``random.choices``.

    Attributes
    ----------
    words
        Lower-case words.
    cumulated
        Cumulated weights of ``words``.
    tier
        0 for the safest; a word of a higher tier is changed only where those of lower ones do not reach the
        number of changes that the strength asks for.
    inflections
        Whether ``words`` are the word itself in the other number.
    """

    words: tuple[str, ...]
    cumulated: tuple[float, ...]
    tier: int = 0
    inflections: bool = False


class Substitution(WordOperator):
    """Base of operators that replace words one by one, the safest first.

    Within a tier words are chosen at random. After the safest come function words that may stand for each other
    (:mod:`trainables.augment.english.function_words`), then less sure substitutes. Then comes a noun's other number
    where the words around it allow that, and in :data:`LAST_TIER` where they do not, beside far substitutes; strengths
    below .3 reach for these only where nothing else can change. A substitute agrees with the article before it
    and does not double a neighbouring word; casing and punctuation are carried over.
    """

    @abstractmethod
    def substitutes(self, word: str) -> Substitutes | None:
        """Return what may replace a lower-case word, or None."""

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Replace words of one text."""
        tiers: dict[int, list[tuple[int, Substitutes]]] = {FUNCTION_TIER: []}
        others = []
        for position in text.open:
            lower = text.word(position).core.lower()
            if lower in _FIXED_AFTER_IN and _lower_core(text.pieces, position - 2) == "in":
                continue
            found = self.substitutes(lower)
            if found is None:
                others.append(position)
                continue
            breaks = found.inflections and _breaks_grammar(text, position, found.words[0])
            tiers.setdefault(LAST_TIER if breaks else found.tier, []).append((position, found))
        pieces = text.pieces.copy()
        left = self.n_changes(text)
        for tier in sorted(tiers):
            if tier >= INFLECTION_TIER and self.strength < _LAST_FROM:
                left = min(left, 1) if pieces == text.pieces else 0
            options = _function_words(text, others) if tier == FUNCTION_TIER else tiers[tier]
            left -= _replace(text, pieces, options, left, rng)
        return "".join(pieces)


def _replace(
    text: SplitText,
    pieces: list[str],
    options: list[tuple[int, Substitutes]],
    n: int,
    rng: random.Random,
) -> int:
    """Replace up to n of the words in ``pieces`` and return how many."""
    made = 0
    for position, found in rng.sample(options, len(options)):
        if made == n:
            break
        before, after = _lower_core(pieces, position - 2), _lower_core(pieces, position + 2)
        drawn = rng.choices(found.words, cum_weights=found.cumulated)[0]
        for substitute in (drawn, *found.words):
            # "blood plasma" must not become "blood blood"
            if substitute not in (before, after) and article_agrees(before, substitute):
                word = text.word(position)
                pieces[position] = word.prefix + with_casing_of(word.core, substitute) + word.suffix
                made += 1
                break
    return made


def _function_words(text: SplitText, positions: list[int]) -> list[tuple[int, Substitutes]]:
    found = []
    for position in positions:
        word = text.word(position)
        last = text.pieces[position - 2].lower() if position and not word.prefix else ""
        before = "" if last[-1:] in _CLAUSE_END else last
        after = [] if word.suffix else _clause(text.pieces[position + 2 : position + 7 : 2])
        if word.core.lower() == "in" and after and after[0] in _FIXED_AFTER_IN:
            continue
        if words := stand_ins(word.core.lower(), before, after):
            found.append((position, Substitutes(words, tuple(range(1, len(words) + 1)))))
    return found


def _clause(tokens: list[str]) -> list[str]:
    """Return tokens in lower case, up to the first that ends a clause."""
    kept = []
    for token in tokens:
        kept.append(token.lower().rstrip(",;:.!?)"))
        if token[-1:] in _CLAUSE_END:
            break
    return kept


def _breaks_grammar(text: SplitText, position: int, other_number: str) -> bool:
    """Return whether a word's other number is wrong where it stands, as far as the words around it tell.

    It is right only at the end of a noun phrase: not in "ideals body weight" and "can leads". A plural needs a
    phrase without "a" or "each", a singular one with "the" or the like.
    """
    pieces = text.pieces
    ends_phrase = bool(text.word(position).suffix) or position + 2 >= len(pieces)
    after = "" if ends_phrase else _lower_core(pieces, position + 2)
    if _lower_core(pieces, position - 2) in _BARE_VERB_AFTER or not (ends_phrase or after in FUNCTION_WORDS):
        return True
    phrase = {_lower_core(pieces, i) for i in range(position - 2, position - 8, -2)}
    if ending(other_number) == "s":
        if after == "to":  # "relative to" holds no noun
            return True
        return bool(phrase & _SINGULAR_AROUND) or after in _SINGULAR_AROUND
    return not phrase & _DETERMINERS or bool(phrase & _PLURAL_AROUND) or after in _PLURAL_AROUND


def _lower_core(pieces: list[str], position: int) -> str:
    word = parse(pieces[position]) if 0 <= position < len(pieces) else None
    return "" if word is None else word.core.lower()
