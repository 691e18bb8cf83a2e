"""Swap neighbouring words and delete words, without touching what carries a value.

nlpaug's ``RandomWordAug`` does the same to tokens of any kind: it deletes numerals and negations, changes at
most ten words of a text however long, and re-joins tokens with other white space than it found.
"""

from __future__ import annotations

import random

from trainables.augment.operator import WordOperator
from trainables.augment.protect import FUNCTION_WORDS, SplitText
from trainables.augment.words import ends_sentence
from trainables.encoder import EncoderSettings
from trainables.errors import ConfigurationError

ACTIONS = ("mixed", "swap", "delete")


class RandomWords(WordOperator):
    """Swap words that stand next to each other, delete words, or both.

    A swap counts as two changed words. Punctuation stays in its place, and at least one word is left.

    Parameters
    ----------
    strength
        Share of the words of a text that it may change, in (0, 1].
    action
        ``swap``, ``delete`` or ``mixed``: a random share of the changes of each text are swaps.
    """

    def __init__(self, strength: float, action: str = "mixed", seed: int = 0) -> None:
        super().__init__("random_words", strength, seed)
        if action not in ACTIONS:
            raise ConfigurationError(
                f"action of the operator random_words is {action!r}: expected one of {', '.join(ACTIONS)}"
            )
        self.kind = action

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Swap and delete words of one text."""
        n = min(self.n_changes(text), len(text.open))
        if n == 0:
            return "".join(text.pieces)
        if self.kind == "swap":
            n_swaps = max(1, n // 2 + (n % 2 and rng.random() < 0.5))
        else:
            n_swaps = 0 if self.kind == "delete" else rng.randint(0, n // 2)
        pieces = text.pieces.copy()
        swapped = self._swap(text, pieces, n_swaps, rng)
        if self.kind != "swap":
            self._delete(text, pieces, swapped, min(n - len(swapped), text.n_words - 1), rng)
        return "".join(pieces)

    def _swap(self, text: SplitText, pieces: list[str], n: int, rng: random.Random) -> set[int]:
        swapped: set[int] = set()
        if n == 0:
            return swapped
        for i, j in rng.sample(pairs := _swappable_pairs(text), len(pairs)):
            if len(swapped) >= 2 * n:
                break
            if i in swapped or j in swapped:
                continue
            swapped.update((i, j))
            first, second = text.word(i), text.word(j)
            to_front, to_back = second.core, first.core
            if _starts_sentence(text, i) and first.core[0].isupper() and second.core.islower():
                to_front = to_front[0].upper() + to_front[1:]
                to_back = to_back if to_back == "I" else to_back[0].lower() + to_back[1:]
            pieces[i] = first.prefix + to_front
            pieces[j] = to_back + second.suffix
        return swapped

    def _delete(
        self, text: SplitText, pieces: list[str], swapped: set[int], n: int, rng: random.Random
    ) -> None:
        free = [i for i in text.open if i not in swapped]
        deleted: set[int] = set()
        for i in rng.sample(free, len(free)):
            if len(deleted) >= n:
                break
            if not _leaves_stray_punctuation(text, i, deleted):
                deleted.add(i)
        for i in sorted(deleted):
            word = text.word(i)
            if _starts_sentence(text, i) and word.core[0].isupper():
                following = next((j for j in range(i + 2, len(pieces), 2) if j not in deleted), i)
                if following in text.open and pieces[following].islower():  # "t1/2" and "mg" stay as they are
                    pieces[following] = _capitalised(pieces[following])
            pieces[i] = word.prefix + word.suffix
            at_start = all(j in deleted for j in range(0, i, 2))
            space = i + 1 if word.prefix or at_start else i - 1
            if space < len(pieces):
                pieces[space] = ""


def _swappable_pairs(text: SplitText) -> list[tuple[int, int]]:
    """Return positions of open words next to each other without punctuation between them."""
    pairs = []
    for i, j in zip(text.open, text.open[1:], strict=False):
        if j != i + 2:
            continue
        first, second = text.word(i), text.word(j)
        if first.suffix or second.prefix or first.core.lower() == second.core.lower():
            continue
        # "Aranesp clearance" must not become "Clearance aranesp"; "The clearance" may be turned round.
        if _starts_sentence(text, i) and first.core.lower() not in FUNCTION_WORDS:
            continue
        pairs.append((i, j))
    return pairs


def _leaves_stray_punctuation(text: SplitText, i: int, deleted: set[int]) -> bool:
    """Return whether without word i punctuation would stand in brackets, after a stop, or without a word before."""
    word = text.word(i)
    if word.suffix and (word.prefix or i - 2 in deleted or _starts_sentence(text, i)):
        return True
    return i + 2 in deleted and bool(text.word(i + 2).suffix)


def _starts_sentence(text: SplitText, i: int) -> bool:
    return i == 0 or not text.pieces[i - 2] or ends_sentence(text.pieces[i - 2])


def _capitalised(token: str) -> str:
    first = next((i for i, character in enumerate(token) if character.isalpha()), 0)
    return token[:first] + token[first].upper() + token[first + 1 :]


def build(strength: float, encoder: EncoderSettings) -> RandomWords:
    """Return the operator; the encoder does not enter."""
    del encoder
    return RandomWords(strength)
