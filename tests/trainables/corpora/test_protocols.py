"""Published protocols: classes in a given order, splits by row, shares of the parts, and folds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.imbalance import Profile, class_sizes, draw, largest_n_max, ranked
from trainables.corpora.leakage import split_corpus, split_remarks
from trainables.corpora.rows import Row, build_corpus
from trainables.corpora.split_settings import SplitSettings
from trainables.errors import ConfigurationError

# Training posts of each of the twenty classes of 20 Newsgroups by date, in class order.
POSTS = [480, 584, 591, 590, 578, 593, 585, 594, 598, 597, 600, 595, 591, 594, 593, 599, 546, 564, 465, 377]
MAJORITY = (10, 15, 8, 9, 11, 7, 13, 5, 14, 12)
TAIL = (0, 1, 2, 3, 4, 6, 16, 17, 18, 19)


def test_the_papers_step_keeps_ten_classes_whole_and_sixty_posts_of_the_others():
    profile = Profile("step", MAJORITY, keep_short=True)
    n_max = largest_n_max(POSTS, [0.1], profile)
    sizes = class_sizes(POSTS, 0.1, profile, n_max)
    assert n_max == 600
    assert [sizes[c] for c in MAJORITY] == [POSTS[c] for c in MAJORITY]
    assert min(sizes[c] for c in MAJORITY) == 591
    assert [sizes[c] for c in TAIL] == [60] * 10


def test_the_papers_long_tail_falls_in_the_order_of_its_classes():
    profile = Profile("long_tailed", (*MAJORITY, *TAIL), keep_short=True)
    sizes = class_sizes(POSTS, 0.1, profile, 600)
    in_order = [sizes[c] for c in (*MAJORITY, *TAIL)]
    assert in_order == [int(600 * 0.1 ** (i / 19) + 0.5) for i in range(20)]
    assert in_order[0] == 600 and in_order[-1] == 60


@given(counts=st.lists(st.integers(1, 400), min_size=2, max_size=8), ratio=st.floats(0.01, 1), data=st.data())
def test_any_order_gives_the_sizes_of_the_ranks(counts, ratio, data):
    order = data.draw(st.permutations(range(len(counts))))
    first = tuple(order[: data.draw(st.integers(0, len(counts)))])
    name = data.draw(st.sampled_from(["step", "exponential"]))
    n_max = 500
    plain = sorted(class_sizes(counts, ratio, name, n_max), reverse=True)
    sizes = class_sizes(counts, ratio, Profile(name, first), n_max)
    assert [sizes[c] for c in ranked(counts, first)] == plain
    whole = class_sizes(counts, ratio, Profile(name, first, keep_short=True), n_max)
    assert whole == [min(size, count) for size, count in zip(sizes, counts, strict=True)]


@given(st.lists(st.integers(1, 400), min_size=2, max_size=8), st.floats(0.01, 1), st.integers(1, 500))
def test_long_tailed_is_exponential_and_a_name_is_a_profile_ordered_by_count(counts, ratio, n_max):
    sizes = class_sizes(counts, ratio, "exponential", n_max)
    assert class_sizes(counts, ratio, "long_tailed", n_max) == sizes
    assert class_sizes(counts, ratio, Profile("exponential", tuple(ranked(counts))), n_max) == sizes


def test_the_order_decides_the_minority_of_a_balanced_corpus():
    labels = np.repeat([0, 1], 100)
    rows = draw(labels, 0.1, profile=Profile("step", (1,)), rng=np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [10, 100]
    rows = draw(labels, 0.1, rng=np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [100, 10]


def test_short_classes_are_drawn_whole_and_n_max_without_them_is_refused():
    labels = np.repeat([0, 1, 2], [50, 40, 30])
    whole = draw(
        labels, 0.1, profile=Profile("step", keep_short=True), n_max=50, rng=np.random.default_rng(0)
    )
    assert np.bincount(labels[whole]).tolist() == [50, 40, 5]
    with pytest.raises(ConfigurationError, match="class 1 has 40"):
        draw(labels, 0.1, n_max=50, rng=np.random.default_rng(0))


# How far a part may be from its share: groups joined by near-duplicates are large in so small a sample.
UNEVEN = {"row": 0.02, "group": 0.08}


@pytest.fixture(scope="module")
def sample():
    return generate_sample(900).in_canonical_order()


def test_by_default_nothing_changes(sample):
    default, explicit = (
        split_corpus(sample, seed=4, settings=settings)
        for settings in (None, SplitSettings(validation_fraction=0.15, test_fraction=0.15))
    )
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(default, part), getattr(explicit, part))


@pytest.mark.parametrize("by", ["group", "row"])
def test_the_parts_have_their_shares_of_every_class(sample, by):
    settings = SplitSettings(by=by, validation_fraction=0.05, test_fraction=0.15)
    parts = split_corpus(sample, seed=1, settings=settings)
    for part, share in ((parts.test, 0.15), (parts.validation, 0.05)):
        found = np.bincount(sample.labels[part]) / np.bincount(sample.labels)
        assert np.abs(found - share).max() < UNEVEN[by]


def test_a_split_by_row_leaks_and_says_how_much(sample):
    by_row = SplitSettings(by="row")
    parts = split_corpus(sample, seed=1, settings=by_row)
    train = {sample.groups[row] for row in parts.train}
    share = np.mean([sample.groups[row] in train for row in parts.test])
    (remark,) = split_remarks(sample, parts, by_row)
    assert (
        share > 0.9
        and "THE SPLIT LEAKS" in remark
        and f"the test rows, {share:.0%} have a row of their own group" in remark
    )
    by_group = SplitSettings()
    assert split_remarks(sample, split_corpus(sample, seed=1, settings=by_group), by_group) == ()


@pytest.mark.parametrize("by", ["group", "row"])
def test_every_row_is_tested_in_exactly_one_fold(sample, by):
    folds = [
        split_corpus(sample, seed=2, settings=SplitSettings(by=by, folds=5, fold=fold))
        for fold in range(1, 6)
    ]
    tested = np.concatenate([parts.test for parts in folds])
    assert sorted(tested.tolist()) == list(range(len(sample)))
    for parts in folds:
        rows = np.concatenate([parts.train, parts.validation, parts.test])
        assert sorted(rows.tolist()) == list(range(len(sample)))
        assert abs(len(parts.validation) / len(sample) - 0.15) < UNEVEN[by]
        shares = np.bincount(sample.labels[parts.test]) / np.bincount(sample.labels)
        assert np.abs(shares - 0.2).max() < UNEVEN[by]
        owners = [
            {sample.groups[row] for row in part} for part in (parts.train, parts.validation, parts.test)
        ]
        if by == "group":
            assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]


def test_a_class_that_cannot_stand_in_every_fold_is_named():
    rows = [Row(f"text {i}", "many" if i else "rare", f"g{i}", f"r{i}") for i in range(60)]
    rows += [Row(f"more {i}", "rare", "g0", f"m{i}") for i in range(8)]
    corpus = build_corpus(rows, ("many", "rare"), source="rows")
    with pytest.raises(ConfigurationError, match=r"fold 1.*fold 5.*'rare' \(9 rows in 1 group\)"):
        split_corpus(corpus, seed=0, settings=SplitSettings(folds=5, fold=1))


def given_split(parts):
    texts = generate_sample(150).texts[:90]
    return build_corpus(
        (Row(text, "ab"[i % 2], f"g{i // 6}", str(i), parts[i % len(parts)]) for i, text in enumerate(texts)),
        ("a", "b"),
        source="reviews",
    )


def test_validation_is_cut_from_a_given_train_part_and_that_is_said():
    corpus = given_split(["train", "train", "test", "test", "train", "train"])
    settings = SplitSettings(by="row", validation_fraction=0.1)
    parts = split_corpus(corpus, seed=0, settings=settings)
    assert len(parts.test) == list(corpus.split).count("test") == 30
    assert len(parts.validation) == 6 and len(parts.train) == 54  # by row nothing is taken out
    remarks = split_remarks(corpus, parts, settings)
    assert remarks[0] == "The source gives no validation part: 0.1 of its training rows take its place."


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"test_fraction": 0.2}, "test_fraction is 0.2, but reviews comes with a test part of its own"),
        ({"folds": 5, "fold": 1}, "folds is 5, but reviews comes with a test part of its own"),
    ],
)
def test_a_part_that_the_source_gives_is_not_cut_again(asked, message):
    corpus = given_split(["train", "train", "test"])
    with pytest.raises(ConfigurationError, match=message):
        split_corpus(corpus, seed=0, settings=SplitSettings(**asked))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 0.4), st.floats(0.01, 0.4), st.integers(0, 99))
def test_any_shares_give_every_row_once(validation, test, seed):
    rows = [Row(f"text {i}", "ab"[i % 2], f"g{i // 3}", str(i)) for i in range(90)]
    corpus = build_corpus(rows, ("a", "b"), source="rows")
    settings = SplitSettings(
        validation_fraction=validation, test_fraction=test, separate_near_duplicates=False
    )
    parts = split_corpus(corpus, seed=seed, settings=settings, minimum=0)
    assert sorted(np.concatenate([parts.train, parts.validation, parts.test]).tolist()) == list(range(90))
    assert abs(len(parts.test) - 90 * test) <= 6 and abs(len(parts.validation) - 90 * validation) <= 6
