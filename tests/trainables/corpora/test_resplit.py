"""Parts of every replicate's own: laws that hold whatever the corpus, and what random order is for."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.corpora import split as split_module
from trainables.corpora.corpus import Corpus
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.duplicates import near_duplicate_clusters
from trainables.corpora.leakage import kept_together, split_corpus
from trainables.corpora.resplit import resplit
from trainables.corpora.split import split_by_group
from trainables.corpora.split_settings import SplitSettings
from trainables.errors import ConfigurationError
from trainables.seeds import derive_seed

REPLICATES = 6


def made_up(labels, groups, parts=None):
    n = len(labels)
    return Corpus(
        texts=[f"text {row} of {group}" for row, group in enumerate(groups)],
        labels=np.asarray(labels, dtype=np.int64),
        groups=groups,
        classes=("a", "b", "c"),
        origins=[str(row) for row in range(n)],
        source="made up",
        split=parts,
    )


def all_splits(corpus, how=None, clusters=None, replicates=REPLICATES, seed=1):
    how = how or SplitSettings(resplit=True)
    clusters = kept_together(corpus, how) if clusters is None else clusters
    split = split_corpus(corpus, seed=derive_seed(seed, "split"), settings=how, clusters=clusters)
    found = resplit(corpus, split, study_seed=seed, replicates=replicates, settings=how, clusters=clusters)
    return split, found


@pytest.fixture(scope="module")
def sample():
    return generate_sample(600).in_canonical_order()


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_no_group_or_near_duplicate_is_on_both_sides_and_test_stays(data):
    n_groups = data.draw(st.integers(30, 60))
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=n_groups, max_size=n_groups))
    groups = [f"g{number:02d}" for number, size in enumerate(sizes) for _ in range(size)]
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    labels = rng.integers(0, 3, len(groups))
    labels[: len(groups) : 4] = 0
    clusters = np.arange(len(groups))
    for row in rng.integers(1, len(groups), 5).tolist():  # near-duplicates of another row, in any group
        clusters[row] = clusters[rng.integers(0, row)]
    corpus = made_up(labels, groups)
    try:
        split, found = all_splits(corpus, clusters=clusters, seed=int(rng.integers(100)))
    except ConfigurationError:  # a class has too few groups for any split
        return
    pool = sorted([*split.train, *split.validation])
    for parts in found:
        assert np.array_equal(parts.test, split.test)
        assert sorted([*parts.train, *parts.validation]) == pool
        for kept in (np.array(groups), clusters):
            for one, other in ((parts.train, parts.validation), (pool, parts.test)):
                assert not set(kept[one].tolist()) & set(kept[other].tolist())
        for part in (parts.train, parts.validation):
            assert np.bincount(labels[part], minlength=3).min() >= 2


def test_replicates_differ_and_every_group_comes_to_validation(sample):
    _, found = all_splits(sample, replicates=60)
    assert len({tuple(parts.validation.tolist()) for parts in found}) == 60
    groups = np.array(sample.groups)
    pool = set(groups[found[0].train]) | set(groups[found[0].validation])
    times = dict.fromkeys(pool, 0)
    for parts in found:
        for group in set(groups[parts.validation]):
            times[group] += 1
    # Of 60 splits a group of the pool is in validation about 60 * .15 / .85 = 11 times. Placed by size,
    # large groups would never be.
    assert min(times.values()) >= 1 and max(times.values()) <= 30


def test_parts_are_about_as_large_as_in_the_corpus_own_split_with_one_fold_too(sample):
    for how in (SplitSettings(resplit=True), SplitSettings(resplit=True, folds=5, fold=2)):
        _, found = all_splits(sample, how)
        for parts in found:
            assert abs(len(parts.validation) / len(sample) - 0.15) < 0.04


def digest(parts):
    rows = (parts.train, parts.validation, parts.test)
    return hashlib.sha256(b"".join(of.tobytes() for of in rows)).hexdigest()


def test_a_split_depends_on_the_seed_and_its_index_and_not_on_the_process(sample):
    _, found = all_splits(sample, replicates=4)
    here = [digest(parts) for parts in found]
    assert here[:2] == [digest(parts) for parts in all_splits(sample, replicates=2)[1]]
    assert here[0] != digest(all_splits(sample, replicates=1, seed=2)[1][0])
    program = (
        "import json; from tests.trainables.corpora.test_resplit import *\n"
        "_, found = all_splits(generate_sample(600).in_canonical_order(), replicates=4)\n"
        "print(json.dumps([digest(parts) for parts in found]))"
    )
    elsewhere = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(elsewhere.stdout) == here


def test_a_split_by_row_parts_groups_as_it_is_asked_to(sample):
    _, found = all_splits(sample, SplitSettings(by="row", resplit=True))
    groups = np.array(sample.groups)
    assert all(set(groups[parts.train]) & set(groups[parts.validation]) for parts in found)
    assert len({tuple(parts.validation.tolist()) for parts in found}) == REPLICATES


def test_a_source_that_gives_test_keeps_it_and_what_leaks_stays_out():
    groups = [f"g{row // 2}" for row in range(240)]
    source = ["test" if row >= 200 else "train" for row in range(240)]
    source[198] = "test"  # its group's other row leaks, and is in no part
    corpus = made_up([row % 3 for row in range(240)], groups, source)
    _, found = all_splits(corpus)
    for parts in found:
        assert parts.test.tolist() == [198, *range(200, 240)]
        assert sorted([*parts.train, *parts.validation]) == list(range(198))
        assert abs(len(parts.validation) - 0.15 * 198) < 5


def test_a_source_that_gives_validation_is_told():
    source = [("train", "validation", "test")[row % 3] for row in range(90)]
    corpus = made_up([row // 30 for row in range(90)], [f"g{row}" for row in range(90)], source)
    with pytest.raises(ConfigurationError, match="resplit is true, but made up comes with a validation part"):
        all_splits(corpus)


def test_the_search_for_near_duplicates_runs_once(sample, monkeypatch):
    searches = []

    def counted(texts):
        searches.append(len(texts))
        return near_duplicate_clusters(texts)

    monkeypatch.setattr("trainables.corpora.leakage.near_duplicate_clusters", counted)
    all_splits(sample)
    assert searches == [len(sample)]


def test_a_replicate_that_lacks_rows_is_named(sample, monkeypatch):
    how = SplitSettings(resplit=True)
    clusters = kept_together(sample, how)
    split = split_corpus(sample, seed=1, settings=how, clusters=clusters)
    everything_in_train = lambda table, *rest: np.zeros(len(table), dtype=np.int64)  # noqa: E731
    monkeypatch.setattr(split_module, "_place_in_random_order", everything_in_train)
    monkeypatch.setattr(split_module, "with_least_rows", lambda table, parts, *rest: parts)
    with pytest.raises(ConfigurationError) as caught:
        resplit(sample, split, study_seed=1, replicates=2, settings=how, clusters=clusters)
    assert [fault[:21] for fault in caught.value.faults] == ["replicate 0: split: 5", "replicate 1: split: 5"]


def test_a_random_order_does_not_let_a_huge_group_fill_validation():
    groups = ["huge"] * 300 + [f"g{row // 2}" for row in range(700)]
    labels = np.arange(1000) % 3
    for seed in range(30):
        parts = split_by_group(labels, groups, fractions=(0.85, 0.15, 0.0), seed=seed, largest_first=False)
        assert 0 in parts.train and abs(len(parts.validation) - 150) < 20
