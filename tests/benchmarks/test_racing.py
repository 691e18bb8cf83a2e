"""The simulation of racing: worlds are as stated, policies spend alike, and a world comes out the same twice."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.racing import FIXED, POLICIES, World, of_world
from trainables.seeds import generator

BUDGET = 30


def test_a_worlds_gains_vary_as_stated_and_noise_belongs_to_the_configuration():
    world = World(10001)
    rng = generator(0, "test", 0)
    drawn = [world.draw(rng) for _ in range(2000)]
    gains = np.array([world.gain(values) for values in drawn])
    assert gains.std() == pytest.approx(world.spread, rel=0.1) and abs(gains.mean()) < 0.005
    noise = [g - world.gain(v) for v in drawn[:500] for g in world.scored(v, 4)]
    assert np.std(noise) == pytest.approx(world.noise, rel=0.1)
    assert world.scored(drawn[0], 3) == world.scored(drawn[0], 5)[:3]


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_trains_more_replicates_than_it_may(name):
    results = list(POLICIES[name](World(10002), BUDGET))
    if "halving" in name:
        assert max(n for n, _, _ in results) == 9
    else:
        assert BUDGET - FIXED < sum(n for n, _, _ in results) <= BUDGET


def test_a_world_comes_out_the_same_twice():
    assert of_world(10003, BUDGET) == of_world(10003, BUDGET)
