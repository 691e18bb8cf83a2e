"""Use any of nlpaug's text augmenters as an operator.

nlpaug's augmenters know nothing of protected words, draw from the global generators, change at most ten words,
and re-join tokens as they see fit. The adapter hands them only runs of words that may be changed, and seeds the
global generators for each text and restores them afterwards. A module that gives a search space one of them::

    def build(strength, encoder):
        return FromNlpaug(naw.RandomWordAug(action="swap"), "nlpaug_swap", strength)
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from nlpaug import Augmenter

from trainables.augment.english.changed import changed_words
from trainables.augment.english.protect import PROTECTED, SplitText
from trainables.augment.english.words import parse
from trainables.augment.operator import WordOperator
from trainables.errors import ConfigurationError

_RUN = 10  # words handed over at once: nlpaug rounds the number of changes up
_LIMITS = ("aug_max", "aug_word_max")
_SHARES = ("aug_p", "aug_word_p")
_TEXT_METHODS = ("char", "word", "sentence", "flow")
_DIGIT = re.compile(r"\d")


class FromNlpaug(WordOperator):
    """An nlpaug augmenter under the laws of an operator.

    Runs of open words are augmented in random order until the share that the strength asks for is changed. What
    comes back from a run is dropped where it is empty, or holds a digit or a protected word: no run had one.

    Parameters
    ----------
    augmenter
        A text augmenter; a copy of it is used, with its share set to the strength and its upper limit lifted.
    name
        Name in the registry.
    strength
        Share of the words of a text that it may change, in (0, 1].

    Raises
    ------
    ConfigurationError
        The strength is outside (0, 1], or the augmenter is none for texts.
    """

    def __init__(self, augmenter: Augmenter, name: str, strength: float, seed: int = 0) -> None:
        super().__init__(name, strength, seed)
        if augmenter.method not in _TEXT_METHODS:
            raise ConfigurationError(
                f"{type(augmenter).__name__} augments {augmenter.method}: a text augmenter of nlpaug was expected"
            )
        self.augmenter = copy.copy(augmenter)
        for limit in _LIMITS:
            if hasattr(self.augmenter, limit):
                setattr(self.augmenter, limit, None)
        for share in _SHARES if augmenter.method != "flow" else ():  # a flow's share is of its augmenters
            if getattr(self.augmenter, share, None) is not None:
                setattr(self.augmenter, share, strength)

    def change(self, text: SplitText, rng: random.Random) -> str:
        """Augment runs of one text."""
        left = self.n_changes(text)
        pieces = text.pieces.copy()
        runs = _runs(text)
        changed = False
        with _global_generators(rng.getrandbits(32)):
            for start, end in rng.sample(runs, len(runs)):
                if left <= 0:
                    break
                before = "".join(pieces[start : end + 1])
                after = self._augmented(before)
                n = changed_words(before, after)
                if after != before and (n < 2 * left or not changed):
                    changed = True
                    pieces[start : end + 1] = [after] + [""] * (end - start)
                    left -= n
        return "".join(pieces)

    def _augmented(self, before: str) -> str:
        made: Any = self.augmenter.augment(before)
        after = made[0] if isinstance(made, list) and made else made
        if not isinstance(after, str) or not after.strip() or _DIGIT.search(after):
            return before
        words = (parse(token) for token in after.split())
        if any(word is not None and word.core.lower() in PROTECTED for word in words):
            return before
        return after.strip()


def _runs(text: SplitText) -> list[tuple[int, int]]:
    """Return first and last position of runs of up to ten open words next to each other."""
    runs: list[tuple[int, int]] = []
    for i in text.open:
        if not text.word(i).core.isalpha() or "&" in text.pieces[i]:
            continue  # nlpaug parts a combining mark from its letter, and an HTML entity into its characters
        if runs and runs[-1][1] == i - 2 and i - runs[-1][0] < 2 * _RUN:
            runs[-1] = (runs[-1][0], i)
        else:
            runs.append((i, i))
    return runs


@contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed the generators that nlpaug draws from, and leave them as they were."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
