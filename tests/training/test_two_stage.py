from __future__ import annotations

import numpy as np
import pytest

from trainables.cache import ContentCache
from trainables.forward import predict
from trainables.settings import TrialSettings
from trainables.two_stage import TrainingRows, train_two_stage

SETTINGS = TrialSettings(stage1_learning_rate=1e-3, stage2_learning_rate=1e-3, stage2_epochs=1.0)


@pytest.fixture
def run(encoder, toy):
    tokens, labels = toy
    stage1 = TrainingRows(tokens.select(np.arange(40)), labels[:40])
    stage2 = TrainingRows(tokens.select(np.arange(40, 80)), labels[40:80])
    evaluation = {"val": tokens.select(np.arange(80, 90)), "test": tokens.select(np.arange(5))}

    def run(settings=SETTINGS, stage1_rows=stage1, **options):
        options = {"study_seed": 1, "replicate": 0, **options}
        return train_two_stage(settings, encoder, 3, stage1_rows, stage2, evaluation, **options)

    return run


def test_scores_every_evaluation_set(run):
    result = run()
    assert {name: x.shape for name, x in result.logits.items()} == {"val": (10, 3), "test": (5, 3)}
    assert result.stage1.rows == result.stage2.rows == 40
    assert result.diagnostics["stage1_steps"] == result.diagnostics["stage2_steps"] == 3
    assert result.model is None


def test_repeats_bit_for_bit_and_differs_between_replicates(run):
    first, again, other = run(), run(), run(replicate=1)
    np.testing.assert_array_equal(first.logits["val"], again.logits["val"])
    assert not np.array_equal(first.logits["val"], other.logits["val"])


def test_vanilla_equals_two_stages_whose_first_does_nothing(run):
    """Both arms share head, batches and dropout of stage 2: only what stage 1 does sets them apart."""
    idle = TrialSettings.from_config(SETTINGS.to_config() | {"stage1_learning_rate": 0.0})
    vanilla, paired, real = run(stage1_rows=None), run(idle), run()
    np.testing.assert_array_equal(vanilla.logits["val"], paired.logits["val"])
    assert not np.array_equal(vanilla.logits["val"], real.logits["val"])
    assert vanilla.stage1 is None


def test_reinitialised_head_differs_from_the_kept_one(run):
    reinit = TrialSettings.from_config(SETTINGS.to_config() | {"head": "reinit"})
    assert not np.array_equal(run().logits["val"], run(reinit).logits["val"])


def test_stage2_steps_replace_epochs(run):
    settings = TrialSettings.from_config(SETTINGS.to_config() | {"stage2_steps": 5, "stage2_epochs": 1.0})
    assert run(settings).stage2.steps == 5


@pytest.mark.parametrize("trainable", ["all", "last_block", "head"])
def test_cached_stage_1_reproduces_the_run(run, tmp_path, trainable):
    settings = TrialSettings.from_config(SETTINGS.to_config() | {"stage1_trainable": trainable})
    cache = ContentCache(tmp_path)
    plain = run(settings)
    missed = run(settings, stage1_cache=cache, stage1_key="ab12")
    hit = run(settings, stage1_cache=cache, stage1_key="ab12")
    assert missed.stage1 is not None
    assert hit.stage1 is None
    assert cache.hits == {"stage1": 1}
    for result in (missed, hit):
        np.testing.assert_array_equal(result.logits["val"], plain.logits["val"])


def test_kept_model_is_the_one_that_was_scored(run, encoder, toy):
    result = run(keep_model=True)
    np.testing.assert_array_equal(
        predict(result.model, toy[0].select(np.arange(80, 90))), result.logits["val"]
    )
