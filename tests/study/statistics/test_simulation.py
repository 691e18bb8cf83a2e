"""What the statistics of the verdict promise, simulated: false positives, coverage, power, repeated looks."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import statistics as simulation
from study.statistics.looks import Looks

BLOCKS = (10, 15, 20, 25, 30)


def error(share, simulations):
    """Three standard errors of a simulated share: one run in 370 lies further out."""
    return 3 * np.sqrt(share * (1 - share) / simulations)


@pytest.mark.parametrize("kind", simulation.KINDS)
def test_simulated_differences_have_the_mean_and_spread_that_they_should(kind):
    values = simulation.draw(kind, (400_000,), np.random.default_rng(0), 0.01)
    assert values.mean() == pytest.approx(0.01, abs=3e-4)
    assert values.std() == pytest.approx(simulation.SPREAD, rel=0.05)
    if kind == "discrete":
        assert np.abs(values * 60 - np.round(values * 60)).max() < 1e-9


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("kind", simulation.KINDS)
def test_equal_arms_are_told_apart_no_more_often_than_alpha(kind, n):
    found = simulation.false_positives(kind, n, 200)
    assert found["verdict"] <= found["permutation"] <= 0.05 + error(0.05, 200)
    assert (n > 5) == (found["permutation"] > 0), "five pairs cannot be told apart at .05, ten can"


@pytest.mark.parametrize("kind", ["normal", "discrete"])
def test_intervals_of_normal_and_discrete_differences_cover_as_they_say(kind):
    found = simulation.coverage(kind, 10, 600)
    assert 0.93 - error(0.95, 600) <= found["decides"] <= 0.97 + error(0.95, 600)
    assert found["percentile"] < found["decides"]


def test_looking_five_times_is_corrected():
    naive = simulation.sequential(None, BLOCKS, 0.0, 300)["called"]
    corrected = simulation.sequential(Looks(BLOCKS), BLOCKS, 0.0, 300)["called"]
    assert corrected <= 0.05 + error(0.05, 300) < naive


@pytest.mark.slow
@pytest.mark.parametrize("n", simulation.REPLICATES)
@pytest.mark.parametrize("kind", ["normal", "discrete"])
def test_coverage_of_normal_and_discrete_differences_is_between_93_and_97_percent(kind, n):
    found = simulation.coverage(kind, n, 4000)
    assert all(0.93 <= found[name] <= 0.97 for name in ("student", "bootstrap_t", "decides"))


@pytest.mark.slow
def test_coverage_of_skewed_differences_is_what_it_is():
    """Student's interval falls short of 93 %, and with five replicates it decides; from ten on the bootstrap holds."""
    student, decides = (
        [simulation.coverage("skewed", n, 4000)[name] for n in simulation.REPLICATES]
        for name in ("student", "decides")
    )
    assert all(0.90 < share < 0.94 for share in student)
    assert 0.90 < decides[0] < 0.93
    assert all(0.93 <= share <= 0.97 for share in decides[1:])


@pytest.mark.slow
def test_false_positives_stay_at_alpha():
    for kind in simulation.KINDS:
        for n in simulation.REPLICATES:
            assert simulation.false_positives(kind, n, 2000)["verdict"] <= 0.05 + error(0.05, 2000), (kind, n)
    assert simulation.family_of_equal_arms(6, 10, 300) <= 0.05 + error(0.05, 300)


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 20, 34])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
def test_power_is_as_stated(n, alpha):
    found = simulation.power(n, 2000, alpha)
    assert found["student"] == pytest.approx(0.8, abs=error(0.8, 2000))
    assert 0.8 - error(0.8, 2000) <= found["verdict"] <= 0.87, "stated for the rule, and not by much too low"


@pytest.mark.slow
@pytest.mark.parametrize("spending", ["pocock", "obrien_fleming"])
def test_repeated_looks_keep_alpha_and_find_a_gain(spending):
    looks = Looks(BLOCKS, spending=spending)
    assert simulation.sequential(None, BLOCKS, 0.0, 2000)["called"] > 0.1
    assert simulation.sequential(looks, BLOCKS, 0.0, 2000)["called"] <= 0.05 + error(0.05, 2000)
    with_gain = simulation.sequential(looks, BLOCKS, 0.02, 2000)
    assert with_gain["called"] > 0.85 and with_gain["mean_replicates"] < 25


@pytest.mark.slow
@pytest.mark.parametrize(("n", "replicates_only"), [(5, 0.93), (10, 0.87)])
def test_intervals_cover_what_other_test_texts_would_show(n, replicates_only):
    """The more replicates, the shorter an interval falls that takes the test texts for all there are."""
    found = simulation.crossed_coverage(n, 200, 0.7, 1000, 499)
    assert found["replicates_only"] < replicates_only
    for name in ("student", "bootstrap_t"):
        assert 0.93 - error(0.95, 1000) <= found[name] <= 0.97 + error(0.95, 1000), name


@pytest.mark.slow
def test_the_benchmark_prints_one_json_object():
    command = [sys.executable, "-m", "benchmarks.statistics", "--simulations", "10"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert set(json.loads(printed)) == {
        "simulations", "false_positives", "any_of_six_equal_arms", "coverage", "power", "sequential",
        "crossed_coverage", "seconds",
    }  # fmt: skip
