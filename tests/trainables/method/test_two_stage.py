"""The path of a trial: the stages as a plain restatement has them, what the cache shares, what is reported."""

from __future__ import annotations

import dataclasses
import importlib.metadata

import numpy as np
import pytest
import torch

from tests.trainables.trained import train_with
from trainables.method.texts import ReplicateTexts
from trainables.method.two_stage import train_arm
from trainables.model.encoder import build_classifier, reinitialise_head
from trainables.model.forward import predict
from trainables.reuse.cache import ContentCache
from trainables.reuse.keys import model_key
from trainables.reuse.lengths import StageLengths
from trainables.reuse.stage_tree import Reuse
from trainables.seeds import ReplicateSeeds, derive_seed
from trainables.settings import TrialSettings
from trainables.texts.labelled import LabelledTexts

SETTINGS = TrialSettings(stage1_learning_rate=1e-3, stage2_learning_rate=1e-3, stage2_epochs=1.0)
VANILLA = dataclasses.replace(SETTINGS, arm="vanilla")
CRT = dataclasses.replace(SETTINGS, arm="crt")


@pytest.fixture(scope="module")
def rows(toy):
    tokens, labels = toy
    original = LabelledTexts(tokens.select(np.arange(40, 80)), labels[40:80])
    return ReplicateTexts(original, LabelledTexts(tokens.select(np.arange(40)), labels[:40]))


@pytest.fixture
def run(encoder, toy, rows):
    tokens = toy[0]
    evaluation = {"val": tokens.select(np.arange(80, 90)), "test": tokens.select(np.arange(5))}

    def run(settings=SETTINGS, **options):
        seeds = ReplicateSeeds(options.pop("study_seed", 1), options.pop("replicate", 0))
        keep_model = options.pop("keep_model", False)
        return train_arm(
            settings, encoder, 3, rows, evaluation, seeds, reuse=Reuse(**options), keep_model=keep_model
        )

    return run


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("head", ["keep", "reinit"])
@pytest.mark.parametrize("arm", ["vanilla", "prefinetune"])
def test_equals_the_algorithm_written_out(encoder, toy, rows, arm, head, precision):
    """Bit for bit: the seeds by purpose, a new optimizer and schedule a stage, nothing in between."""
    encoder = dataclasses.replace(encoder, precision=precision)
    settings = dataclasses.replace(SETTINGS, arm=arm, head=head, stage1_trainable="last_block")
    texts = toy[0].select(np.arange(80, 90))
    result = train_arm(settings, encoder, 3, rows, {"val": texts}, ReplicateSeeds(7, 2), keep_model=True)

    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    how = {"warmup": 0.1, "batch_size": 16, "weight_decay": 0.01, "max_grad_norm": 1.0, "precision": dtype}
    model = build_classifier(encoder, 3, derive_seed(7, "head", 2))
    if arm == "prefinetune":
        train_with(
            model, rows.stage1.tokens, rows.stage1.labels,
            epochs=1.0, learning_rate=1e-3, schedule="constant", trainable="last_block",
            seed=derive_seed(7, "stage1", 2), **how,
        )  # fmt: skip
        if head == "reinit":
            reinitialise_head(model, derive_seed(7, "stage2/head", 2))
    train_with(
        model, rows.original.tokens, rows.original.labels,
        epochs=1.0, learning_rate=1e-3, schedule="linear", seed=derive_seed(7, "stage2", 2), **how,
    )  # fmt: skip
    np.testing.assert_array_equal(result.logits["val"], predict(model, texts, precision=dtype))
    for name, value in model.state_dict().items():
        assert value.equal(result.model.state_dict()[name]), name


def test_scores_every_evaluation_set(run):
    result = run()
    assert {name: x.shape for name, x in result.logits.items()} == {"val": (10, 3), "test": (5, 3)}
    assert {name: report.rows for name, report in result.reports.items()} == {"stage1": 40, "stage2": 40}
    assert [(stage.name, stage.settings.steps) for stage in result.stages] == [("stage1", 3), ("stage2", 3)]
    assert 0 < result.scoring_seconds < result.seconds
    assert result.model is None


def test_replicates_differ(run):
    assert not np.array_equal(run().logits["val"], run(replicate=1).logits["val"])


def test_vanilla_equals_two_stages_whose_first_does_nothing(run):
    """Both arms share head, batches and dropout of stage 2: only what stage 1 does sets them apart."""
    idle = dataclasses.replace(SETTINGS, stage1_learning_rate=0.0)
    vanilla, paired, real = run(VANILLA), run(idle), run()
    np.testing.assert_array_equal(vanilla.logits["val"], paired.logits["val"])
    assert not np.array_equal(vanilla.logits["val"], real.logits["val"])
    assert list(vanilla.reports) == ["stage2"]


def test_steps_replace_epochs(run):
    result = run(dataclasses.replace(SETTINGS, stage1_steps=4, stage2_steps=5))
    assert [report.steps for report in result.reports.values()] == [4, 5]


def test_kept_model_is_the_one_that_was_scored(run, toy):
    for settings in (SETTINGS, CRT, dataclasses.replace(SETTINGS, arm="ldam_drw")):
        result = run(settings, keep_model=True)
        expected = predict(result.model, toy[0].select(np.arange(80, 90)))
        np.testing.assert_array_equal(expected, result.logits["val"])


@pytest.mark.parametrize("trainable", ["all", "last_block", "head"])
def test_cached_stage_1_reproduces_the_run(run, tmp_path, trainable):
    settings = dataclasses.replace(SETTINGS, stage1_trainable=trainable)
    cache = ContentCache(tmp_path)
    plain, missed, hit = run(settings), run(settings, cache=cache), run(settings, cache=cache)
    assert missed.reports["stage1"] is not None
    assert hit.reports["stage1"] is None
    for result in (missed, hit):
        np.testing.assert_array_equal(result.logits["val"], plain.logits["val"])


STAGE_2_ALONE = {
    "stage2_learning_rate": 1e-4, "stage2_epochs": 2.0, "stage2_steps": 7, "stage2_schedule": "constant",
    "head": "reinit", "tau": 2.0, "beta": 0.5, "gamma": 1.0, "head_epochs": 9.0, "smote_neighbours": 2,
    "masking_rate": 0.5,
}  # fmt: skip
STAGE_1_TOO = {
    "stage1_learning_rate": 1e-4, "stage1_epochs": 2.0, "stage1_steps": 2, "stage1_schedule": "linear",
    "stage1_trainable": "head", "warmup": 0.5, "batch_size": 8, "weight_decay": 0.1, "max_grad_norm": 0.1,
    "layer_decay": 0.9, "dropout": 0.3,
}  # fmt: skip


def test_stage_1_is_found_again_whatever_stage_2_reads_and_only_then(run, tmp_path):
    cache = ContentCache(tmp_path)
    run(cache=cache)
    for name, value in (STAGE_2_ALONE | STAGE_1_TOO).items():
        result = run(dataclasses.replace(SETTINGS, **{name: value}), cache=cache)
        assert (result.reports["stage1"] is None) == (name in STAGE_2_ALONE), name
    for option in ({"replicate": 1}, {"study_seed": 2}):
        assert run(cache=cache, **option).reports["stage1"] is not None


def test_a_trial_stores_the_lengths_in_steps_that_others_may_ask_for(run, tmp_path):
    cache, grid = ContentCache(tmp_path), StageLengths(epochs=(1.0,), steps=(2, 5))
    run(dataclasses.replace(SETTINGS, stage1_steps=5), cache=cache, stage1_grid=grid)
    for length in ({"stage1_steps": 2}, {"stage1_epochs": 1.0}, {"stage1_steps": 5}):
        settings = dataclasses.replace(SETTINGS, **length)
        shared, alone = run(settings, cache=cache, stage1_grid=grid), run(settings)
        assert shared.reports["stage1"] is None
        np.testing.assert_array_equal(shared.logits["val"], alone.logits["val"])


@pytest.mark.parametrize("library", ["torch", "transformers", "numpy"])
def test_another_version_of_a_library_finds_nothing(encoder, monkeypatch, library):
    def key():
        return model_key(encoder, 3, 1, normalised=False, dropout=None)

    before, found = key(), importlib.metadata.version
    assert key() == before
    if library == "transformers":
        versions = {library: "0.0"}
        monkeypatch.setattr(importlib.metadata, "version", lambda name: versions.get(name) or found(name))
    else:
        monkeypatch.setattr({"torch": torch, "numpy": np}[library], "__version__", "0.0")
    assert key() != before


def test_two_arms_with_the_same_first_stage_share_it(run, tmp_path):
    """The key is made of what is trained, not of the arm's name."""
    cache = ContentCache(tmp_path)
    run(cache=cache)
    duplicated = run(dataclasses.replace(SETTINGS, arm="prefinetune_duplicated"), cache=cache)
    assert duplicated.reports["stage1"] is None
    reweighted = run(dataclasses.replace(SETTINGS, arm="two_stage_reweight"), cache=cache)
    assert reweighted.reports["stage1"] is not None


def test_vanilla_is_trained_once_for_the_arms_that_begin_with_it(run, tmp_path):
    cache = ContentCache(tmp_path)
    vanilla = run(VANILLA, cache=cache, share_vanilla=True)
    assert vanilla.reports["stage2"] is not None
    for arm in ("crt", "feature_smote"):
        settings = dataclasses.replace(CRT, arm=arm)
        shared, alone = run(settings, cache=cache), run(settings)
        assert shared.reports["stage2"] is None
        assert alone.reports["stage2"] is not None
        np.testing.assert_array_equal(shared.logits["val"], alone.logits["val"])
    again = run(VANILLA, cache=cache, share_vanilla=True)
    assert again.reports["stage2"] is None
    np.testing.assert_array_equal(again.logits["val"], vanilla.logits["val"])
    other = dataclasses.replace(CRT, stage2_learning_rate=1e-4)
    assert run(other, cache=cache).reports["stage2"] is not None


def test_a_first_crt_keeps_vanilla_for_the_next_and_nothing_else_is_kept(run, tmp_path):
    cache = ContentCache(tmp_path)
    for arm in ("vanilla", "oversample", "ldam_drw", "augment_single_stage"):
        run(dataclasses.replace(SETTINGS, arm=arm), cache=cache)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    run(CRT, cache=cache)
    assert run(dataclasses.replace(CRT, head_epochs=1.0), cache=cache).reports["stage2"] is None
