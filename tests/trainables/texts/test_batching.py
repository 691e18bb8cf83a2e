from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.training_rows import LOG_DEVIATION, LOG_MEAN
from trainables.texts.batching import (
    PADDED_WINDOW,
    evaluation_batches,
    shard,
    steps_of,
    steps_per_epoch,
    training_batches,
)

lengths = st.lists(st.integers(1, 128), min_size=1, max_size=200).map(np.array)


@given(lengths, st.integers(1, 20), st.integers(0, 5), st.integers(1, 5))
def test_an_epoch_holds_every_row_exactly_once(lengths, batch_size, seed, window):
    steps = steps_per_epoch(len(lengths), batch_size)
    batches = list(training_batches(lengths, batch_size, 2 * steps, seed, window))
    for epoch in (batches[:steps], batches[steps:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(len(lengths)))
        assert max(map(len, epoch)) <= batch_size


@given(lengths, st.integers(1, 20), st.floats(0.01, 3))
def test_fractional_epochs_give_exactly_their_steps(lengths, batch_size, epochs):
    steps = steps_of(len(lengths), batch_size, epochs)
    assert steps >= 1
    assert abs(steps - epochs * steps_per_epoch(len(lengths), batch_size)) <= 1
    assert len(list(training_batches(lengths, batch_size, steps, 0, 1))) == steps


def test_longer_run_begins_with_the_shorter_one_and_epochs_differ():
    rows = np.arange(1, 101)
    short = list(training_batches(rows, 10, 7, 3, PADDED_WINDOW))
    long = list(training_batches(rows, 10, 20, 3, PADDED_WINDOW))
    assert all(np.array_equal(a, b) for a, b in zip(short, long, strict=False))
    assert any(not np.array_equal(a, b) for a, b in zip(long[:10], long[10:], strict=True))


def padding_share(lengths, window):
    batches = list(training_batches(lengths, 16, len(lengths) // 16, 0, window))
    return 1.0 - lengths.sum() / sum(len(b) * lengths[b].max() for b in batches)


def test_batches_of_like_length_pad_texts_of_adme_as_little_as_is_said():
    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(LOG_MEAN, LOG_DEVIATION, 1600)), 3, 128).astype(np.int64)
    assert padding_share(lengths, PADDED_WINDOW) == pytest.approx(0.13, abs=0.015)
    assert padding_share(lengths, 1) == pytest.approx(0.34, abs=0.015)


def pairs_in_a_batch(batches):
    return {pair for b in batches for pair in itertools.combinations(sorted(b.tolist()), 2)}


@pytest.mark.parametrize(("window", "times_chance"), [(1, 1.2), (PADDED_WINDOW, 4)])
def test_a_small_set_is_mixed_anew_in_every_epoch(window, times_chance):
    lengths = np.random.default_rng(0).integers(5, 129, 320)
    batches = list(training_batches(lengths, 16, 40, 0, window))
    first, second = pairs_in_a_batch(batches[:20]), pairs_in_a_batch(batches[20:])
    chance = 15 / 319  # that one row is in the batch of another one
    assert len(first & second) / len(first) < times_chance * chance


@pytest.mark.parametrize(("window", "most"), [(1, 7), (PADDED_WINDOW, 12)])
def test_the_copies_of_a_text_do_not_fill_a_batch(window, most):
    """A stage-1 set holds many of each minority text, all of about its length."""
    lengths = np.repeat(np.arange(30, 46), 20)
    batches = training_batches(lengths, 16, 20, 0, window)
    assert max(np.unique(lengths[b], return_counts=True)[1].max() for b in batches) <= most


def test_the_short_batch_is_not_always_the_longest_texts():
    lengths = np.arange(1, 38)
    shortest = set()
    for seed in range(30):
        batches = list(training_batches(lengths, 10, 4, seed, PADDED_WINDOW))
        shortest.add(int(lengths[min(batches, key=len)].max()))
    assert len(shortest) > 2


@given(lengths, st.integers(1, 2000))
def test_evaluation_covers_rows_once_within_the_token_budget(lengths, max_tokens):
    batches = evaluation_batches(lengths, max_tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(b) == 1 or len(b) * lengths[b].max() <= max_tokens for b in batches)


@given(st.integers(1, 40), st.integers(1, 8))
def test_shards_partition_a_batch_evenly(n, size):
    rows = np.arange(n)
    parts = [shard(rows, rank, size) for rank in range(size)]
    assert sorted(np.concatenate(parts).tolist()) == rows.tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_no_rows_are_no_evaluation_batches():
    assert evaluation_batches(np.array([], dtype=np.int64), 100) == []


@pytest.mark.parametrize(
    ("n", "batch", "epochs", "steps"), [(100, 16, 1, 7), (100, 16, 0.5, 4), (3, 16, 0.1, 1)]
)
def test_steps_of_a_stage(n, batch, epochs, steps):
    assert steps_of(n, batch, epochs) == steps
