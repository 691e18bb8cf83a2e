"""A stage that was interrupted goes on from its checkpoint and ends with the weights of an undisturbed run."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch

from tests.trainables.conftest import states_equal
from tests.trainables.trained import train_from_checkpoint
from trainables.method.texts import ReplicateTexts
from trainables.method.two_stage import train_arm
from trainables.model.encoder import build_classifier
from trainables.reuse.cache import ContentCache
from trainables.reuse.checkpoint import StageCheckpoint
from trainables.reuse.stage_tree import Reuse
from trainables.seeds import ReplicateSeeds
from trainables.settings import TrialSettings
from trainables.texts.labelled import LabelledTexts
from trainables.world import World


class Interrupted(Exception):
    pass


@pytest.fixture
def cache(tmp_path):
    return ContentCache(tmp_path)


def train(encoder, toy, checkpoint, stop_at=None, **how):
    """Train 24 steps; raise after so many."""

    def stop(stage):
        if stage.step == stop_at:
            raise Interrupted

    model = build_classifier(encoder, 3, seed=1)
    how = {"learning_rate": 1e-3, "epochs": 4, "seed": 2, "world": World.single(), **how}
    report = train_from_checkpoint(model, *toy, checkpoint=checkpoint, after_step=stop, **how)
    return model, report


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("trainable", ["all", "last_block"])
@pytest.mark.parametrize("architecture", ["encoder", "distilbert"])
def test_goes_on_bit_for_bit(request, toy, cache, precision, trainable, architecture):
    encoder = request.getfixturevalue(architecture)
    how = {"precision": precision, "trainable": trainable, "layer_decay": 0.9}
    whole, whole_report = train(encoder, toy, None, **how)
    checkpoint = StageCheckpoint(cache, "abcd-stage2", every_s=0.0)
    with pytest.raises(Interrupted):
        train(encoder, toy, checkpoint, stop_at=11, **how)
    resumed, report = train(encoder, toy, checkpoint, **how)
    assert report.resumed_at == 10
    assert states_equal(whole, resumed)
    assert (report.steps, report.rows) == (whole_report.steps, whole_report.rows)
    assert (report.mean_loss, report.last_loss) == (whole_report.mean_loss, whole_report.last_loss)
    assert 0 < report.real_tokens < whole_report.real_tokens


def test_a_finished_stage_leaves_no_checkpoint(encoder, toy, cache):
    train(encoder, toy, StageCheckpoint(cache, "abcd-stage2", every_s=0.0))
    assert cache.keys("checkpoint", "abcd") == []


def test_a_stage_shorter_than_the_period_writes_nothing(encoder, toy, cache, monkeypatch):
    monkeypatch.setattr(cache, "put", None)
    train(encoder, toy, StageCheckpoint(cache, "abcd-stage2", every_s=300.0))


def test_a_checkpoint_that_cannot_be_written_costs_no_stage(encoder, toy, cache, monkeypatch):
    def full(kind, key, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "put", full)
    model, _ = train(encoder, toy, StageCheckpoint(cache, "abcd-stage2", every_s=0.0))
    assert cache.unwritten == 24
    assert states_equal(model, train(encoder, toy, None)[0])


def test_every_stage_and_every_run_has_its_own(encoder, toy, cache):
    with pytest.raises(Interrupted):
        train(encoder, toy, StageCheckpoint(cache, "abcd-stage1", every_s=0.0), stop_at=5)
    for key, stage in (("abcd", "stage2"), ("abce", "stage1")):
        report = train(encoder, toy, StageCheckpoint(cache, f"{key}-{stage}", every_s=300.0))[1]
        assert report.resumed_at == 0


def test_a_torn_checkpoint_is_ignored_and_counted(encoder, toy, cache):
    checkpoint = StageCheckpoint(cache, "abcd-stage2", every_s=0.0)
    with pytest.raises(Interrupted):
        train(encoder, toy, checkpoint, stop_at=5)
    path = cache.path("checkpoint", cache.keys("checkpoint", "abcd")[0])
    path.write_bytes(path.read_bytes()[:-100])
    model, report = train(encoder, toy, checkpoint)
    assert report.resumed_at == 0
    assert cache.corrupt == {"checkpoint": 1}
    assert states_equal(model, train(encoder, toy, None)[0])


SETTINGS = TrialSettings(
    stage1_learning_rate=1e-3, stage2_learning_rate=1e-3, stage1_epochs=4.0, stage2_epochs=4.0
)


def run(encoder, toy, folder):
    """Run both stages with a checkpoint after every step."""
    torch.set_num_threads(1)
    cache = ContentCache(folder)
    rows = [LabelledTexts(toy[0].select(part), toy[1][part]) for part in np.split(np.arange(80), 2)]
    return train_arm(
        SETTINGS,
        encoder,
        3,
        ReplicateTexts(original=rows[1], stage1=rows[0]),
        {"val": toy[0]},
        ReplicateSeeds(1, 0),
        reuse=Reuse(cache, checkpoint_every_s=0.0),
        keep_model=True,
    )


def run_until_killed(encoder, toy, folder, stage, writes, torn):
    """Kill this process at a checkpoint: after it was written, or in the middle of writing it."""
    replace, written = os.replace, 0

    def counted(source, target):
        nonlocal written
        written += "checkpoint" in str(target) and str(target).endswith(f"-{stage}")
        if not torn or written < writes:
            replace(source, target)
        if written == writes:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = counted
    run(encoder, toy, folder)


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_a_killed_process_is_gone_on_from(encoder, toy, tmp_path, stage, torn):
    torch.set_num_threads(1)
    undisturbed = run(encoder, toy, tmp_path / "undisturbed")
    process = multiprocessing.get_context("spawn").Process(
        target=run_until_killed, args=(encoder, toy, tmp_path / "killed", stage, 7, torn)
    )
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    resumed = run(encoder, toy, tmp_path / "killed")
    assert resumed.reports[stage].resumed_at == (6 if torn else 7)
    assert (resumed.reports["stage1"] is None) == (stage == "stage2")
    assert states_equal(resumed.model, undisturbed.model)
    np.testing.assert_array_equal(resumed.logits["val"], undisturbed.logits["val"])
    assert resumed.reports["stage2"].mean_loss == undisturbed.reports["stage2"].mean_loss
