"""Stage-1 sets on their whole way: which rows are touched, and that processes at once build each set once."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.tiny_encoder import write_tiny_encoder
from tests.trainables.augment.test_stage1_set import cached
from tests.trainables.augment.toy_operator import FACTORY, NAME
from trainables.augment import cached as cached_module
from trainables.augment.registry import OPERATORS, make_operator
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.prepared import RunSettings, prepare
from trainables.replicate import draw_rows, run_replicate
from trainables.reuse.cache import ContentCache
from trainables.reuse.lease import _machine, lease_file
from trainables.settings import STAGE1_DATA, EncoderSettings, TrialSettings, augments
from trainables.texts.tokens import tokenise
from trainables.world import World

# Forked: a new interpreter would spend seconds on imports.
FORKED = multiprocessing.get_context("fork")


def build_three(folder, start, results, number):
    """Ask for three sets at the same moment as the other processes; each takes a while to build."""
    build = cached_module.build_stage1_set

    def slow(*arguments, **options):
        time.sleep(0.3)
        return build(*arguments, **options)

    cached_module.build_stage1_set = slow
    start.wait(30)
    sets = [cached(ContentCache(folder), seed=seed) for seed in range(3)]
    results[number] = [(made.computed, made.texts) for made in sets]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    encoder = EncoderSettings(
        name=str(write_tiny_encoder(tmp_path_factory.mktemp("encoder"))), max_length=16, device="cpu"
    )
    corpus = generate_sample(500)
    ready = prepare(corpus, encoder, study_seed=1, max_validation_rows=None)
    run = RunSettings(
        study_seed=1,
        encoder=encoder,
        profile="step",
        n_max=20,
        max_train_rows=None,
        cache_dir=str(tmp_path_factory.mktemp("cache")),
    )
    return corpus, ready, run


def spy_on_operators(monkeypatch):
    """Record every text that any operator is given."""
    seen = []

    def make(*arguments):
        operator = make_operator(*arguments)
        augment_batch = operator.augment_batch
        operator.augment_batch = lambda texts, seeds: (seen.extend(texts), augment_batch(texts, seeds))[1]
        return operator

    monkeypatch.setattr(cached_module, "make_operator", make)
    return seen


@pytest.mark.parametrize("recipe", STAGE1_DATA)
def test_only_training_rows_of_the_draw_are_ever_augmented_or_trained_on(study, monkeypatch, recipe):
    monkeypatch.setitem(OPERATORS, NAME, FACTORY)
    corpus, ready, run = study
    seen = spy_on_operators(monkeypatch)
    trained = []
    monkeypatch.setattr(
        "trainables.replicate.tokenise", lambda texts, *rest: trained.extend(texts) or tokenise(texts, *rest)
    )
    settings = TrialSettings(
        imbalance_ratio=0.2, operator=NAME, strength=0.2, stage1_data=recipe, stage1_epochs=0.1,
        stage2_epochs=0.1,
    )  # fmt: skip
    record = run_replicate(ready, run, settings, 4, World.single())
    drawn = [ready.train_texts[row] for row in draw_rows(ready, run, 0.2, 4)]
    elsewhere = set(corpus.texts) - set(drawn)
    if recipe == "augmented_equal":  # as many of each class as the smallest has
        assert set(seen) < set(drawn) and len(set(seen)) == 4 * len(ready.classes)
    else:
        assert set(seen) == (set(drawn) if augments(recipe) else set())
    assert trained and not elsewhere & set(trained)
    assert record.diagnostics["augmentations_computed"] == len(seen)
    if recipe == "augmented_balanced":
        assert record.diagnostics["stage1_rows"] == 20 * len(ready.classes)
        again = run_replicate(ready, run, settings, 4, World.single())
        assert again.diagnostics["augmentations_computed"] == 0 and again.metrics == record.metrics
        assert again.diagnostics["augmentation_cache_hits"] == 1


def test_processes_that_want_the_same_sets_at_once_build_each_once(tmp_path):
    with FORKED.Manager() as manager:
        start, results = FORKED.Barrier(3), manager.dict()
        builders = [FORKED.Process(target=build_three, args=(tmp_path, start, results, i)) for i in range(3)]
        for builder in builders:
            builder.start()
        for builder in builders:
            builder.join(60)
        found = [results[i] for i in range(3)]
    assert [[texts for _, texts in sets] for sets in found] == [[texts for _, texts in found[0]]] * 3
    for computed in np.array([[n for n, _ in sets] for sets in found]).T:
        assert np.count_nonzero(computed) == 1
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == 3 and not any(name.startswith(".") for name in left)


def test_a_damaged_entry_is_built_anew_and_a_dead_builders_lease_is_no_obstacle(tmp_path):
    cache = ContentCache(tmp_path)
    first = cached(cache)
    entry = next(path for path in tmp_path.rglob("*") if path.is_file())
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    holder = {"machine": _machine(), "process": int(ended.stdout), "token": "t", "beats": 0}
    lease_file(entry).write_text(json.dumps(holder))
    again = cached(cache)
    assert again.computed == first.computed > 0 and again.texts == first.texts
    assert entry.read_bytes() == whole and not lease_file(entry).exists()
    assert cached(cache).computed == 0
