"""How many rows the draws of a study have: what every class of every replicate can give, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trainables.corpora.imbalance import Profile, class_sizes, largest_n_max
from trainables.corpora.wording import class_in_words, listed, shown
from trainables.prepared import in_replicate
from trainables.resplit import SharedCorpus
from trainables.settings import NATURAL

# Times the rows that the ratio asks for: more than rounding to whole rows gives from one row on.
_FAR_FROM_RATIO = 1.5


def count_faults(
    prepared: SharedCorpus, ratios: Sequence[float | str], profile: Profile | str, n_max: int
) -> list[str]:
    """Return a fault for every imbalance ratio at which classes have too few training rows for the requested n_max.

    Parameters
    ----------
    prepared
        The corpus. Where replicates vary the split, the smallest training part counts.
    ratios
        Imbalance ratios of the study; ``natural`` is ignored.
    profile
        The profile, or its name.
    n_max
        Rows of the majority.
    """
    faults = []
    for ratio, lacking in _lacking(prepared, ratios, profile, n_max):
        few = [
            f"{class_in_words(lack.name, lack.rows)}{lack.where}, {lack.needed} needed" for lack in lacking
        ]
        faults.append(
            f"n_max is {n_max}, but {len(few)} of {len(prepared.classes)} classes {'has' if len(few) == 1 else 'have'} "
            f"fewer training rows than imbalance ratio {ratio:g} needs: {listed(few)}. Lower n_max (or the "
            "counts), use more data, or leave rare classes out (--rare-classes, --min-rows)."
        )
    return faults


@dataclass(frozen=True)
class _Lack:
    """A class with fewer rows than it should have, and in which replicate it has the fewest."""

    name: str
    rows: int
    needed: int
    where: str


def _lacking(
    prepared: SharedCorpus, ratios: Sequence[float | str], profile: Profile | str, n_max: int
) -> Iterator[tuple[float, list[_Lack]]]:
    """Go through the imposed ratios that ask for more than there is, with the classes that lack rows."""
    rows = prepared.train_rows()
    counts, where = rows.min(axis=0).tolist(), rows.argmin(axis=0).tolist()
    for ratio in map(float, (ratio for ratio in ratios if ratio != NATURAL)):
        sizes = class_sizes(counts, ratio, profile, n_max)
        lacking = [
            _Lack(name, counts[c], sizes[c], in_replicate(where[c], len(rows) > 1))
            for c, name in enumerate(prepared.classes)
            if sizes[c] > counts[c]
        ]
        if lacking:
            yield ratio, lacking


def short_class_remarks(
    prepared: SharedCorpus, ratios: Sequence[float | str], profile: Profile | str, n_max: int
) -> tuple[str, ...]:
    """Say which classes have fewer rows than the profile asks for and keep all of them; nothing where none has.

    Parameters
    ----------
    prepared, ratios, profile, n_max
        As for :func:`count_faults`.
    """
    profile = Profile.of(profile)
    if not profile.keep_short:
        return ()
    remarks = []
    for ratio, lacking in _lacking(prepared, ratios, replace(profile, keep_short=False), n_max):
        few = [f"'{shown(lack.name)}' ({lack.rows:,} of {lack.needed:,}{lack.where})" for lack in lacking]
        remarks.append(
            f"Imbalance ratio {ratio:g} with n_max {n_max}: {len(few)} of {len(prepared.classes)} classes have fewer "
            f"training rows than the profile gives them and keep all of them: {listed(few)}."
        )
    return tuple(remarks)


def shared_n_max(
    prepared: SharedCorpus,
    ratios: Sequence[float | str],
    profile: Profile | str,
    max_train_rows: int | None,
) -> int:
    """Return the n_max that all imposed ratios share: as large as the classes and ``max_train_rows`` allow.

    Where replicates vary the split, the training part of each of them can give it, so that they differ in nothing else.

    Parameters
    ----------
    prepared
        The corpus.
    ratios
        Imbalance ratios of the study; ``natural`` is ignored.
    profile
        The profile, or its name.
    max_train_rows
        Bound on the rows of the largest draw, which is the one at the mildest ratio.
    """
    imposed = [float(ratio) for ratio in ratios if ratio != NATURAL]
    counts = prepared.train_rows().min(axis=0)
    if not imposed:
        return int(counts.max())
    n_max = largest_n_max(counts.tolist(), imposed, profile)
    if max_train_rows is not None:
        n_max = min(n_max, max(1, int(max_train_rows / _rows_per_n_max(imposed, profile, len(counts)))))
    return n_max


def ratio_remarks(ratios: Sequence[float | str], n_max: int) -> tuple[str, ...]:
    """Say at which imposed ratios whole rows, of which every class has at least one, make another ratio.

    Examples
    --------
    >>> ratio_remarks([0.1, 0.5, "natural"], 20)
    ()
    >>> ratio_remarks([0.01], 4)
    ('Imbalance ratio 0.01: of n_max 4 rows that is less than one, so minority classes have 1 row, a ratio of 0.25.',)
    """
    remarks = []
    for ratio in map(float, (ratio for ratio in ratios if ratio != NATURAL)):
        [_, least] = class_sizes([2, 1], ratio, "step", n_max)
        if least > n_max * ratio * _FAR_FROM_RATIO:
            remarks.append(
                f"Imbalance ratio {ratio:g}: of n_max {n_max} rows that is less than one, so minority classes have "
                f"1 row, a ratio of {least / n_max:.3g}."
            )
    return tuple(remarks)


def _rows_per_n_max(ratios: Sequence[float], profile: Profile | str, n_classes: int) -> float:
    mildest = max(ratios)
    if Profile.of(profile).name == "step":
        majority = (n_classes + 1) // 2
        return majority + (n_classes - majority) * mildest
    return float(sum(mildest ** (rank / (n_classes - 1)) for rank in range(n_classes)))
