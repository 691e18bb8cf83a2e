"""Paired differences with their uncertainty over replicates."""

from __future__ import annotations

from collections.abc import Mapping

from trainables.interval import Interval, mean_interval


def paired_gain(
    arm: Mapping[int, float], reference: Mapping[int, float], confidence: float = 0.95
) -> Interval:
    """Return the mean of arm minus reference over the replicates that both have.

    Parameters
    ----------
    arm, reference
        Values of one metric by replicate index.
    confidence
        Coverage of the interval, in (0, 1).

    Examples
    --------
    >>> paired_gain({0: 0.75, 1: 0.5, 2: 0.9}, {0: 0.5, 1: 0.25}).mean
    0.25
    """
    common = sorted(arm.keys() & reference.keys())
    return mean_interval((arm[r] - reference[r] for r in common), confidence)
