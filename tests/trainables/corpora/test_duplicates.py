import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.corpora.corpus import Corpus
from trainables.corpora.duplicates import (
    jaccard,
    joined_groups,
    near_duplicate_clusters,
    shingles,
    spanning,
)
from trainables.corpora.leakage import duplicate_counts, given_parts, split_corpus
from trainables.corpora.rows import Row, build_corpus
from trainables.corpora.split_settings import SplitSettings
from trainables.errors import ConfigurationError

WORDS = [f"word{i}" for i in range(2000)]


def paragraph(seed, n=60):
    rng = np.random.default_rng(seed)
    return [WORDS[i] for i in rng.integers(0, len(WORDS), n)]


def changed(words, places, seed=0):
    words = list(words)
    for place in places:
        words[place] = f"other{seed}x{place}"
    return words


def corpus_of(rows, parts=None):
    """Build a corpus of (text, label, group) without the rules of a reader, so that anything can be in it."""
    texts, labels, groups = zip(*rows, strict=True)
    classes = tuple(sorted(set(labels)))
    return Corpus(
        texts=list(texts),
        labels=np.array([classes.index(label) for label in labels], dtype=np.int64),
        groups=list(groups),
        classes=classes,
        origins=[str(i) for i in range(len(rows))],
        source="a test",
        split=parts,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 59), min_size=0, max_size=12, unique=True), st.integers(0, 1000))
def test_texts_above_the_threshold_share_a_cluster_and_others_do_not(places, seed):
    one = paragraph(seed)
    texts = [" ".join(one), " ".join(changed(one, places)), " ".join(paragraph(seed + 5000))]
    similarity = jaccard(shingles(texts[0]), shingles(texts[1]))
    clusters = near_duplicate_clusters(texts).tolist()
    assert clusters[2] == 2
    if similarity >= 0.85:  # close to the threshold MinHash may miss a pair in five hundred
        assert clusters[1] == 0
    elif similarity < 0.8:
        assert clusters[1] == 1


def test_case_punctuation_and_spaces_do_not_count():
    assert near_duplicate_clusters(["One two; three four.", "one  TWO three (four)"]).tolist() == [0, 0]


def test_texts_of_fewer_than_three_words_are_compared_as_a_whole():
    assert near_duplicate_clusters(["so good", "so bad", "So good!", "", "..."]).tolist() == [0, 1, 0, 3, 4]


def test_a_chain_is_one_cluster():
    first = paragraph(1)
    second, third = changed(first, [0, 1, 2]), changed(first, [0, 1, 2, 57, 58, 59])
    texts = [" ".join(words) for words in (first, second, third)]
    assert jaccard(shingles(texts[0]), shingles(texts[2])) < 0.85
    assert len(set(near_duplicate_clusters(texts).tolist())) == 1


def test_no_texts_have_no_clusters():
    assert near_duplicate_clusters([]).tolist() == []


def test_many_equal_texts_take_no_quadratic_time():
    assert set(near_duplicate_clusters([" ".join(paragraph(3))] * 20_000).tolist()) == {0}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=30))
def test_joined_groups_split_neither_groups_nor_clusters(pairs):
    groups = [f"g{group}" for group, _ in pairs]
    first = {}
    clusters = np.array([first.setdefault(cluster, i) for i, (_, cluster) in enumerate(pairs)])
    joined = joined_groups(groups, clusters)
    for values in (groups, clusters.tolist()):
        owner = {}
        assert all(owner.setdefault(value, unit) == unit for value, unit in zip(values, joined, strict=True))
    # And no more is joined than has to be: every unit is held together by a path of shared values.
    for unit in set(joined):
        rows = {i for i, name in enumerate(joined) if name == unit}
        reached = {min(rows)}
        while more := {
            i for i in rows - reached for j in reached if groups[i] == groups[j] or clusters[i] == clusters[j]
        }:
            reached |= more
        assert reached == rows


def test_spanning_counts_clusters_with_several_values():
    assert spanning(np.array([0, 0, 2, 2, 4]), ["a", "b", "a", "a", "c"]) == 1


def near_copies(n_pairs=30):
    rows = []
    for i in range(n_pairs):
        words = paragraph(i)
        label = "ab"[i % 2]
        rows += [(" ".join(words), label, f"g{i}"), (" ".join(changed(words, [5])), label, f"h{i}")]
    return rows


def test_a_split_of_our_own_keeps_near_duplicates_together_and_every_row():
    corpus = corpus_of(near_copies())
    split = split_corpus(corpus, seed=3)
    parts = np.empty(len(corpus), dtype=int)
    for number, rows in enumerate((split.train, split.validation, split.test)):
        parts[rows] = number
    assert len(split.train) + len(split.validation) + len(split.test) == len(corpus)
    assert (parts[::2] == parts[1::2]).all()
    loose = split_corpus(corpus, seed=3, settings=SplitSettings(separate_near_duplicates=False))
    assert any(
        (row + 1 in set(loose.test.tolist())) != (row in set(loose.test.tolist())) for row in range(0, 60, 2)
    )


def test_of_a_given_split_train_loses_what_leaks_and_test_nothing():
    words = paragraph(0)
    text, near = " ".join(words), " ".join(changed(words, [5]))
    rows, parts = [], []
    for part in ("train", "validation", "test"):
        for i in range(8):
            rows.append((" ".join(paragraph(100 + len(rows))), "ab"[i % 2], f"{part}{i}"))
            parts.append(part)
    rows += [(text, "a", "t1"), (text.upper(), "a", "t2"), (near, "a", "t3"), ("something else", "b", "t1")]
    parts += ["test", "train", "train", "train"]
    rows += [(near + " indeed", "a", "t4")]
    parts += ["validation"]
    corpus = corpus_of(rows, parts)
    given = given_parts(corpus, near_duplicate_clusters(corpus.texts))
    assert given.removed == {
        "validation row whose near-duplicate is in test": 1,
        "train row whose text is in test": 1,
        "train row whose group is in test": 1,
        "train row whose near-duplicate is in test": 1,
    }
    split = split_corpus(corpus, seed=0)
    assert [len(split.train), len(split.validation), len(split.test)] == [8, 8, 9]


def test_a_given_split_with_too_few_rows_says_where_they_went():
    rows = [(f"a text of its own number {i}", "ab"[i % 2], f"g{i}") for i in range(8)]
    corpus = corpus_of([*rows, *rows], ["train"] * 8 + ["test"] * 8)
    with pytest.raises(ConfigurationError) as caught:
        split_corpus(corpus, seed=0)
    assert len(caught.value.faults) == 1
    assert "'a' (0 in train), 'b' (0 in train)" in str(caught.value)
    assert "taken out: 8 train row whose text is in test" in str(caught.value)


def test_what_is_repeated_is_counted():
    corpus = corpus_of(near_copies(3))
    counts = duplicate_counts(corpus, near_duplicate_clusters(corpus.texts))
    assert counts == {
        "near-duplicate rows": 6,
        "near-duplicate clusters": 3,
        "near-duplicate clusters in several groups": 3,
    }


def test_rows_of_a_given_test_set_all_stay():
    rows = [
        Row("the same", "a", "g", f"f:{i}", part) for i, part in enumerate(("train", "train", "test", "test"))
    ]
    corpus = build_corpus(iter(rows), ("a",), source="f")
    assert corpus.split.count("test") == 2 and corpus.split.count("train") == 1
    assert corpus.left_out == {"duplicate in the same group": 1} and corpus.found == {"a": 4}


def test_the_digest_knows_the_part():
    def digest(part):
        rows = [Row("one", "a", "g", "f:1", "train"), Row("two", "b", "h", "f:2", part)]
        return build_corpus(rows, None, source="f").digest

    assert digest("test") != digest("validation")
