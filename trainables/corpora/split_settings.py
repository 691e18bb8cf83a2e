"""How a corpus is split: what stays together, how large the parts are, and which fold is the test part."""

from __future__ import annotations

from dataclasses import dataclass

GROUP, ROW = "group", "row"
SPLIT_BY = (GROUP, ROW)
SHARE = 0.15  # of the rows, for validation and for test


@dataclass(frozen=True, kw_only=True)
class SplitSettings:
    """How a corpus is split.

    Attributes
    ----------
    by
        ``"group"``: rows of one group stay together. ``"row"``: every row goes its own way, as in papers that split
        at random; groups and near-duplicates then stand on both sides, so figures flatter every arm.
    separate_near_duplicates
        Whether near-duplicates, and texts that are equal in what the encoder reads of them, stay together too, where
        the split is by group.
    validation_fraction, test_fraction
        Shares of the rows; None for 0.15. Where the source gives the test part, ``validation_fraction`` is a share of
        its training rows.
    folds, fold
        Of this many parts of equal size the one with this number, from 1, is the test part; the test parts of all
        folds together are the corpus. None for a single test part.
    resplit
        Whether every replicate has train and validation parts of its own, see :mod:`trainables.corpora.resplit`.
    """

    by: str = GROUP
    separate_near_duplicates: bool = True
    validation_fraction: float | None = None
    test_fraction: float | None = None
    folds: int | None = None
    fold: int | None = None
    resplit: bool = False

    @property
    def separates(self) -> bool:
        """Whether near-duplicates, and texts that are one to the encoder, stay together."""
        return self.separate_near_duplicates and self.by != ROW

    @property
    def validation_share(self) -> float:
        """Share of the validation part."""
        return SHARE if self.validation_fraction is None else self.validation_fraction

    @property
    def test_share(self) -> float:
        """Share of the test part."""
        if self.folds is not None:
            return 1 / self.folds
        return SHARE if self.test_fraction is None else self.test_fraction

    def faults(self) -> list[str]:
        """Return what does not fit together, for values of which each is possible on its own.

        Examples
        --------
        >>> SplitSettings(folds=5, fold=5).faults()
        []
        >>> SplitSettings(fold=2).faults()
        ['fold is 2, but folds is not given: give both, e.g. folds=5.']
        """
        faults = []
        if self.folds is None and self.fold is not None:
            faults.append(f"fold is {self.fold}, but folds is not given: give both, e.g. folds=5.")
        elif self.folds is not None and self.fold is None:
            faults.append(
                f"folds is {self.folds}, but fold is not given: give the test part's number, from 1."
            )
        elif self.folds is not None and self.fold is not None and self.fold > self.folds:
            faults.append(f"fold is {self.fold}, but there are {self.folds} folds: give 1 to {self.folds}.")
        if self.folds is not None and self.test_fraction is not None:
            faults.append(
                f"test_fraction is {self.test_fraction} and folds is {self.folds}: each says how large the test part "
                "is; keep one."
            )
        if self.validation_share + self.test_share >= 1:
            faults.append(
                f"validation ({self.validation_share:g}) and test ({self.test_share:g}) take all rows and leave none "
                "for training: lower validation_fraction, test_fraction, or raise folds."
            )
        return faults
