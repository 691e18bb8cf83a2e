from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.batching import evaluation_batches, shard, steps_of, steps_per_epoch, training_batches

lengths = st.lists(st.integers(1, 128), min_size=1, max_size=200).map(np.array)


@given(lengths, st.integers(1, 20), st.integers(0, 5))
def test_an_epoch_holds_every_row_exactly_once(lengths, batch_size, seed):
    steps = steps_per_epoch(len(lengths), batch_size)
    batches = list(training_batches(lengths, batch_size, 2 * steps, seed))
    for epoch in (batches[:steps], batches[steps:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(len(lengths)))
        assert max(map(len, epoch)) <= batch_size


@given(lengths, st.integers(1, 20), st.floats(0.01, 3))
def test_fractional_epochs_give_exactly_their_steps(lengths, batch_size, epochs):
    steps = steps_of(len(lengths), batch_size, epochs)
    assert steps >= 1
    assert abs(steps - epochs * steps_per_epoch(len(lengths), batch_size)) <= 1
    assert len(list(training_batches(lengths, batch_size, steps, 0))) == steps


def test_longer_run_begins_with_the_shorter_one_and_epochs_differ():
    rows = np.arange(1, 101)
    short = list(training_batches(rows, 10, 7, 3))
    long = list(training_batches(rows, 10, 20, 3))
    assert all(np.array_equal(a, b) for a, b in zip(short, long, strict=False))
    assert any(not np.array_equal(a, b) for a, b in zip(long[:10], long[10:], strict=True))


def test_bucketing_pads_little_and_mixes_rows_over_epochs():
    lengths = np.random.default_rng(0).integers(5, 129, 1600)
    batches = list(training_batches(lengths, 16, 200, 0))
    padded = sum(len(b) * lengths[b].max() for b in batches)
    assert padded < 1.03 * 2 * lengths.sum()
    together = [{frozenset(b.tolist()) for b in part} for part in (batches[:100], batches[100:])]
    assert not together[0] & together[1]


def test_the_short_batch_is_not_always_the_longest_texts():
    lengths = np.arange(1, 38)
    shortest = set()
    for seed in range(30):
        batches = list(training_batches(lengths, 10, 4, seed))
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
