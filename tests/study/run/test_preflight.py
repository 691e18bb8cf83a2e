"""What a plan says that the masked-language training of an arm costs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from study.plan.deadline import Expected, ExpectedRuns
from study.run.cluster import TrialResources
from study.run.estimate import estimate_cost
from study.run.speed import Speed, measured_speed
from tests.study.simulation import small_config
from tests.trainables.augment.tiny_masked_lm import write_masked_lm
from trainables.model.encoder import load_tokenizer
from trainables.prepared import RunSettings
from trainables.settings import EncoderSettings
from trainables.texts.tokens import tokenise
from trainables.texts.words import with_words

RESOURCES = TrialResources(workers=1, cpus=1, gpus=0, concurrency=1)
PER_MASKED_ROW = 7.0


def prepared(**values):
    labels = np.repeat([0, 1], 100)
    return SimpleNamespace(
        classes=("a", "b"),
        train_labels=labels,
        validation_labels=labels,
        test_labels=labels,
        train_rows=lambda: np.bincount(labels)[None],
        ranked_by=(),
        **values,
    )


def run(encoder):
    return RunSettings(
        study_seed=0, encoder=encoder, profile="step", n_max=100, max_train_rows=None, cache_dir=""
    )


@pytest.fixture
def estimate():
    def estimate(augmented_text=None, **values):
        config = small_config(imbalance_ratios=(0.1,), **values)
        speed = Speed(1.0, 0.0, PER_MASKED_ROW, augmented_text=augmented_text or {})
        return estimate_cost(config, prepared(), run(EncoderSettings()), RESOURCES, speed)

    return estimate


def test_an_untuned_arm_costs_its_own_first_stage_and_vanillas(estimate):
    without, own = estimate(), estimate(arms=("tapt",))
    replicates, rows, passes, vanilla_passes = 3, 110, 10, 2
    assert own.replicates - without.replicates == replicates
    assert own.rows - without.rows == replicates * rows * (passes + vanilla_passes)
    seconds = replicates * rows * (passes * PER_MASKED_ROW + vanilla_passes)
    assert own.seconds - without.seconds == pytest.approx(seconds)


def test_a_tuned_arm_costs_the_lengths_of_its_grid(estimate):
    space = {"tapt": {"stage1_epochs": (3.0, 5.0), "stage2_epochs": (1.0, 3.0)}}
    own = estimate(arms=("tapt",), arm_trials=2, arm_spaces=space)
    runs = 2 * 3 * 0.7
    seconds = runs * 110 * (4 * PER_MASKED_ROW + 2)
    assert own.seconds - estimate().seconds == pytest.approx(seconds)


def test_steps_of_masked_language_training_are_timed(tmp_path):
    encoder = EncoderSettings(
        name=str(write_masked_lm(tmp_path)), max_length=32, precision="float32", device="cpu"
    )
    tokens = tokenise(["the trees said 12 mg of the tree"] * 200, load_tokenizer(encoder), 32)
    words = with_words(tokens, ["the trees said 12 mg of the tree"] * 200)
    given = prepared(train_tokens=words, train_texts=["the trees said 12 mg of the tree"] * 200)
    of_tapt = small_config(arms=("tapt",), paper={"operator": "random_swap"})
    found = measured_speed(of_tapt, given, run(encoder), RESOURCES)
    assert min(found.trained_row, found.scored_row, found.masked_row, found.replicate) > 0
    assert found.augmented_text["random_swap"] > 0 and {*found.fitted_row} == {"tfidf", "frozen"}
    without = small_config(paper={"operator": "random_swap"})
    assert measured_speed(without, given, run(encoder), RESOURCES).masked_row == 0


def test_a_first_stage_that_trains_fewer_layers_takes_less_time_for_the_same_rows(estimate):
    space = {"stage1_epochs": (1.0, 2.0), "stage2_learning_rate": (5e-5, 1e-4)}
    whole = estimate(space={**space, "stage1_trainable": ("all",)}, first={})
    top = estimate(space={**space, "stage1_trainable": ("last_block",)}, first={})
    assert top.rows == whole.rows
    assert top.seconds < whole.seconds


def test_a_first_stage_of_equal_classes_is_as_large_as_the_smallest(estimate):
    space = {"stage1_epochs": (1.0, 2.0), "stage2_learning_rate": (5e-5, 1e-4)}
    balanced = estimate(space={**space, "stage1_data": ("augmented_balanced",)}, first={})
    equal = estimate(space={**space, "stage1_data": ("augmented_equal",)}, first={})
    mixed = estimate(space={**space, "stage1_data": ("augmented_balanced", "augmented_equal")}, first={})
    assert equal.rows < mixed.rows < balanced.rows


def test_processes_wait_for_each_other_at_the_end_of_a_phase():
    runs = [ExpectedRuns("search", "prefinetune", 0.1, 4, 8.0, 10.0)]
    assert Expected(runs, 1).seconds() == 80.0
    # Half a trial of two replicates on one of the two.
    assert Expected(runs, 2).seconds() == (80.0 + 10.0) / 2
    assert Expected(runs, 2).seconds("confirmation") == 0.0


def test_a_replicate_is_planned_at_its_trials_own_settings(estimate):
    space = {"stage2_epochs": (2.0, 4.0), "stage2_learning_rate": (1e-4,)}
    found = estimate(reference_space=space, confirmation_replicates=4).expected
    runs = {(run.phase, run.arm): run for run in found.runs}
    vanilla, rows = runs["confirmation", "vanilla"], 110
    for epochs in (2.0, 4.0):
        assert found.at_settings(vanilla, {"stage2_epochs": epochs}) == pytest.approx(
            vanilla.each + rows * (epochs - 3.0)
        )
    matched = runs["confirmation", "vanilla_matched"]
    shorter, longer = (
        found.at_settings(matched, {"stage2_epochs": 9.0, "stage2_steps": steps, "batch_size": 16})
        for steps in (10, 30)
    )
    assert longer - shorter == pytest.approx(20 * 16)
    linear = runs["confirmation", "tfidf_lr"]
    assert found.at_settings(linear, {"stage2_epochs": 9.0}) == linear.each


def test_a_first_stage_is_planned_at_its_trials_own_settings(estimate):
    values = {
        "stage1_data": "augmented_equal",
        "stage1_trainable": "last_block",
        "copies": 2,
        "stage1_epochs": 1.0,
        "stage2_epochs": 3.0,
        "operator": "aeda",
    }
    found = estimate(space={"stage1_epochs": (1.0, 2.0), "stage2_epochs": (1.0, 2.0)}).expected
    run = next(run for run in found.runs if run.phase == "search")
    fixed = estimate(space={name: (value,) for name, value in values.items()}).expected
    alike = next(run for run in fixed.runs if run.phase == "search")
    assert found.at_settings(run, values) == pytest.approx(alike.each)


def test_settings_that_an_arm_does_not_read_cost_nothing(estimate):
    dear = {"aeda": 50.0, "embedding_neighbours": 50.0}
    space = {"stage1_data": ("augmented_equal", "duplicated_equal"), "operator": ("aeda",), "copies": (1,)}
    found = estimate(dear, space=space, arms=("lp_ft",), confirmation_replicates=4).expected
    runs = {(run.phase, run.arm): run for run in found.runs}
    augmented, duplicated = (
        found.at_settings(
            runs["search", "prefinetune"], {"stage1_data": data, "operator": "aeda", "copies": 1}
        )
        for data in ("augmented_equal", "duplicated_equal")
    )
    assert augmented - duplicated == pytest.approx(50.0 * 20)  # 10 rows of each of two classes
    probed = runs["confirmation", "lp_ft"]
    read = {"stage2_epochs": 3.0}
    unread = {"stage1_data": "augmented_balanced", "operator": "embedding_neighbours", "copies": 4}
    assert found.at_settings(probed, {**read, **unread}) == pytest.approx(found.at_settings(probed, read))
