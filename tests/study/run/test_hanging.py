from __future__ import annotations

from types import SimpleNamespace

import pytest

from study.record.ledger import Ledger
from study.run.hanging import Hanging
from trainables.trial import ReplicateRecord


class Watched:
    """A trial that is watched by a clock that a test turns."""

    def __init__(self, folder, expected_s=1.0, took_s=(), budget_s=None):
        ledger = self.ledger = Ledger(folder / "ledger.jsonl")
        ledger.start_trial("earlier", "search", "prefinetune", 0.1, {})
        for replicate, seconds in enumerate(took_s):
            ledger.add_replicate("earlier", ReplicateRecord(replicate, {}, seconds))
        self.now = 0.0
        self.hanging = Hanging(expected_s, ledger, lambda: self.now, budget_s)
        self.trial = SimpleNamespace(trial_id="a")
        self.hanging.began(self.trial)

    def minutes_until_overdue(self, at_most=1000):
        for half_minutes in range(2 * at_most):
            if list(self.hanging.overdue()):
                return half_minutes / 2
            self.now += 30.0
        return None


@pytest.mark.parametrize(
    ("expected_s", "took_s", "minutes"),
    [
        (1.0, (), 10),
        (120.0, (), 20),
        (1.0, (30.0, 90.0), 15),
        (float("inf"), (), None),
        (None, (), None),
        (None, (30.0,), 10),
        (None, (90.0, 120.0), 20),
    ],
)
def test_a_replicate_may_take_ten_times_as_long_as_the_longest(tmp_path, expected_s, took_s, minutes):
    found = Watched(tmp_path, expected_s, took_s).minutes_until_overdue()
    assert found == minutes or 0 < found - minutes <= 0.5


def test_without_an_estimate_the_first_replicate_that_arrives_sets_the_time(tmp_path):
    watched = Watched(tmp_path, expected_s=None)
    assert watched.minutes_until_overdue(at_most=300) is None
    watched.ledger.add_replicate("earlier", ReplicateRecord(0, {}, 90.0))
    assert watched.minutes_until_overdue() is not None


@pytest.mark.parametrize(
    ("budget_min", "expected_s", "minutes"),
    [(10, 1.0, 2.5), (2, 1.0, 1), (8 * 60, 1.0, 10), (10, 30.0, 5)],
)
def test_a_hang_does_not_eat_a_whole_budget(tmp_path, budget_min, expected_s, minutes):
    found = Watched(tmp_path, expected_s, budget_s=60.0 * budget_min).minutes_until_overdue()
    assert 0 < found - minutes <= 0.5


def test_every_replicate_has_the_whole_time(tmp_path):
    watched = Watched(tmp_path)
    for _ in range(5):
        assert watched.minutes_until_overdue(at_most=9) is None
        watched.hanging.began(watched.trial)


def test_what_ended_is_not_waited_for(tmp_path):
    watched = Watched(tmp_path)
    assert watched.hanging.ended(watched.trial) is None
    assert watched.minutes_until_overdue() is None


def test_a_driver_that_stood_still_blames_no_trial(tmp_path):
    watched = Watched(tmp_path)
    watched.now += 3600.0
    assert list(watched.hanging.overdue()) == []
    assert watched.minutes_until_overdue() > 9
