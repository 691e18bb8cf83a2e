"""Two workers train the model that one worker trains on the whole batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.training.conftest import without_dropout
from trainables.encoder import build_classifier
from trainables.forward import predict
from trainables.stage import train_stage
from trainables.world import World

# 43 rows in batches of 7: shards of 4 and 3, and a last batch of 1 row, in which one worker has none.
ROWS, BATCH, STEPS = 43, 7, 14


def train(encoder, tokens, labels, world):
    model = without_dropout(build_classifier(encoder, 3, seed=1))
    report = train_stage(
        model, tokens, labels, steps=STEPS, learning_rate=1e-3, batch_size=BATCH, seed=3, world=world
    )
    return predict(model, tokens, world=world), report


def worker(rank, encoder, tokens, labels, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    logits, report = train(encoder, tokens, labels, World.from_distributed())
    np.savez(f"{folder}/{rank}.npz", logits=logits, rows=report.rows)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_workers_equal_one(encoder, toy, tmp_path):
    tokens, labels = toy[0].select(np.arange(ROWS)), toy[1][:ROWS]
    mp.spawn(worker, (encoder, tokens, labels, str(tmp_path)), nprocs=2)
    expected, report = train(encoder, tokens, labels, World.single())
    parts = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    np.testing.assert_array_equal(parts[0]["logits"], parts[1]["logits"])
    np.testing.assert_allclose(parts[0]["logits"], expected, rtol=1e-2, atol=2e-3)
    assert parts[0]["rows"] == report.rows


def test_without_a_process_group_there_is_one_worker():
    world = World.from_distributed()
    value = torch.tensor([2.0])
    world.all_reduce_mean(value)
    world.all_reduce_sum(value)
    assert (world, value.item()) == (World(0, 1), 2.0)
