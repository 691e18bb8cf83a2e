"""Near-duplicate texts: found by MinHash, confirmed by the Jaccard similarity of their word triples.

Two texts are near-duplicates when at least 80 % of the different word triples of both are shared: about one word
in thirty differs. Generic labels, reprinted newswire and quoted posts look like that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

THRESHOLD = 0.8

# 20 bands of 6 values: a pair at Jaccard 0.8 shares a band with probability 1 - (1 - 0.8^6)^20 = 0.998, one at
# 0.4 with 0.08 (Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, section 3.4).
_BANDS = 20
_VALUES_PER_BAND = 6
_SEED = 20220
_WORDS_PER_SHINGLE = 3
_MAX_WORDS = 5000  # what a longer text repeats shows in its start
_MAX_LEADERS = 16  # of one bucket: bounds the comparisons when a common phrase fills a bucket
_WORD = re.compile(r"\w+")


def near_duplicate_clusters(texts: Sequence[str], threshold: float = THRESHOLD) -> npt.NDArray[np.int64]:
    """Return the cluster of each text: texts linked by a chain of near-duplicates share one.

    Takes time and memory in proportion to the number of texts (160 bytes a text).

    Parameters
    ----------
    texts
        n texts.
    threshold
        Least Jaccard similarity of the sets of word triples, in (0, 1].

    Returns
    -------
    (n,) int64
        Index of the first text of the cluster; a text without near-duplicates is its own.

    Examples
    --------
    >>> text = "the drug was taken up within two hours of a single oral dose by all of the adults"
    >>> near_duplicate_clusters([text, "another text altogether", text + " studied"]).tolist()
    [0, 1, 0]
    """
    first = np.arange(len(texts), dtype=np.int64)

    @lru_cache(maxsize=4096)
    def shingles_of(index: int) -> frozenset[str]:
        return shingles(texts[index])

    keys = _band_keys(texts)
    for band in range(_BANDS):
        order = np.argsort(keys[:, band], kind="stable")
        ordered = keys[order, band]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else order
        ends = np.r_[starts[1:], len(order)]
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            leaders: list[int] = []
            for index in order[start:end].tolist():
                for leader in leaders:
                    if _root(first, leader) == _root(first, index):
                        break
                    if jaccard(shingles_of(leader), shingles_of(index)) >= threshold:
                        join(first, leader, index)
                        break
                else:
                    if len(leaders) < _MAX_LEADERS:
                        leaders.append(index)
    return np.array([_root(first, index) for index in range(len(texts))], dtype=np.int64)


def shingles(text: str) -> frozenset[str]:
    """Return the different word triples of a text, without case and punctuation; shorter texts are one shingle."""
    words = _WORD.findall(text.lower())[:_MAX_WORDS]
    if len(words) < _WORDS_PER_SHINGLE:
        return frozenset([" ".join(words) or text.strip()])
    return frozenset(map(" ".join, zip(words, words[1:], words[2:], strict=False)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of shingles of both sets that are in each of them."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def joined_groups(groups: Sequence[str], clusters: npt.NDArray[np.int64]) -> list[str]:
    """Return groups such that neither a group nor a cluster of near-duplicates is in two of them.

    Each carries the name of one of its groups.
    """
    number = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    names = list(number)
    first = np.arange(len(names), dtype=np.int64)
    for index, cluster in enumerate(clusters.tolist()):
        if cluster != index:
            join(first, number[groups[cluster]], number[groups[index]])
    return [names[_root(first, number[group])] for group in groups]


def spanning(clusters: npt.NDArray[np.int64], values: Iterable[object]) -> int:
    """Return how many clusters hold rows of more than one value (of labels, groups or parts)."""
    seen: dict[int, object] = {}
    several = set()
    for cluster, value in zip(clusters.tolist(), values, strict=True):
        if seen.setdefault(cluster, value) != value:
            several.add(cluster)
    return len(several)


def join(first: npt.NDArray[np.int64], one: int, other: int) -> None:
    """Join two sets of a forest in which every set is known by its smallest member.

    The forest is an array of 8 bytes a text; scipy's ``DisjointSet`` takes about 800.
    """
    roots = sorted((_root(first, one), _root(first, other)))
    first[roots[1]] = roots[0]


def _root(first: npt.NDArray[np.int64], index: int) -> int:
    while first[index] != index:
        first[index] = first[first[index]]
        index = int(first[index])
    return index


def _band_keys(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return (n, bands) keys; two texts that share one in a band are worth comparing."""
    keys = np.empty((len(texts), _BANDS), dtype=np.uint64)
    # Odd multipliers fold the values of a band into one key; a chance collision costs one comparison.
    weights = np.random.default_rng(_SEED).integers(1, 2**63, _VALUES_PER_BAND, dtype=np.uint64) * 2 + 1
    for index, text in enumerate(texts):
        signature = RMinHash(num_perm=_BANDS * _VALUES_PER_BAND, seed=_SEED)
        signature.update(list(shingles(text)))
        values = np.array(signature.digest(), dtype=np.uint64).reshape(_BANDS, _VALUES_PER_BAND)
        keys[index] = (values * weights).sum(axis=1)
    return keys
