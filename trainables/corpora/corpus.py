"""A corpus: texts, labels and groups, with where each row came from and what was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Corpus:
    """Labelled texts before any split.

    Attributes
    ----------
    texts
        n strings.
    labels
        (n,) int64, index into ``classes``.
    groups
        n strings; rows of one group must not be split across train, validation and test.
    classes
        C class names in a fixed order.
    origins
        n strings that trace each row to its source (file, record, section, paragraph).
    source
        Where the corpus is from, for people: a path, an address, ``"generated sample"``.
    left_out
        Reason to number of rows that were not taken.
    is_sample
        True for the generated sample corpus: its results mean nothing about real texts.
    notice
        What has to stand beside every result on it: that its texts are invented, or how sure its labels are.
    remarks
        Sentences, for people, on how the texts were read: what was guessed, left out in bulk, or merged.
    split
        Where the source comes with a split: n names of its parts, ``train``, ``validation`` or ``test``.
    found
        Rows per class that the source held before any was left out as repeated, contradictory or unusable.
    """

    texts: Sequence[str]
    labels: npt.NDArray[np.int64]
    groups: Sequence[str]
    classes: tuple[str, ...]
    origins: Sequence[str]
    source: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    is_sample: bool = False
    notice: str = ""
    remarks: tuple[str, ...] = ()
    split: Sequence[str] | None = None
    found: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    def class_counts(self) -> dict[str, int]:
        """Return the number of rows per class, in class order."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, counts, strict=True)}

    def in_canonical_order(self) -> Corpus:
        """Return the same rows in the order of their content, so that no split or draw depends on the file's."""
        order = sorted(range(len(self)), key=lambda i: (self.texts[i], self.groups[i], int(self.labels[i])))
        return replace(
            self,
            texts=[self.texts[i] for i in order],
            labels=self.labels[order],
            groups=[self.groups[i] for i in order],
            origins=[self.origins[i] for i in order],
            split=None if self.split is None else [self.split[i] for i in order],
        )

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits over the content: classes and the set of (text, label, group, part) rows.

        Stable under row order and across machines; ``origins`` and ``source`` do not enter.
        """
        parts = [""] * len(self) if self.split is None else [f"\0{part}" for part in self.split]
        rows = sorted(
            hashlib.sha256(f"{text}\0{self.classes[label]}\0{group}{part}".encode()).digest()
            for text, label, group, part in zip(self.texts, self.labels, self.groups, parts, strict=True)
        )
        whole = hashlib.sha256("\0".join(self.classes).encode())
        for row in rows:
            whole.update(row)
        return whole.hexdigest()[:16]
