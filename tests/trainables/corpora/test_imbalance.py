import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trainables.corpora.imbalance import class_sizes, draw, largest_n_max
from trainables.errors import ConfigurationError

COUNTS = [300, 1000, 500, 200, 400]
LABELS = np.repeat(np.arange(5), COUNTS)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_step_profile_halves_the_classes_by_rank():
    # ranks: 1000 (class 1), 500 (2), 400 (4) are the majority half, rounded up
    assert class_sizes(COUNTS, 0.1, "step", 200) == [20, 200, 200, 20, 200]


def test_exponential_profile_is_the_long_tail():
    assert class_sizes(COUNTS, 0.01, "exponential", 1000) == [32, 1000, 316, 10, 100]


@given(ratio=st.floats(0.001, 1), n_max=st.integers(1, 5000))
def test_both_profiles_agree_for_two_classes(ratio, n_max):
    assert class_sizes([5, 9], ratio, "step", n_max) == class_sizes([5, 9], ratio, "exponential", n_max)


def test_ties_go_to_the_lower_class_index():
    assert class_sizes([7, 7], 0.5, "step", 4) == [4, 2]


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 400), min_size=2, max_size=8),
    ratios=st.lists(st.floats(0.005, 1), min_size=1, max_size=4),
    profile=st.sampled_from(["step", "exponential"]),
)
def test_largest_n_max_serves_every_ratio_and_one_more_does_not(counts, ratios, profile):
    def served(n_max):
        return all(
            size <= count
            for ratio in ratios
            for size, count in zip(class_sizes(counts, ratio, profile, n_max), counts, strict=True)
        )

    n_max = largest_n_max(counts, ratios, profile)
    assert served(n_max) and not served(n_max + 1)


@settings(max_examples=40, deadline=None)
@given(ratio=st.floats(0.01, 1), profile=st.sampled_from(["step", "exponential"]), seed=st.integers(0, 99))
def test_a_draw_hits_its_ratio(ratio, profile, seed):
    rows = draw(LABELS, ratio, profile=profile, rng=rng(seed))
    counts = np.bincount(LABELS[rows], minlength=5)
    assert (np.diff(rows) > 0).all() and rows.dtype == np.int64
    assert abs(counts.min() - counts.max() * ratio) <= 1
    assert counts[1] == counts.max()


def test_the_generator_decides():
    assert np.array_equal(draw(LABELS, 0.1, rng=rng(1)), draw(LABELS, 0.1, rng=rng(1)))
    assert not np.array_equal(draw(LABELS, 0.1, rng=rng(1)), draw(LABELS, 0.1, rng=rng(2)))


def test_natural_is_everything():
    assert np.array_equal(draw(LABELS, "natural", rng=rng()), np.arange(len(LABELS)))


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 300), min_size=2, max_size=9),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 9),
)
def test_natural_with_a_bound_keeps_the_prior(counts, share, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    max_rows = int(share * len(labels))
    assume(max_rows >= 2 * len(counts))
    rows = draw(labels, "natural", max_rows=max_rows, rng=rng(seed), n_classes=len(counts))
    assert len(rows) == min(max_rows, len(labels)) == len(set(rows.tolist()))
    kept = np.bincount(labels[rows], minlength=len(counts))
    assert all(kept[c] >= min(2, counts[c]) for c in range(len(counts)))
    assert np.abs(kept - len(rows) * np.array(counts) / len(labels)).max() <= 2 * len(counts)


def test_max_rows_bounds_a_ratio_without_n_max():
    assert len(draw(LABELS, 0.5, max_rows=120, rng=rng())) <= 120


@pytest.mark.parametrize("ratio", [0, -0.1, 1.5, "balanced", float("nan")])
def test_a_ratio_outside_the_range_is_refused(ratio):
    with pytest.raises(ConfigurationError, match=r"\(0, 1\]"):
        draw(LABELS, ratio, rng=rng())


def test_every_class_that_is_too_small_is_named():
    with pytest.raises(ConfigurationError) as caught:
        draw(LABELS, 1.0, n_max=350, rng=rng())
    assert len(caught.value.faults) == 2
    assert "class 0 has 300" in str(caught.value) and "class 3 has 200" in str(caught.value)


def test_unknown_profile_and_empty_class_are_reported_together():
    with pytest.raises(ConfigurationError) as caught:
        largest_n_max([5, 0], [0.5], "linear")
    assert len(caught.value.faults) == 2


def test_a_bound_below_one_row_a_class_is_refused():
    with pytest.raises(ConfigurationError, match="max_rows"):
        draw(LABELS, "natural", max_rows=7, rng=rng())
