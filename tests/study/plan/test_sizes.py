"""What a budget buys: over many budgets and speeds, without a machine."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from study.plan.sizes import Range, Sizes, choose, differences, rungs

LEAST = Sizes(1, 48, 150, 200, 2, 2, 1, 0, 7)
USUAL = Sizes(2, 160, 500, 300, 4, 3, 2, 2, 10)
MOST = Sizes(2, 800, 500, 300, 32, 6, 4, 4, 30)
BETWEEN = Range(LEAST, USUAL, MOST, (7, 8), 96)
BUDGETS = [60.0 * 1.25**n for n in range(40)]
SPEEDS = [(row, start) for row in (0.002, 0.02, 0.1) for start in (10.0, 120.0)]


def cost(row, start):
    """Return what sizes take at a speed: a stand-in with the shape of a study."""

    def seconds(sizes):
        searched = 2 * sizes.trials * sizes.replicates * 0.7
        screened = 2 * (sizes.finalists + 1) * sizes.screening_replicates
        each = 4 * sizes.train_rows + 0.25 * sizes.validation_rows
        confirmed = 5 * sizes.confirmation_replicates * (each + 0.25 * sizes.test_rows)
        return start + row * sizes.ratios * ((searched + screened) * each + confirmed)

    return seconds


@pytest.mark.parametrize(("row", "start"), SPEEDS)
def test_no_choice_takes_more_than_its_budget(row, start):
    seconds = cost(row, start)
    fitting = [(budget, choose(BETWEEN, seconds, budget)) for budget in BUDGETS]
    assert any(chosen.fits for _, chosen in fitting)
    for budget, chosen in fitting:
        assert chosen.seconds == seconds(chosen.sizes)
        assert chosen.fits == (chosen.seconds <= budget)


@pytest.mark.parametrize(("row", "start"), SPEEDS)
def test_more_time_never_asks_less(row, start):
    found = [choose(BETWEEN, cost(row, start), budget) for budget in BUDGETS]
    sizes = [chosen.sizes for chosen in found if chosen.fits]
    for less, more in itertools.pairwise(sizes):
        assert more.ratios >= less.ratios
        if more.ratios == less.ratios:
            pairs = zip(dataclasses.astuple(less), dataclasses.astuple(more), strict=True)
            assert all(a <= b for a, b in pairs)


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_confirmation_keeps_the_replicates_that_it_needs(budget):
    chosen = choose(BETWEEN, cost(0.02, 10.0), budget).sizes
    assert chosen.confirmation_replicates >= {1: 7, 2: 8}[chosen.ratios]
    assert chosen.trials >= LEAST.trials and chosen.train_rows >= LEAST.train_rows


def test_with_time_enough_everything_is_as_in_the_preset_and_then_more():
    seconds = cost(0.02, 10.0)
    assert choose(BETWEEN, seconds, seconds(USUAL)).sizes == USUAL
    assert choose(BETWEEN, seconds, 1e9).sizes == MOST


def test_search_and_confirmation_grow_together():
    for sizes in rungs(BETWEEN, 2):
        searched = (
            2 * sizes.trials * sizes.replicates + 2 * (sizes.finalists + 1) * sizes.screening_replicates
        )
        confirmed = 5 * sizes.confirmation_replicates
        assert 0.2 <= searched / confirmed <= 5.0


def test_draws_grow_first_until_a_model_can_learn_from_them():
    ladder = rungs(BETWEEN, 1)
    growing = [sizes for sizes in ladder if sizes.train_rows < 96]
    assert {dataclasses.replace(sizes, train_rows=96) for sizes in growing} == {
        dataclasses.replace(LEAST, train_rows=96)
    }
    assert [sizes.train_rows for sizes in growing] == sorted(
        {*range(48, 96)} & {s.train_rows for s in growing}
    )
    assert len(ladder) > len(growing) > 10


def test_a_second_ratio_is_asked_at_once_its_draws_are_large_enough():
    ladder = rungs(BETWEEN, 2)
    assert ladder[0].train_rows >= 96 > rungs(BETWEEN, 1)[0].train_rows
    seconds = cost(0.02, 10.0)
    assert choose(BETWEEN, seconds, seconds(ladder[0])).sizes.ratios == 2
    assert choose(BETWEEN, seconds, seconds(ladder[0]) - 1).sizes.ratios == 1


def test_what_nothing_useful_fits_in_is_told_with_what_would():
    seconds = cost(0.1, 60.0)
    refused = choose(BETWEEN, seconds, 70.0)
    assert not refused.fits and refused.sizes == LEAST
    assert choose(BETWEEN, seconds, refused.seconds).fits


def test_ratios_that_are_asked_for_are_never_left_out():
    fixed = dataclasses.replace(BETWEEN, least=dataclasses.replace(LEAST, ratios=2))
    for budget in BUDGETS:
        assert choose(fixed, cost(0.02, 10.0), budget).sizes.ratios == 2


def test_what_was_cut_and_added_is_told_in_words():
    cut, added = differences(dataclasses.replace(USUAL, train_rows=96, trials=6), USUAL)
    assert cut == ["96 instead of 160 training rows a draw"] and added == ["6 instead of 4 trials a ratio"]
