"""Two workers train the arms that one worker trains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.trainables.arm_contract import rows_of
from trainables.method.arms import ARMS
from trainables.method.texts import ReplicateTexts
from trainables.method.two_stage import train_arm
from trainables.seeds import ReplicateSeeds
from trainables.settings import TrialSettings
from trainables.world import World


def train(encoder, toy, world):
    """Return the logits of every arm, (arms, 30, C), trained without dropout, whose masks differ by worker."""
    rows = ReplicateTexts(rows_of(toy, (24, 12, 6)), rows_of(toy, (20, 20, 20)))
    return np.stack([
        train_arm(
            TrialSettings(arm=arm, dropout=0.0, stage2_steps=4, batch_size=7, head_epochs=2.0), encoder, 3, rows,
            {"val": toy[0].select(np.arange(30))}, ReplicateSeeds(1, 0), world=world,
        ).logits["val"]
        for arm in ARMS
    ])  # fmt: skip


def worker(rank, encoder, toy, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    np.save(f"{folder}/{rank}.npy", train(encoder, toy, World.from_distributed()))
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_workers_equal_one_on_every_arm(masked_lm, toy, tmp_path):
    encoder = masked_lm
    mp.spawn(worker, (encoder, toy, str(tmp_path)), nprocs=2)
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, train(encoder, toy, World.single()), rtol=1e-2, atol=2e-3)
