"""What every augmentation operator is: an nlpaug augmenter whose result depends on a text and a seed alone."""

from __future__ import annotations

import random
import zlib
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from nlpaug import Augmenter
from nlpaug.util import Action, Method

from trainables.augment.english.protect import SplitText, find_open_words
from trainables.errors import ConfigurationError


class Operator(Protocol):
    """All that the stage-1 set asks of an operator."""

    def augment_batch(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return one augmentation per text; element i depends on ``texts[i]`` and ``seeds[i]`` alone."""
        ...


class WordOperator(Augmenter):  # type: ignore[misc]
    """Base of operators that change a share of the words of a text.

    A subclass gives :meth:`change`, and :meth:`prepare` where work on a whole batch at once is cheaper. In
    nlpaug's flows it is an augmenter like any other; there, where no seed is passed, it draws from a
    generator of its own that starts at ``seed``, never from the global ``random``.

    Parameters
    ----------
    name
        Name in the registry.
    strength
        Share of the words of a text that it may change, in (0, 1].
    seed
        Start of the generator behind nlpaug's ``augment``.

    Raises
    ------
    ConfigurationError
        The strength is outside (0, 1].
    """

    def __init__(self, name: str, strength: float, seed: int = 0) -> None:
        if not 0 < strength <= 1:
            raise ConfigurationError(
                f"strength of the operator {name} is {strength!r}: expected a share of words in (0, 1]"
            )
        super().__init__(
            name=name, method=Method.WORD, action=Action.SUBSTITUTE, aug_min=1, aug_max=None, aug_p=strength
        )
        self.strength = strength
        self._flow_rng = random.Random(seed)

    @abstractmethod
    def change(self, text: SplitText, rng: random.Random) -> str:
        """Return the changed text; the joined pieces where nothing can change. ``text`` itself stays as it is."""

    def prepare(self, texts: Iterable[SplitText]) -> None:
        """Do work that is cheaper for a whole batch; must not alter what :meth:`change` returns."""

    def augment_batch(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return one augmentation per text; element i depends on ``texts[i]`` and ``seeds[i]`` alone."""
        split = {text: find_open_words(text) for text in dict.fromkeys(texts)}  # a text may come many times
        self.prepare(split.values())
        return [
            self.change(split[text], random.Random(seed)) for text, seed in zip(texts, seeds, strict=True)
        ]

    def n_changes(self, text: SplitText) -> int:
        """Return how many words are to change: max(1, round(strength * words)), as in EDA (Wei & Zou 2019)."""
        return max(1, int(self.strength * text.n_words + 0.5))

    def n_swaps(self, text: SplitText, rng: random.Random) -> int:
        """Return how many swaps change :meth:`n_changes` words, an odd one by chance; 1 or more."""
        n = self.n_changes(text)
        return max(1, n // 2 + (n % 2 and rng.random() < 0.5))

    def substitute(self, data: str) -> str:
        """Augment one text; what nlpaug's ``augment`` and its flows call."""
        # The text enters, so that a flow's second operator does not repeat the first one's draws: two swaps of
        # the same places would bring the text back.
        draw = self._flow_rng.getrandbits(63) ^ zlib.crc32(data.encode("utf-8", "surrogatepass"))
        return self.augment_batch([data], [draw])[0]

    @classmethod
    def clean(cls, data: Any) -> Any:
        """Return the data as it is: nlpaug's own augmenters strip white space here."""
        return data

    @classmethod
    def is_duplicate(cls, dataset: Sequence[Any], data: Any) -> bool:
        """Return whether an augmentation is in a list already; nlpaug's flows ask."""
        return data in dataset
