from __future__ import annotations

import pytest

from benchmarks.driver_parts import LEDGER, MLFLOW, SEARCHER, DriverParts


class Machine:
    """Two methods of which one calls the other, and a clock that they move on."""

    def __init__(self):
        self.now = 0.0

    def inner(self, seconds):
        self.now += seconds
        return seconds

    def outer(self, seconds):
        self.now += 1.0
        return self.inner(seconds) + self.inner(seconds)

    def fails(self):
        self.now += 5.0
        raise OSError


def test_a_call_within_a_call_counts_where_it_belongs():
    machine = Machine()
    parts = DriverParts(lambda: machine.now)
    parts.watch(LEDGER, machine, "inner", "fails")
    parts.watch(SEARCHER, machine, "outer")
    assert machine.outer(2.0) == 4.0 and machine.inner(3.0) == 3.0
    machine.now += 100.0  # in no part
    assert parts.seconds == {SEARCHER: 1.0, LEDGER: 7.0, MLFLOW: 0.0}


def test_a_call_that_fails_fails_and_counts():
    machine = Machine()
    parts = DriverParts(lambda: machine.now)
    parts.watch(MLFLOW, machine, "fails")
    with pytest.raises(OSError):
        machine.fails()
    assert parts.seconds[MLFLOW] == 5.0
