"""A stage from the cache, or gone on from a shorter one, is the stage trained in one go, bit for bit."""

from __future__ import annotations

import errno
import multiprocessing

import numpy as np
import pytest
import torch

from tests.trainables.conftest import states_equal
from tests.trainables.trained import train_or_take
from trainables.model.encoder import build_classifier
from trainables.reuse.cache import ContentCache
from trainables.reuse.lengths import StageLengths
from trainables.texts.labelled import LabelledTexts
from trainables.training.losses import cross_entropy
from trainables.world import World

HOW = {
    "learning_rate": 1e-3,
    "batch_size": 16,
    "warmup": 0.5,
    "trainable": "all",
    "schedule": "constant",
    "seed": 4,
}


@pytest.fixture
def train(encoder, toy, tmp_path):
    rows = LabelledTexts(toy[0].select(np.arange(60)), toy[1][:60])  # 4 steps an epoch

    def train(cache=None, key="abcd", grid=(), grid_steps=(), **how):
        model = build_classifier(encoder, 3, seed=1)
        grid = StageLengths(epochs=grid, steps=grid_steps)
        report = train_or_take(model, rows, World.single(), cache, key, grid=grid, **{**HOW, **how})
        return model, report

    return train


@pytest.fixture
def cache(tmp_path):
    return ContentCache(tmp_path)


@pytest.mark.parametrize("trainable", ["all", "last_block", "head"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_longer_stage_goes_on_from_a_shorter_one(train, cache, trainable, precision):
    how = {"trainable": trainable, "precision": precision}
    whole, whole_report = train(epochs=3, **how)
    train(cache, epochs=1, grid=(1, 3), **how)
    continued, report = train(cache, epochs=3, grid=(1, 3), **how)
    assert report.resumed_at == 4
    assert states_equal(whole, continued)
    assert (report.steps, report.rows) == (12, 180)
    assert (report.mean_loss, report.last_loss) == (whole_report.mean_loss, whole_report.last_loss)


def test_a_longer_stage_stores_the_shorter_lengths_of_the_grid(train, cache):
    train(cache, epochs=3, grid=(0.5, 1, 2, 3))
    for epochs in (0.5, 1, 2, 3):
        reused, report = train(cache, epochs=epochs, grid=(0.5, 1, 2, 3))
        assert report is None
        assert states_equal(reused, train(epochs=epochs)[0])
    assert cache.hits == {"stage1": 4}


def test_what_cannot_be_stored_is_trained_all_the_same(train, cache, monkeypatch):
    def full(kind, key, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "put", full)
    model, report = train(cache, epochs=2, grid=(1, 2, 3))
    assert (report.steps, cache.unwritten) == (8, 3)  # two lengths and the state for the third
    assert states_equal(model, train(epochs=2)[0])


def test_steps_and_epochs_of_one_length_share_an_entry(train, cache):
    train(cache, epochs=2)
    assert train(cache, steps=8)[1] is None


@pytest.mark.parametrize(
    "how",
    [{"schedule": "linear"}, {"loss": lambda logits, labels, progress: 2 * cross_entropy(logits, labels)}],
    ids=["linear", "other loss"],
)
def test_lengths_that_are_no_chain_are_trained_each_on_its_own(train, cache, how):
    train(cache, epochs=1, grid=(1, 2), **how)
    model, report = train(cache, epochs=2, grid=(1, 2), **how)
    assert report.resumed_at == 0
    assert states_equal(model, train(epochs=2, **how)[0])


def test_a_state_is_kept_only_while_a_longer_length_may_need_it(train, cache):
    def states():
        return cache.keys("stage1_state", "abcd")

    train(cache, epochs=1, grid=(1,))
    assert states() == []
    train(cache, key="efgh", epochs=1, grid=(1, 2, 3))
    assert cache.keys("stage1_state", "efgh") == ["efgh-4"]
    train(cache, key="efgh", epochs=2, grid=(1, 2, 3))
    assert cache.keys("stage1_state", "efgh") == ["efgh-8"]
    train(cache, key="efgh", epochs=3, grid=(1, 2, 3))
    assert cache.keys("stage1_state", "efgh") == []


def test_no_state_is_kept_where_every_longer_length_is_stored(train, cache):
    train(cache, epochs=3, grid=(1, 2, 3))
    cache.remove("stage1", "abcd-4")
    model, report = train(cache, epochs=1, grid=(1, 2, 3))
    assert report.resumed_at == 0
    assert cache.keys("stage1_state", "abcd") == []
    assert states_equal(model, train(epochs=1)[0])
    for key in ("abcd-4", "abcd-8"):
        cache.remove("stage1", key)
    train(cache, epochs=1, grid=(1, 2, 3))
    assert cache.keys("stage1_state", "abcd") == ["abcd-4"]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_lengths_in_steps_are_a_chain_too(train, cache, precision):
    """Short before long goes on; long before short stores it on the way; 2 epochs are 8 steps."""
    how = {"precision": precision, "grid": (2,), "grid_steps": (3, 6, 8, 11)}
    short, _ = train(cache, steps=6, **how)
    longest, report = train(cache, steps=11, **how)
    assert report.resumed_at == 6
    for length in ({"steps": 3}, {"steps": 6}, {"epochs": 2}, {"steps": 8}, {"steps": 11}):
        reused, report = train(cache, **length, **how)
        assert report is None, length
        assert states_equal(reused, train(**length, precision=precision)[0]), length
    assert states_equal(short, train(steps=6, precision=precision)[0])
    assert states_equal(longest, train(steps=11, precision=precision)[0])
    assert cache.keys("stage1_state", "abcd") == []


@pytest.mark.parametrize("kind", ["stage1", "stage1_state"])
def test_a_damaged_entry_is_recomputed_and_counted(train, cache, kind):
    train(cache, epochs=1, grid=(1, 2))
    path = cache.path(kind, "abcd-4")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    epochs = 1 if kind == "stage1" else 2
    model, report = train(cache, epochs=epochs, grid=(1, 2))
    assert report.resumed_at == 0
    assert cache.corrupt == {kind: 1}
    assert states_equal(model, train(epochs=epochs)[0])


def _train(folder, encoder, rows, epochs, reports):
    torch.set_num_threads(1)
    model = build_classifier(encoder, 3, seed=1)
    cache, grid = ContentCache(folder), StageLengths(epochs=(1, 30))
    report = train_or_take(model, rows, World.single(), cache, "abcd", epochs=epochs, grid=grid, **HOW)
    reports.put((epochs, report is not None and report.steps - report.resumed_at))


@pytest.mark.slow
def test_of_several_processes_one_trains_each_length(encoder, toy, tmp_path):
    """All ask at once for 1 or 30 epochs of one stage: whoever comes second waits and takes, or goes on."""
    context = multiprocessing.get_context("spawn")
    rows = LabelledTexts(toy[0].select(np.arange(60)), toy[1][:60])
    reports = context.Queue()
    workers = [
        context.Process(target=_train, args=(tmp_path, encoder, rows, epochs, reports))
        for epochs in (1, 30, 1, 30)
    ]
    for worker in workers:
        worker.start()
    trained = [reports.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(steps for _, steps in trained) == 120
