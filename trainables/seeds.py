"""Independent random generators, each derived from (study seed, purpose, replicate)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


def derive_seed(study_seed: int, purpose: str, replicate: int = 0) -> int:
    """Return a 63-bit seed for one purpose in one replicate.

    The purpose is hashed, so that a new random source never shifts the numbers of another one.

    Parameters
    ----------
    study_seed
        Seed of the whole study.
    purpose
        What the generator is for, e.g. ``"draw"``, ``"augment"``, ``"stage1/batches"``.
    replicate
        Index of the replicate, >= 0.

    Examples
    --------
    >>> derive_seed(1, "draw", 0) == derive_seed(1, "draw", 0)
    True
    >>> derive_seed(1, "draw", 0) == derive_seed(1, "split", 0)
    False
    """
    digest = hashlib.sha256(f"{study_seed}\0{purpose}\0{replicate}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(study_seed: int, purpose: str, replicate: int = 0) -> np.random.Generator:
    """Return a NumPy generator seeded by :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(study_seed, purpose, replicate))


@dataclass(frozen=True)
class ReplicateSeeds:
    """Where all randomness of one replicate comes from: the same for every arm.

    Attributes
    ----------
    study_seed
        Seed of the whole study.
    replicate
        Index of the replicate.
    """

    study_seed: int
    replicate: int

    def of(self, purpose: str) -> int:
        """Return the seed of one purpose: :func:`derive_seed`."""
        return derive_seed(self.study_seed, purpose, self.replicate)
