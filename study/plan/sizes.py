"""How large a study is made, so that it ends in a given time: a pure choice among sizes, each larger than the last.

The confirmation decides the question, so it keeps at least as many replicates as its test needs to show anything. The
first that grows are the draws, until training on them has the steps that a model needs to learn anything. Then
everything grows together, from the least that is useful to what the preset asks for, and beyond where time allows, so
that neither the search nor the confirmation takes all of it. What does not even fit at the least is asked at fewer
imbalance ratios.
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

# Fewer pairs than this show nothing, whatever a test says.
FEWEST_PAIRS = 5
# Steps from the least sizes to the preset's, and from there to the most.
_STEPS = 48


@dataclass(frozen=True)
class Sizes:
    """What a budget decides.

    Attributes
    ----------
    ratios
        Imbalance ratios, the first ones of the study's.
    train_rows, validation_rows, test_rows
        Bounds on the rows of a draw, and on those that are scored.
    trials
        Configurations of pre-finetuning, and of vanilla, at each ratio.
    replicates, finalists, screening_replicates, confirmation_replicates
        As in :class:`study.config.study.StudyConfig`.
    """

    ratios: int
    train_rows: int
    validation_rows: int
    test_rows: int
    trials: int
    replicates: int
    finalists: int
    screening_replicates: int
    confirmation_replicates: int


@dataclass(frozen=True)
class Range:
    """Sizes among which a budget chooses.

    Attributes
    ----------
    least, usual, most
        The least that are of use, what the preset asks for, and the most that time may buy.
    pairs
        Replicates that a confirmation needs to show anything, at one ratio, at two, and so on: more verdicts need more.
    enough_rows
        Rows of a draw on which a model learns something. Nothing else grows, and no second ratio is worth its time,
        before draws have them.
    """

    least: Sizes
    usual: Sizes
    most: Sizes
    pairs: Sequence[int]
    enough_rows: int


@dataclass(frozen=True)
class Chosen:
    """What fits in a budget.

    Attributes
    ----------
    sizes
        The sizes; the least ones where nothing fits.
    seconds
        What a study of these sizes takes.
    fits
        Whether that is within the budget.
    """

    sizes: Sizes
    seconds: float
    fits: bool


def choose(between: Range, seconds_of: Callable[[Sizes], float], budget: float) -> Chosen:
    """Return the largest study that ends within a budget.

    More time never leaves out a ratio, and at the same ratios never makes anything smaller.

    Parameters
    ----------
    between
        The sizes to choose from.
    seconds_of
        What a study of some sizes takes; larger sizes must not take less.
    budget
        Seconds that it may take.
    """
    for ratios in range(between.usual.ratios, 0, -1):
        ladder = rungs(between, ratios)
        fitting = bisect_right(ladder, budget, key=seconds_of)
        if fitting:
            return Chosen(ladder[fitting - 1], seconds_of(ladder[fitting - 1]), True)
        if ratios == between.least.ratios:
            break
    return Chosen(ladder[0], seconds_of(ladder[0]), False)


def rungs(between: Range, ratios: int) -> Sequence[Sizes]:
    """Return sizes from the least to the most, each at least as large as the one before in everything."""
    at = [dataclasses.replace(sizes, ratios=ratios) for sizes in (between.least, between.usual, between.most)]
    enough = min(max(between.enough_rows, at[0].train_rows), at[1].train_rows)
    learning = dataclasses.replace(at[0], train_rows=enough)
    steps = (*_steps(at[0], learning), *_steps(learning, at[1]), *_steps(at[1], at[2]))
    if at[0].confirmation_replicates < at[2].confirmation_replicates:  # it is left to the budget
        pairs = between.pairs[ratios - 1]
        most = [max(sizes.confirmation_replicates, pairs) for sizes in steps]
        steps = tuple(
            dataclasses.replace(sizes, confirmation_replicates=n)
            for sizes, n in zip(steps, most, strict=True)
        )
    found = list(dict.fromkeys(steps))
    if ratios == between.least.ratios:
        return found
    return [sizes for sizes in found if sizes.train_rows >= enough]


def _steps(low: Sizes, high: Sizes) -> Iterator[Sizes]:
    """Go from sizes to larger ones in equal factors."""
    names = [field.name for field in dataclasses.fields(Sizes)]
    for step in range(_STEPS + 1):
        yield Sizes(**{n: _between(getattr(low, n), getattr(high, n), step / _STEPS) for n in names})


def _between(low: int, high: int, share: float) -> int:
    """Return a whole number between two, at a share of the factor between them; 0 is left in a straight line."""
    if low <= 0:
        return round(low + (high - low) * share)
    return round(low * math.pow(high / low, share))


_WORDS = {
    "ratios": "imbalance ratios",
    "train_rows": "training rows a draw",
    "validation_rows": "validation rows",
    "test_rows": "test rows",
    "trials": "trials a ratio",
    "replicates": "replicates a trial",
    "finalists": "finalists",
    "screening_replicates": "replicates of the screening",
    "confirmation_replicates": "replicates of the confirmation",
}


def differences(chosen: Sizes, usual: Sizes) -> tuple[list[str], list[str]]:
    """Return in words what was cut against the preset, and what was added to it.

    Examples
    --------
    >>> usual = Sizes(2, 160, 500, 300, 4, 3, 2, 2, 10)
    >>> differences(dataclasses.replace(usual, ratios=1, train_rows=96), usual)
    (['1 instead of 2 imbalance ratios', '96 instead of 160 training rows a draw'], [])
    """
    cut: list[str] = []
    added: list[str] = []
    for name, words in _WORDS.items():
        now, before = getattr(chosen, name), getattr(usual, name)
        if now != before:
            (cut if now < before else added).append(f"{now:,} instead of {before:,} {words}")
    return cut, added
