"""A replicate from texts to metrics: which rows an arm gets, what the caches share, what is recorded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.trainables.conftest import WORDS
from trainables.method.arms import ARMS, LINEAR_ARMS, MASKED_LM_ARMS, settings_of
from trainables.model.encoder import load_tokenizer
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import run_replicate
from trainables.settings import STAGE1_DATA, TrialSettings, augments
from trainables.texts.tokens import tokenise
from trainables.texts.words import with_words
from trainables.trial import SET_DIGEST
from trainables.world import World

FILLERS = ["alpha", "beta", "gamma", "delta", "omega", "kappa"]
CLASSES = ("low", "mid", "high")
SETTINGS = TrialSettings(
    operator="random_delete", strength=0.3, stage1_epochs=0.5, stage2_epochs=0.5, imbalance_ratio=0.25
)


@pytest.fixture(scope="module")
def prepared(encoder):
    rng = np.random.default_rng(8)
    labels = np.repeat([0, 1, 2], 40)
    # An operator leaves words with digits alone, which the labels hang on; the others are what it changes.
    texts = [" ".join([WORDS[label], *rng.choice(FILLERS, rng.integers(6, 12))]) for label in labels]
    tokens = with_words(tokenise(texts, load_tokenizer(encoder), encoder.max_length), texts)
    held_out = rng.choice(120, 30, replace=False)
    return PreparedCorpus(
        texts, tokens, labels, tokens.select(held_out), labels[held_out], tokens.select(held_out),
        labels[held_out], CLASSES, "digest",
    )  # fmt: skip


@pytest.fixture
def replicate(prepared, encoder, tmp_path):
    run = RunSettings(
        study_seed=3, encoder=encoder, profile="step", n_max=24, max_train_rows=None, cache_dir=str(tmp_path)
    )

    def replicate(settings=SETTINGS, index=0, **changes):
        return run_replicate(prepared, dataclasses.replace(run, **changes), settings, index, World.single())

    return replicate


@pytest.mark.parametrize("arm", ARMS)
def test_steps_and_rows_of_every_stage_are_recorded(replicate, masked_lm, arm):
    settings = dataclasses.replace(SETTINGS, arm=arm, stage2_steps=2 if arm == "vanilla_matched" else None)
    changes = {"encoder": masked_lm} if arm in MASKED_LM_ARMS else {}
    first, again = replicate(settings, **changes), replicate(settings, **changes)
    numbers = first.diagnostics
    assert 0 <= numbers["overhead_share"] < 1
    assert again.metrics == first.metrics
    assert again.posthoc == first.posthoc
    if arm in LINEAR_ARMS:
        assert numbers["linear_rows"] == 54 and numbers["linear_strength"] > 0
        assert again.diagnostics["linear_computed"] == 0
        return
    stages = [name for name in ("stage1", "stage2", "head") if f"{name}_steps" in numbers]
    assert stages[-1] == ("head" if arm in ("crt", "feature_smote") else "stage2")
    for stage in stages:
        assert numbers[f"{stage}_steps"] >= 1
        assert numbers[f"{stage}_seconds"] > 0
        assert 0 <= numbers[f"{stage}_padding_share"] < 1
    for stage in [name for name in stages if name != "head"]:
        per_class = [numbers[f"{stage}_rows/{name}"] for name in CLASSES]
        assert sum(per_class) == numbers[f"{stage}_rows"]
        # A stage from the cache has its steps on record too: compute-matched vanilla is given as many.
        assert again.diagnostics[f"{stage}_steps"] == numbers[f"{stage}_steps"]
    for kind in ("stage1_mfu", "stage2_mfu"):
        assert 0 < numbers.get(kind, 0.5) < 1


@pytest.mark.parametrize(
    ("arm", "rows"),
    [
        ("vanilla", [24, 24, 6]),
        ("oversample", [24, 24, 24]),
        ("undersample", [6, 6, 6]),
        ("augment_single_stage", [48, 48, 30]),
    ],
)
def test_rows_of_single_stage_arms(replicate, arm, rows):
    numbers = replicate(dataclasses.replace(SETTINGS, arm=arm)).diagnostics
    assert [numbers[f"stage2_rows/{name}"] for name in CLASSES] == rows


def test_what_decides_the_stage_1_set_is_in_the_keys(replicate):
    """What stage 2 alone reads is not. Trials are told apart by the set that they made."""
    made = replicate().diagnostics[SET_DIGEST]
    fresh = {
        "strength": {"settings": dataclasses.replace(SETTINGS, strength=0.6)},
        "copies": {"settings": dataclasses.replace(SETTINGS, copies=2)},
        "recipe": {"settings": dataclasses.replace(SETTINGS, stage1_data="augmented_natural")},
        "ratio": {"settings": dataclasses.replace(SETTINGS, imbalance_ratio=0.5)},
        "replicate": {"index": 1},
    }
    for name, change in fresh.items():
        numbers = replicate(**change).diagnostics
        assert numbers["augmentation_cache_hits"] == numbers["stage1_cache_hits"] == 0, name
        assert numbers[SET_DIGEST] != made, name
    shared = replicate(dataclasses.replace(SETTINGS, stage2_learning_rate=1e-5, head="reinit")).diagnostics
    assert shared["augmentation_cache_hits"] == shared["stage1_cache_hits"] == 1
    assert shared[SET_DIGEST] == made
    one, other = (
        replicate(dataclasses.replace(SETTINGS, strength=strength)).diagnostics for strength in (0.02, 0.04)
    )
    assert one[SET_DIGEST] == other[SET_DIGEST] and other["augmentation_cache_hits"] == 0
    assert other["stage1_cache_hits"] == 1  # stage 1 is not trained again
    assert SET_DIGEST not in replicate(dataclasses.replace(SETTINGS, arm="vanilla")).diagnostics


@pytest.mark.parametrize("arm", ["prefinetune_duplicated", "vanilla"])
def test_arms_without_augmentation_read_no_operator(replicate, arm):
    settings = dataclasses.replace(SETTINGS, arm=arm)
    recipe = "augmented_natural" if arm == "vanilla" else "duplicated_balanced"
    other = dataclasses.replace(settings, operator="embedding_neighbours", strength=0.9, stage1_data=recipe)
    unread = {"operator", "strength", *(["stage1_data"] if arm == "vanilla" else [])}
    assert not unread & set(settings_of(arm))
    assert replicate(settings).metrics == replicate(other).metrics


@pytest.mark.parametrize("recipe", [recipe for recipe in STAGE1_DATA if augments(recipe)])
def test_duplicates_have_the_rows_per_class_and_the_steps_of_the_trial_that_they_take_apart(
    replicate, recipe
):
    leading = dataclasses.replace(SETTINGS, stage1_data=recipe, copies=2)
    duplicates = dataclasses.replace(leading, arm="prefinetune_duplicated")
    one, other = replicate(leading), replicate(duplicates)
    for name in ("stage1_steps", "stage2_steps", *(f"stage1_rows/{label}" for label in CLASSES)):
        assert one.diagnostics[name] == other.diagnostics[name], name
    assert one.diagnostics["augmentations_computed"] > 0 == other.diagnostics["augmentations_computed"]
    assert one.diagnostics["augmentations_made"] > 0 == other.diagnostics["augmentations_made"]
    assert one.diagnostics["augmentations_unchanged"] <= one.diagnostics["augmentations_made"]
    assert one.metrics != other.metrics


def test_ratios_and_replicates_share_the_features_of_the_frozen_encoder(replicate):
    settings = dataclasses.replace(SETTINGS, arm="frozen_lr")
    first = replicate(settings).diagnostics["linear_computed"]
    assert 0 < first <= 54 + 30
    for change in ({"index": 1}, {"settings": dataclasses.replace(settings, imbalance_ratio=0.5)}):
        assert replicate(**{"settings": settings, **change}).diagnostics["linear_computed"] < first / 2


def test_head_arms_take_vanilla_from_the_cache(replicate):
    assert replicate(dataclasses.replace(SETTINGS, arm="vanilla"), share_vanilla=True).diagnostics[
        "stage2_cache_hits"
    ] == 0  # fmt: skip
    for arm in ("crt", "feature_smote"):
        numbers = replicate(dataclasses.replace(SETTINGS, arm=arm)).diagnostics
        assert numbers["stage2_cache_hits"] == 1
        assert numbers["head_cache_hits"] == 0


@pytest.mark.parametrize("arm", ["vanilla", "tfidf_lr"])
def test_every_set_is_scored_with_class_offsets_too(replicate, arm):
    """In this corpus the test rows are the validation rows, so offsets fitted on validation cannot harm there."""
    settings = dataclasses.replace(SETTINGS, arm=arm)
    record = replicate(settings, test_sets=("test", "test_skewed"))
    changed = {"macro_f1", "balanced_accuracy", "accuracy", "mcc", "micro_f1_minority"}
    changed |= {f"{kind}/{name}" for kind in ("recall", "f1") for name in CLASSES}
    for scored_on in ("val", "test", "test_skewed"):
        assert changed == {
            name.removeprefix(f"{scored_on}_offsets/")
            for name in record.metrics
            if name.startswith(f"{scored_on}_offsets/")
        }
    assert record.metrics["test_offsets/macro_f1"] >= record.metrics["test/macro_f1"]
    if (
        arm == "vanilla"
    ):  # it has learnt next to nothing here: there is something to gain, for other rows less of it
        assert record.metrics["test_offsets/macro_f1"] > record.metrics["test/macro_f1"]
        assert record.metrics["val_offsets/macro_f1"] < record.metrics["test_offsets/macro_f1"]
    assert not any("offsets" in name for name in record.posthoc)
    assert replicate(settings).metrics["val_offsets/macro_f1"] == record.metrics["val_offsets/macro_f1"]


def test_posthoc_logit_adjustment_scores_with_offsets_what_its_vanilla_does(replicate):
    record = replicate(dataclasses.replace(SETTINGS, arm="vanilla"))
    adjusted = record.of_posthoc()
    assert adjusted.replicate == record.replicate and adjusted.seconds == 0.0
    assert adjusted.metrics.keys() == record.metrics.keys()
    for name, value in adjusted.metrics.items():
        assert value == (record.metrics if "_offsets/" in name else record.posthoc)[name], name
