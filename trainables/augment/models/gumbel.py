"""Random numbers that are a hash of what they are for, so that no draw shifts another one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hash_of(key: int, number: int) -> int:
    """Return 64 well-mixed bits of a key and a number."""
    return int(hashes(np.array([key], dtype=np.uint64), np.uint64(number))[0])


def hashes(
    keys: npt.NDArray[np.uint64], numbers: npt.NDArray[np.uint64] | np.uint64
) -> npt.NDArray[np.uint64]:
    """Return 64 well-mixed bits of each key and number (broadcast): SplitMix64 (Steele, Lea & Flood 2014)."""
    with np.errstate(over="ignore"):
        x = keys + (numbers + np.uint64(1)) * _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: npt.NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def gumbel(keys: npt.NDArray[np.uint64], numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Return a standard Gumbel number of each key and number (broadcast); the largest sum with logits is a sample."""
    uniform = ((hashes(keys, numbers) >> np.uint64(11)) + 0.5) * 2.0**-53
    result: npt.NDArray[np.float64] = -np.log(-np.log(uniform))
    return result
