import dataclasses
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainables.augment.tiny_masked_lm import write_masked_lm
from tests.trainables.augment.tiny_translator import write_tiny_translator
from tests.trainables.augment.toy import table, toy_text
from tests.trainables.augment.toy_operator import FACTORY, NAME
from trainables.augment import cached as cached_module
from trainables.augment.cached import cached_stage1_set
from trainables.augment.operators.embedding_neighbours import EmbeddingNeighbours
from trainables.augment.registry import OPERATORS
from trainables.augment.siblings import Siblings
from trainables.augment.stage1_set import DrawnRows, build_stage1_set, n_augmented
from trainables.errors import ConfigurationError
from trainables.model.encoder import encoder_digest
from trainables.reuse.cache import ContentCache
from trainables.settings import (
    STAGE1_DATA,
    EncoderSettings,
    TrialSettings,
    augments,
    duplicated_counterpart,
)

OPERATOR = EmbeddingNeighbours(table(), 0.3)


def rows(counts):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    return [toy_text(i, n_words=20) for i in range(len(labels))], labels


def build(recipe, counts, copies=1, seed=0, operator=OPERATOR):
    texts, labels = rows(counts)
    return (
        texts,
        labels,
        build_stage1_set(recipe, DrawnRows(texts, labels, len(counts)), operator, copies=copies, seed=seed),
    )


@settings(max_examples=25, deadline=None)
@given(
    recipe=st.sampled_from(STAGE1_DATA),
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    copies=st.integers(1, 3),
    seed=st.integers(0, 2**63 - 1),
)
def test_sizes_labels_and_even_spread(recipe, counts, copies, seed):
    texts, labels, made = build(recipe, counts, copies, seed)
    assert len(made.texts) == len(made.labels) == len(made.source_rows)
    assert (made.labels == labels[made.source_rows]).all()
    per_class = np.bincount(made.labels, minlength=len(counts))
    if recipe.endswith("_natural"):
        assert per_class.tolist() == [copies * n for n in counts]
    elif recipe.endswith("_equal"):
        assert (per_class == copies * min(counts)).all()
    else:
        originals = np.array(counts) if recipe.endswith("+original") else 0
        assert (per_class - originals == copies * max(counts)).all()
    if recipe.endswith("+original"):
        assert made.texts[: len(texts)] == texts
        assert made.source_rows[: len(texts)].tolist() == list(range(len(texts)))
    for label in range(len(counts)):
        uses = Counter({int(i): 0 for i in np.flatnonzero(labels == label)})
        uses.update(made.source_rows[made.labels == label].tolist())
        # Equal rows are drawn without replacement and each augmented so many times; balanced ones share the uses out.
        assert max(uses.values()) - min(uses.values()) <= (copies if recipe.endswith("_equal") else 1)


def test_augmented_texts_differ_from_their_sources_and_from_each_other():
    texts, _, made = build("augmented_balanced", [2, 12], copies=2)
    assert made.unchanged == 0
    assert all(text != texts[i] for text, i in zip(made.texts, made.source_rows, strict=True))
    assert len(set(made.texts)) == len(made.texts)


@pytest.mark.parametrize("recipe", STAGE1_DATA)
def test_what_comes_back_as_it_was_is_counted_among_what_was_to_change(recipe):
    labels = np.array([0, 0, 0, 1])
    given = DrawnRows(["หนังเรื่องนี้ดีมาก", "这个电影很好看", "12 34", "😀"], labels, 2)
    made = build_stage1_set(recipe, given, OPERATOR, copies=2, seed=0)
    originals = len(given.texts) if recipe.endswith("+original") else 0
    asked = len(made.texts) - originals if augments(recipe) else 0
    assert n_augmented(recipe, made, given) == made.unchanged == asked


@pytest.mark.parametrize("recipe", STAGE1_DATA)
def test_duplicates_are_the_rows_that_the_same_recipe_augments(recipe):
    texts, _, made = build(duplicated_counterpart(recipe), [2, 5], copies=2, operator=None)
    assert all(text == texts[i] for text, i in zip(made.texts, made.source_rows, strict=True))
    assert made.unchanged == made.computed == 0
    _, _, other = build(recipe, [2, 5], copies=2)
    assert made.source_rows.tolist() == other.source_rows.tolist()
    assert made.labels.tolist() == other.labels.tolist()
    assert (made.texts == other.texts) is not augments(recipe)


def test_every_recipe_that_augments_has_one_that_duplicates():
    assert {duplicated_counterpart(recipe) for recipe in STAGE1_DATA} == {
        recipe for recipe in STAGE1_DATA if not augments(recipe)
    }
    assert 2 * sum(map(augments, STAGE1_DATA)) == len(STAGE1_DATA)


@pytest.mark.parametrize(
    ("asked", "expected", "missing"), [(None, [2, 2, 2], 0), (4, [4, 2, 4], 2), (9, [9, 2, 5], 11)]
)
def test_equal_rows_of_each_class_are_drawn_once_each(asked, expected, missing):
    """None stands for the smallest class; a class that has fewer gives all that it has."""
    texts, labels = rows([9, 2, 5])
    made = build_stage1_set(
        "augmented_equal", DrawnRows(texts, labels, 3), OPERATOR, copies=2, rows_per_class=asked, seed=1
    )
    assert np.bincount(made.labels).tolist() == [2 * n for n in expected]
    sources, uses = np.unique(made.source_rows, return_counts=True)
    assert np.bincount(labels[sources]).tolist() == expected
    assert set(uses) == {2}
    assert made.rows_missing == missing


def test_unchangeable_rows_are_kept_and_counted():
    labels = np.array([0, 0, 1])
    made = build_stage1_set(
        "augmented_balanced",
        DrawnRows(["movie house", "doctor yard", "12 mg"], labels, 2),
        OPERATOR,
        copies=1,
        seed=0,
    )
    assert made.texts[2:] == ["12 mg", "12 mg"]
    assert made.unchanged == 2
    assert made.near_copies_dropped == made.near_copies_kept == 0


def test_near_copies_are_replaced_up_to_a_bound_and_counted():
    # "kidney" has two substitutes, so five copies cannot all be distinct.
    made = build_stage1_set(
        "augmented_natural", DrawnRows(["the kidney"], np.array([0]), 1), OPERATOR, copies=5, seed=0
    )
    assert set(made.texts) == {"the renal", "the nephric"}
    assert made.near_copies_kept == 3
    assert made.near_copies_dropped >= 9


def test_siblings_reject_what_differs_in_a_few_words_only():
    source = " ".join("abcdefghijklmnopqrst")
    siblings = Siblings(source)
    assert not siblings.add(source.upper())
    one = "1 2 3 4 5 6 7 8 i j k l m n o p q r s t"
    assert siblings.add(one)
    assert not siblings.add(one)
    assert not siblings.add(one.replace("8", "9"))
    assert siblings.add("a b c d e f g h i j k l m n o p q r s 0")
    assert siblings.add(source + " and a tail that makes it much longer than the source was")


def test_a_copy_does_not_depend_on_the_other_rows():
    texts, labels = rows([3, 3])
    all_rows = build_stage1_set("augmented_natural", DrawnRows(texts, labels, 2), OPERATOR, copies=2, seed=5)
    fewer = build_stage1_set(
        "augmented_natural", DrawnRows(texts[:3], labels[:3], 2), OPERATOR, copies=2, seed=5
    )
    kept = [text for text, i in zip(all_rows.texts, all_rows.source_rows, strict=True) if i < 3]
    assert kept == fewer.texts


def test_all_faults_are_reported_at_once():
    with pytest.raises(ConfigurationError) as error:
        build_stage1_set("augmented", DrawnRows(["a"], np.array([0]), 3), None, copies=0, seed=0)
    assert len(error.value.faults) == 3
    assert "augmented_balanced" in str(error.value)
    with pytest.raises(ConfigurationError, match="no operator"):
        build_stage1_set("augmented_natural", DrawnRows(["a"], np.array([0]), 1), None, copies=1, seed=0)
    with pytest.raises(ConfigurationError, match="below 1"):
        build_stage1_set("augmented_natural", DrawnRows(["a"], np.array([1]), 1), OPERATOR, copies=1, seed=0)
    with pytest.raises(ConfigurationError, match="2 texts and 1 labels"):
        build_stage1_set(
            "augmented_natural", DrawnRows(["a", "b"], np.array([0]), 1), OPERATOR, copies=1, seed=0
        )


def cached(cache, **changes):
    texts, labels = rows([2, 4])
    values = {"texts": texts, "labels": labels, "n_classes": 2} | changes
    drawn = DrawnRows(*(values.pop(name) for name in ("texts", "labels", "n_classes")))
    values = {"operator": "random_delete", "strength": 0.2, "copies": 1} | values
    named = ("operator", "strength", "copies", "stage1_rows_per_class")
    trial = TrialSettings(**{name: values.pop(name) for name in named if name in values})
    values = {"recipe": "augmented_balanced", "encoder": EncoderSettings(), "seed": 3} | values
    return cached_stage1_set(
        cache, values.pop("corpus_digest", "c"), drawn, values.pop("recipe"), trial, **values
    )


def same(one, other):
    return (
        one.texts == other.texts
        and one.labels.dtype == other.labels.dtype
        and (one.labels == other.labels).all()
        and (one.source_rows == other.source_rows).all()
        and one.unchanged == other.unchanged
        and one.near_copies_dropped == other.near_copies_dropped
        and one.near_copies_kept == other.near_copies_kept
    )


def test_a_hit_is_the_same_set(tmp_path):
    cache = ContentCache(tmp_path)
    texts = ["movie \ud800 house", "12 mg", "doctor\u2028garden é 😀"] * 2
    first = cached(cache, texts=texts)
    assert same(first, cached(cache, texts=texts))
    assert cache.hits == {"augmentation": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"corpus_digest": "d"},
        {"labels": np.array([0, 1, 1, 1, 1, 1])},
        {"texts": [toy_text(i + 50, n_words=20) for i in range(6)]},
        {"recipe": "augmented_natural"},
        {"strength": 0.3},
        {"copies": 2},
        {"seed": 4},
    ],
)
def test_whatever_matters_is_in_the_key(tmp_path, change):
    cache = ContentCache(tmp_path)
    cached(cache)
    cached(cache, **change)
    assert cache.hits == {}


def test_rows_per_class_are_in_the_key_where_they_matter(tmp_path):
    cache = ContentCache(tmp_path)
    for recipe, hits in (("augmented_equal", 0), ("augmented_balanced", 1)):
        cached(cache, recipe=recipe)
        one_each = cached(cache, recipe=recipe, stage1_rows_per_class=1)
        assert cache.hits.get("augmentation", 0) == hits
    assert len(one_each.texts) == 8
    assert cached(cache, recipe="augmented_equal", stage1_rows_per_class=3).rows_missing == 1
    assert (
        cached(cache, recipe="augmented_equal", stage1_rows_per_class=3).rows_missing == 1
    )  # from the cache


def test_what_does_not_matter_is_not_in_the_key(tmp_path):
    cache = ContentCache(tmp_path)
    cached(cache)
    cached(cache, encoder=EncoderSettings(name="elsewhere", max_length=64))
    assert cache.hits == {"augmentation": 1}
    duplicated = [recipe for recipe in STAGE1_DATA if not augments(recipe)]
    for hits, recipe in enumerate(duplicated, start=2):
        cached(cache, recipe=recipe)
        cached(cache, recipe=recipe, strength=0.5)
        assert cache.hits == {"augmentation": hits}


def test_an_encoders_files_are_in_the_key_and_not_its_path(tmp_path, monkeypatch):
    monkeypatch.setitem(OPERATORS, NAME, dataclasses.replace(FACTORY, uses_encoder=True))
    cache = ContentCache(tmp_path / "cache")
    folders = [tmp_path / name for name in ("one", "same")]
    for folder in folders:
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        cached(cache, operator=NAME, encoder=EncoderSettings(name=str(folder)))
    assert cache.hits == {"augmentation": 1}
    (folders[0] / "model.safetensors").write_bytes(b"changed")
    encoder_digest.cache_clear()  # as in another process
    cached(cache, operator=NAME, encoder=EncoderSettings(name=str(folders[0])))
    assert cache.hits == {"augmentation": 1}


def test_the_kind_of_device_is_in_the_key_where_a_model_writes(tmp_path, monkeypatch):
    encoder = EncoderSettings(precision="float32")
    for computes in (True, False):
        monkeypatch.setitem(OPERATORS, NAME, dataclasses.replace(FACTORY, computes=computes))
        cache = ContentCache(tmp_path / str(computes))
        for device in ("cpu", "cuda:0", "cuda:1"):
            where = torch.device(device)
            monkeypatch.setattr(cached_module, "resolve_device", lambda settings, where=where: where)
            cached(cache, operator=NAME, encoder=encoder)
        assert cache.hits == {"augmentation": 1 if computes else 2}


@pytest.mark.parametrize("operator", ["contextual_insertion", "contextual_substitution", "back_translation"])
def test_the_precision_is_in_the_key_where_a_model_writes(tmp_path, operator):
    if operator == "back_translation":
        options = {way: str(write_tiny_translator(tmp_path / way, 1)) for way in ("forward", "backward")}
    else:
        options = {"model": str(write_masked_lm(tmp_path / "model"))}
    cache = ContentCache(tmp_path / "cache")
    asked = {"operator": operator, "options": options, "recipe": "augmented_natural"}
    asked |= {"texts": ["the drug was absorbed"], "labels": np.array([0]), "n_classes": 1}
    for precision in ("float32", "bfloat16", "float32"):
        cached(cache, **asked, encoder=EncoderSettings(device="cpu", precision=precision))
    assert cache.misses == {"augmentation": 2} and cache.hits == {"augmentation": 1}


def test_an_unknown_operator_is_a_configuration_fault(tmp_path):
    with pytest.raises(ConfigurationError, match="random_delete"):
        cached(ContentCache(tmp_path), operator="nothing")


def test_another_process_makes_the_same_set(tmp_path):
    code = (
        "import json, pathlib, sys; from tests.trainables.augment.test_stage1_set import cached; "
        "from trainables.reuse.cache import ContentCache; "
        "print(json.dumps(cached(ContentCache(pathlib.Path(sys.argv[1]))).texts))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "b")], capture_output=True, text=True, check=True
    )
    assert json.loads(other.stdout.splitlines()[-1]) == cached(ContentCache(tmp_path / "a")).texts
