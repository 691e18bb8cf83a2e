"""Impose an imbalance ratio on training rows: one seeded draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.errors import ConfigurationError
from trainables.settings import NATURAL, PROFILES

_KEPT_PER_CLASS = 2


@dataclass(frozen=True)
class Profile:
    """How the class counts fall from majority to minority. A plain name stands for a profile ordered by count.

    Attributes
    ----------
    name
        ``"step"``, ``"exponential"``, or ``"long_tailed"``, which is the same as exponential, see :func:`class_sizes`.
    order
        Class indices that come first, majority first; classes that it does not name follow by count.
    keep_short
        A class with fewer rows than it should have keeps all of them; otherwise n_max must be small enough for all.

    Examples
    --------
    >>> str(Profile("step")), str(Profile("step", (2, 0), keep_short=True))
    ('step', 'step, first 2, 0, short classes whole')
    """

    name: str = "step"
    order: tuple[int, ...] = ()
    keep_short: bool = False

    def __str__(self) -> str:
        order = f", first {', '.join(map(str, self.order))}" if self.order else ""
        return f"{self.name}{order}{', short classes whole' if self.keep_short else ''}"

    @classmethod
    def of(cls, profile: Profile | str) -> Profile:
        """Return a profile for one or for its name."""
        return cls(profile) if isinstance(profile, str) else profile


def ranked(label_counts: Sequence[int], first: Sequence[int] = ()) -> list[int]:
    """Return the class indices from the majority to the minority: the most frequent first, ties by index.

    Parameters
    ----------
    label_counts
        Rows per class.
    first
        Class indices that stand before all others, in this order.

    Examples
    --------
    >>> ranked([50, 90, 50])
    [1, 0, 2]
    >>> ranked([50, 90, 50], first=[2])
    [2, 1, 0]
    """
    by_count = sorted(range(len(label_counts)), key=lambda index: (-label_counts[index], index))
    return [*first, *(index for index in by_count if index not in {*first})]


def class_sizes(label_counts: Sequence[int], ratio: float, profile: Profile | str, n_max: int) -> list[int]:
    """Return the rows that each class gets, in class order.

    Classes are ranked by :func:`ranked`. ``step`` gives n_max to the first half (rounded up) and n_max·ratio to the
    rest; ``exponential``, alias ``long_tailed``, gives n_max·ratio^(rank/(C-1)), the long tail of Cao et al. 2019
    (LDAM) and of Shi et al. 2022. No class gets less than one row. A profile that keeps short classes whole gives none
    more than it has: so the majority of Shi et al.'s 20 Newsgroups has its 591 to 600 posts and n_max is 600.

    Examples
    --------
    >>> class_sizes([50, 90, 70], 0.1, "exponential", 40)
    [4, 40, 13]
    >>> class_sizes([50, 90, 70], 0.1, Profile("step", (0, 2), keep_short=True), 90)
    [50, 9, 70]
    """
    profile = Profile.of(profile)
    order = ranked(label_counts, profile.order)
    sizes = [0] * len(label_counts)
    for rank, index in enumerate(order):
        asked = max(1, math.floor(n_max * _share(rank, len(order), ratio, profile) + 0.5))
        sizes[index] = min(asked, label_counts[index]) if profile.keep_short else asked
    return sizes


def _share(rank: int, n_classes: int, ratio: float, profile: Profile) -> float:
    if profile.name == "step":
        return 1.0 if rank < math.ceil(n_classes / 2) else ratio
    return float(ratio ** (rank / max(1, n_classes - 1)))


def _majority_rows(counts: Sequence[int], profile: Profile) -> int:
    """Return the rows of the largest class that a profile leaves uncut."""
    order = ranked(counts, profile.order)
    return max(
        counts[index] for rank, index in enumerate(order) if _share(rank, len(order), 0.5, profile) == 1
    )


def largest_n_max(
    label_counts: Sequence[int],
    ratios: Sequence[float | str],
    profile: Profile | str = "step",
    *,
    max_rows: int | None = None,
) -> int:
    """Return the largest majority size that every class can serve at every ratio.

    Where short classes stay whole, this is the number of rows of the largest class of the majority. With one n_max
    for all ratios of a study, only the imbalance differs between them.

    Parameters
    ----------
    label_counts
        Rows per class in the training part.
    ratios
        Imbalance ratios; ``"natural"`` puts no bound.
    profile
        The profile, or its name.
    max_rows
        Upper bound of the rows of any one draw.

    Raises
    ------
    ConfigurationError
        For a ratio outside (0, 1], an unknown profile, a class without rows, or a bound that is too low.
    """
    profile = Profile.of(profile)
    numbers = [_checked_ratio(ratio) for ratio in ratios if ratio != NATURAL]
    counts = _checked_counts(label_counts, profile)

    def fits(n_max: int) -> bool:
        for ratio in numbers:
            sizes = class_sizes(counts, ratio, profile, n_max)
            if max_rows is not None and sum(sizes) > max_rows:
                return False
            if any(size > count for size, count in zip(sizes, counts, strict=True)):
                return False
        return True

    if not fits(1):
        raise ConfigurationError(
            f"imbalance: a bound of {max_rows} rows is too low for {len(counts)} classes with one row each; raise it."
        )
    low, high = 1, _majority_rows(counts, profile) if profile.keep_short else max(counts)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def draw(
    labels: npt.NDArray[np.int64],
    ratio: float | str,
    *,
    profile: Profile | str = "step",
    n_max: int | None = None,
    max_rows: int | None = None,
    rng: np.random.Generator,
    n_classes: int | None = None,
    bound: str = "max_rows",
) -> npt.NDArray[np.int64]:
    """Sample training rows without replacement to an imbalance ratio.

    Parameters
    ----------
    labels
        (n,) class indices of the training part.
    ratio
        n_minority / n_majority in (0, 1], or ``"natural"``: all rows, or with ``max_rows`` a random part
        that keeps the prior (two rows of every class at least, where there are two).
    profile
        How the counts fall from majority to minority, see :func:`class_sizes`; the profile, or its name.
    n_max
        Rows of the majority; None takes the largest possible.
    max_rows
        Bound for ``"natural"``, and for a ratio without ``n_max``.
    rng
        Generator of this draw.
    n_classes
        Number of classes C; by default the largest label plus one.
    bound
        What the caller calls ``max_rows``, for messages.

    Returns
    -------
    (m,) int64
        Sorted indices into ``labels``.

    Raises
    ------
    ConfigurationError
        For a ratio outside (0, 1], or naming each class with too few rows.
    """
    labels = np.asarray(labels, dtype=np.int64)
    counts = np.bincount(labels, minlength=n_classes or 0).tolist()
    if ratio == NATURAL:
        if max_rows is None or max_rows >= len(labels):
            return np.arange(len(labels), dtype=np.int64)
        sizes = _proportional_sizes(counts, max_rows, bound)
    else:
        number, profile = _checked_ratio(ratio), Profile.of(profile)
        counts = _checked_counts(counts, profile)
        if n_max is None:
            n_max = largest_n_max(counts, [number], profile, max_rows=max_rows)
        elif n_max < 1:
            raise ConfigurationError(f"imbalance: n_max is {n_max}, expected at least 1.")
        sizes = class_sizes(counts, number, profile, n_max)
    faults = [
        f"imbalance: class {index} has {count} training rows, {size} are needed at imbalance ratio {ratio} "
        f"with n_max {n_max}; lower n_max or use more data."
        for index, (size, count) in enumerate(zip(sizes, counts, strict=True))
        if size > count
    ]
    if faults:
        raise ConfigurationError(faults)
    chosen = [rng.permutation(np.flatnonzero(labels == index))[:size] for index, size in enumerate(sizes)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _proportional_sizes(counts: Sequence[int], max_rows: int, bound: str) -> list[int]:
    """Return class sizes that add up to max_rows with the prior of the counts (largest remainders)."""
    least = [min(_KEPT_PER_CLASS, count) for count in counts]
    if sum(least) > max_rows:
        raise ConfigurationError(
            f"{bound} is {max_rows}, too few for {len(counts)} classes: {sum(least)} or more were expected, "
            f"{_KEPT_PER_CLASS} rows of each class (--set {bound}={sum(least)})."
        )
    exact = [max_rows * count / sum(counts) for count in counts]
    sizes = [max(low, math.floor(value)) for low, value in zip(least, exact, strict=True)]
    while sum(sizes) > max_rows:
        sizes[int(np.argmax(sizes))] -= 1
    by_remainder = sorted(range(len(counts)), key=lambda index: (sizes[index] - exact[index], index))
    for index in by_remainder[: max_rows - sum(sizes)]:
        sizes[index] += 1
    return sizes


def _checked_ratio(ratio: float | str) -> float:
    if isinstance(ratio, str) or not 0 < ratio <= 1:
        raise ConfigurationError(
            f"imbalance ratio {ratio!r}: expected a number in (0, 1] (n_minority / n_majority) or "
            f"{NATURAL!r}."
        )
    return float(ratio)


def _checked_counts(label_counts: Sequence[int], profile: Profile) -> list[int]:
    counts = [int(count) for count in label_counts]
    faults = [
        f"imbalance: class {index} has no training rows; every class needs at least one."
        for index, count in enumerate(counts)
        if count < 1
    ]
    if profile.name not in PROFILES:
        faults.append(f"imbalance profile {profile.name!r}: expected one of {', '.join(PROFILES)}.")
    if len(counts) < 2:
        faults.append(f"imbalance: {len(counts)} class found, an imbalance needs at least two.")
    if faults:
        raise ConfigurationError(faults)
    return counts
