"""Intervals of means and of shares, and how they are written and stored."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.interval import Interval, mean_interval, share_interval


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_intervals_hold_their_mean_and_stay_shares(shares):
    share, mean = share_interval(shares), mean_interval(shares)
    assert 0 <= share.ci_low <= share.mean <= share.ci_high <= 1
    assert mean.mean == pytest.approx(share.mean)
    assert (mean.ci_low is None) == (len(shares) == 1)


def test_wilsons_interval_as_published():
    found = share_interval([1.0] * 81 + [0.0] * 182)  # Newcombe, Statistics in Medicine 17 (1998), Table I
    assert (round(found.ci_low, 4), round(found.ci_high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize("values", [[], [0.5], [0.25, 0.75], [float("nan")]])
def test_an_interval_survives_its_json(values):
    interval = mean_interval(values)
    stored = json.loads(json.dumps(interval.to_json(), allow_nan=False))
    assert Interval.from_json(stored).to_json() == stored
    assert list(stored) == ["mean", "low", "high", "n"]
