"""What a plan says that a study can show; its figures are worked out here by other means."""

from __future__ import annotations

import math
import re

import pytest
from scipy import stats

from study.record.ledger import Ledger
from study.run.detectable import comparisons_of, detectable_sentence, expected_spread
from study.statistics.looks import Looks
from tests.study.simulation import small_config
from trainables.trial import ReplicateRecord

ONE = {"imbalance_ratios": (0.1,)}


def power_of_t(gain: float, spread: float, n: int, level: float) -> float:
    """Return the power of the two-sided paired t test on its own side, from the noncentral t distribution."""
    bound = stats.t.ppf(1 - level / 2, n - 1)
    return float(stats.nct.sf(bound, n - 1, gain / spread * math.sqrt(n)))


def gains(sentence: str) -> list[float]:
    return [float(found) for found in re.findall(r"a gain of ([\d.]+) or more", sentence)]


@pytest.fixture
def ledger(tmp_path):
    """Return a function that adds a trial with its scores by replicate to a ledger."""
    found = Ledger(tmp_path / "ledger.jsonl")

    def add(name, phase, arm, values, ratio=0.1):
        found.start_trial(name, phase, arm, ratio, {})
        for replicate, value in enumerate(values):
            found.add_replicate(name, ReplicateRecord(replicate, {"val/macro_f1": value}, 1.0))
        found.finish_trial(name, "complete")
        return found

    return add


def test_comparisons_are_the_winner_and_the_recipe_at_every_ratio():
    assert comparisons_of(small_config(imbalance_ratios=("natural", 0.5, 0.1))) == 6
    assert comparisons_of(small_config(imbalance_ratios=(0.1,), trials=0)) == 1


def test_the_gain_of_the_planned_replicates_of_twice_as_many_and_their_price():
    """Ten replicates are worth eight of the t test's and twenty eighteen, as the verdict's rule has it."""
    said = detectable_sentence(
        small_config(**ONE, confirmation_replicates=10, prior_spread=0.05), None, 600.0
    )
    first, twice = gains(said)
    assert power_of_t(first, 0.05, 8, 0.025) == pytest.approx(0.8, abs=0.01)
    assert power_of_t(twice, 0.05, 18, 0.025) == pytest.approx(0.8, abs=0.01)
    assert "10 replicates and 2 comparisons (level 0.025 each), for about 10 min of confirmation" in said
    assert "20, twice as many, show" in said and "for about 10 min more." in said
    assert "macro F1 with 80% power" in said
    assert said.endswith("is 0.05, assumed (prior_spread): no replicates tell it yet.")


@pytest.mark.parametrize(
    ("ratios", "n", "least_p", "level", "fewest"),
    [
        ((0.1,), 2, "0.5", "0.025", 7),
        ((0.1,), 6, "0.0312", "0.025", 7),
        ((0.5, 0.1, 0.02), 7, "0.0156", "0.00833", 8),
    ],
)
def test_too_few_replicates_show_nothing_and_the_fewest_are_named(ratios, n, least_p, level, fewest):
    """2 / 2^n; .05 / (2 · ratios); the smallest n with 2 / 2^n at or below that."""
    said = detectable_sentence(
        small_config(imbalance_ratios=ratios, confirmation_replicates=n), None, 60.0 * n
    )
    assert f"NOTHING with {n} replicates" in said
    assert f"no p-value below {least_p}, and {2 * len(ratios)} comparisons ask for {level}." in said
    assert f"{fewest} are the fewest (--confirm {fewest})" in said and len(gains(said)) == 1
    enough = detectable_sentence(
        small_config(imbalance_ratios=ratios, confirmation_replicates=fewest), None, 60.0
    )
    assert "NOTHING" not in enough and gains(enough)[0] == gains(said)[0]


def test_blocks_until_it_is_decided_are_planned_at_the_levels_of_their_looks():
    config = small_config(**ONE, confirmation_replicates=10, until_decided=20, prior_spread=0.05)
    said = detectable_sentence(config, None, 100.0)
    looks = Looks((10, 15, 20))
    assert (
        f"(level {looks.level(10) / 2:.3g} each)" in said and "20, the most that may be added up to" in said
    )
    first, last = gains(said)
    assert power_of_t(first, 0.05, 8, looks.level(10) / 2) == pytest.approx(0.8, abs=0.01)
    assert power_of_t(last, 0.05, 18, looks.level(20) / 2) == pytest.approx(0.8, abs=0.01)
    few = detectable_sentence(
        small_config(**ONE, confirmation_replicates=5, until_decided=20, prior_spread=0.05), None, 100.0
    )
    assert "NOTHING with 5 replicates" in few and "With 20, the most" in few and len(gains(few)) == 1


def test_paired_differences_of_an_earlier_launch_replace_the_assumption(ledger):
    """Differences .01 .03 .05 (variance .0004, 2 degrees) and .00 .02 (.0002, 1): pooled √(.001 / 3) = .01826."""
    config = small_config(**ONE, confirmation_replicates=10)
    ledger("vanilla", "reference", "vanilla", (0.5, 0.6, 0.4))
    ledger("a", "search", "prefinetune", (0.51, 0.63, 0.45))
    found = ledger("b", "search", "prefinetune", (0.5, 0.62))
    spread = expected_spread(config, found, 0.1)
    assert spread.value == pytest.approx(math.sqrt(0.001 / 3))
    assert "estimated from 5 paired differences of 2 trials on validation" in spread.source
    assert expected_spread(config, found, 0.5).value == config.prior_spread
    (first, _), (assumed, _) = (gains(detectable_sentence(config, at, 1.0)) for at in (found, None))
    assert first / assumed == pytest.approx(spread.value / config.prior_spread, rel=0.05)


def test_without_pairs_vanilla_alone_tells_it_and_the_correlation_is_stated(ledger):
    """.5 .6 .4 .5 has variance .02 / 3; times 2 · (1 - .5) it is the differences'."""
    config = small_config(**ONE)
    found = ledger("vanilla", "reference", "vanilla", (0.5, 0.6, 0.4, 0.5))
    spread = expected_spread(config, found, 0.1)
    assert spread.value == pytest.approx(math.sqrt(0.02 / 3))
    assert "vanilla alone on 4 replicates" in spread.source and "correlated by 0.5" in spread.source


def test_the_ratio_at_which_differences_spread_most_decides(ledger):
    config = small_config(imbalance_ratios=(0.5, 0.1), confirmation_replicates=10, prior_spread=0.001)
    ledger("v", "reference", "vanilla", (0.5,) * 4, ratio=0.5)
    ledger("a", "search", "prefinetune", (0.51, 0.52, 0.53, 0.54), ratio=0.5)
    ledger("w", "reference", "vanilla", (0.5,) * 4)
    found = ledger("b", "search", "prefinetune", (0.5, 0.6, 0.7, 0.8))
    assert "at imbalance ratio 0.1 (1:10), where differences spread most," in detectable_sentence(
        config, found, 1.0
    )
    assert "spread most" not in detectable_sentence(config, None, 1.0), "they are assumed to be alike"


def test_a_study_without_a_confirmation_says_that_it_ends_without_a_verdict():
    assert "without a verdict" in detectable_sentence(small_config(confirmation_replicates=0), None, 0.0)
    assert detectable_sentence(small_config(trials=0, test_sets=("test",)), None, 0.0) == ""
