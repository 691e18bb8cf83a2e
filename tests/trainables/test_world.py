"""Two workers train the model that one worker trains on the whole batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.trainables.conftest import without_dropout
from tests.trainables.trained import train_from_checkpoint, train_with
from trainables.errors import TrialFailed
from trainables.model import token_budget
from trainables.model.encoder import build_classifier
from trainables.model.forward import predict
from trainables.reuse.cache import ContentCache
from trainables.reuse.checkpoint import StageCheckpoint
from trainables.training import objective, running_stage
from trainables.world import World

# 43 rows in batches of 7: shards of 4 and 3, and a last batch of 1 row, in which one worker has none.
ROWS, BATCH, STEPS = 43, 7, 14


def train(encoder, tokens, labels, world):
    model = without_dropout(build_classifier(encoder, 3, seed=1))
    report = train_with(
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


class Interrupted(Exception):
    pass


def checkpointing_worker(rank, encoder, tokens, labels, folder, stop_at):
    """Train with two workers and a checkpoint at every question; leave after so many steps."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet{stop_at}", rank=rank, world_size=2)
    world = World.from_distributed()

    def stop(stage):
        if stage.step == stop_at:
            raise Interrupted

    model = build_classifier(encoder, 3, seed=1)
    checkpoint = StageCheckpoint(ContentCache(Path(folder) / "cache"), "abcd-stage2", every_s=0.0)
    how = {"steps": 50, "learning_rate": 1e-3, "batch_size": BATCH, "seed": 3, "world": world}
    try:
        report = train_from_checkpoint(
            model, tokens, labels, checkpoint=checkpoint if stop_at else None, after_step=stop, **how
        )
    except Interrupted:
        model = build_classifier(encoder, 3, seed=1)
        report = train_from_checkpoint(model, tokens, labels, checkpoint=checkpoint, **how)
    np.savez(
        f"{folder}/{stop_at}-{rank}.npz",
        logits=predict(model, tokens),
        loss=report.mean_loss,
        resumed_at=report.resumed_at,
    )
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_workers_go_on_from_their_checkpoint_bit_for_bit(encoder, toy, tmp_path):
    """Each worker has dropout masks of its own, and finds them again."""
    for stop_at in (0, 30):
        mp.spawn(checkpointing_worker, (encoder, *toy, str(tmp_path), stop_at), nprocs=2)
    for rank in range(2):
        whole, resumed = (np.load(tmp_path / f"{stop_at}-{rank}.npz") for stop_at in (0, 30))
        assert (whole["resumed_at"], resumed["resumed_at"]) == (0, 20)
        np.testing.assert_array_equal(resumed["logits"], whole["logits"])
        assert resumed["loss"] == whole["loss"]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_each_row_is_predicted_by_exactly_one_worker_and_lands_in_its_place(encoder, toy, monkeypatch, size):
    """The workers are run one after the other; what each one adds to the sum is looked at."""
    tokens, _ = toy
    model = build_classifier(encoder, 3, seed=1)
    with torch.no_grad():
        model.classifier.bias += 10.0  # so that no logit is zero by chance
    shares = []

    class Lonely(World):
        def all_reduce_sum(self, tensor):
            shares.append(tensor.clone())

    for rank in range(size):
        predict(model, tokens, world=Lonely(rank, size), max_tokens=100)
    predicted = torch.stack([(share != 0).all(1) for share in shares])
    assert (predicted.sum(0) == 1).all()
    assert predicted.any(1).all()
    np.testing.assert_allclose(sum(shares).numpy(), predict(model, tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3])
def test_one_worker_without_memory_stops_the_others(encoder, toy, monkeypatch, size):
    """It still takes part in the sum that they wait for, and makes it one that nobody goes on from."""
    summed = []

    class Lonely(World):
        def all_reduce_mean(self, tensor):
            summed.append(tensor.clone())

    def full(model, texts, masks=None):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(objective, "compute_logits", full)
    monkeypatch.setattr(token_budget, "_budgets", {})
    with pytest.raises(TrialFailed, match="out of memory"):
        train_with(
            build_classifier(encoder, 3, seed=1), *toy, steps=3, learning_rate=1e-3, world=Lonely(0, size)
        )
    assert len(summed) == 1
    assert summed[0].isnan().all()


@pytest.mark.parametrize(("steps", "sums"), [(30, 20), (7, 7)])
def test_workers_that_look_at_their_losses_seldom_stop_after_the_same_step(
    encoder, toy, monkeypatch, steps, sums
):
    """On GPUs they look every 20 steps and at the end; until then the one that failed may leave nobody waiting."""
    taken = []

    class Lonely(World):
        def all_reduce_mean(self, tensor):
            taken.append(tensor.isnan().all().item())
            if len(taken) >= 4:
                tensor.fill_(torch.nan)  # from the fourth step on another worker's sum

    def stopped():
        taken.clear()
        with pytest.raises(TrialFailed) as failure:
            train_with(
                build_classifier(encoder, 3, seed=1),
                *toy,
                steps=steps,
                learning_rate=1e-3,
                world=Lonely(1, 2),
            )
        return str(failure.value), list(taken)

    def seldom(self, device, gradient):
        made(self, device, gradient)
        self._every = running_stage.STEPS_PER_CHECK_ON_GPU

    def full_at_the_fourth_step(model, texts, masks=None):
        if len(taken) >= 3:
            raise torch.OutOfMemoryError
        return computed(model, texts, masks)

    made, computed = running_stage.StageProgress.__init__, objective.compute_logits
    monkeypatch.setattr(running_stage.StageProgress, "__init__", seldom)
    monkeypatch.setattr(token_budget, "_budgets", {})
    reason, of_the_other = stopped()
    assert "training diverged" in reason
    monkeypatch.setattr(objective, "compute_logits", full_at_the_fourth_step)
    reason, of_the_failed = stopped()
    assert "out of memory" in reason
    assert len(of_the_other) == len(of_the_failed) == sums
    assert of_the_failed == [False] * 3 + [True] * (sums - 3)


def test_without_a_process_group_there_is_one_worker():
    world = World.from_distributed()
    value = torch.tensor([2.0])
    world.all_reduce_mean(value)
    world.all_reduce_sum(value)
    assert (world, value.item()) == (World(0, 1), 2.0)
    assert world.gather("mine") == ["mine"]
    assert world.first_says(True)
    assert not world.first_says(False)
