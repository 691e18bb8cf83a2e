import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.corpora.split import split_by_group
from trainables.errors import ConfigurationError


def corpus(n_groups, seed, n_classes=3):
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"g{i}" for i in range(n_groups)], rng.integers(1, 9, n_groups))
    labels = rng.choice(n_classes, p=[0.6, 0.3, 0.1], size=len(groups))
    return labels, groups.tolist()


@settings(max_examples=30, deadline=None)
@given(n_groups=st.integers(60, 150), data_seed=st.integers(0, 10**6), seed=st.integers(0, 10**6))
def test_every_row_once_and_no_group_in_two_parts(n_groups, data_seed, seed):
    labels, groups = corpus(n_groups, data_seed)
    parts = split_by_group(labels, groups, seed=seed, minimum=0)
    rows = [parts.train, parts.validation, parts.test]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(labels)))
    assert all((np.diff(part) > 0).all() for part in rows)
    owners = [{groups[row] for row in part} for part in rows]
    assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]


def test_classes_keep_their_shares():
    labels, groups = corpus(400, 1)
    parts = split_by_group(labels, groups, seed=5)
    for part, fraction in ((parts.train, 0.7), (parts.validation, 0.15), (parts.test, 0.15)):
        shares = np.bincount(labels[part]) / np.bincount(labels)
        assert np.abs(shares - fraction).max() < 0.02


def test_the_seed_decides():
    labels, groups = corpus(100, 2)
    first, again, other = (split_by_group(labels, groups, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_the_same_groups_whatever_the_order_of_rows():
    labels, groups = corpus(80, 3)
    shuffled = np.random.default_rng(0).permutation(len(labels))
    one = split_by_group(labels, groups, seed=1)
    two = split_by_group(labels[shuffled], [groups[i] for i in shuffled], seed=1)
    assert {groups[i] for i in one.test} == {groups[shuffled[i]] for i in two.test}


def test_one_huge_group_stays_in_train():
    labels = np.array([0, 1] * 50)
    groups = ["huge"] * 60 + [f"g{i // 2}" for i in range(40)]
    assert 0 in split_by_group(labels, groups, seed=0).train


def test_a_rare_class_reaches_every_part_where_it_can():
    labels = np.array([0] * 200 + [1] * 7)
    parts = split_by_group(labels, [str(i) for i in range(207)], seed=3)
    assert all((labels[part] == 1).sum() >= 2 for part in (parts.train, parts.validation, parts.test))


def test_all_classes_with_too_few_rows_are_named_at_once():
    labels = np.array([0] * 50 + [1] * 3 + [2] * 4)
    groups = [f"g{i}" for i in range(50)] + ["a"] * 3 + ["b"] * 4
    with pytest.raises(ConfigurationError) as caught:
        split_by_group(labels, groups, ["many", "rare", "scarce"], seed=0)
    text = str(caught.value)
    assert "'rare'" in text and "'scarce'" in text and "'many'" not in text
    assert "at least 2" in text and "3 rows of it in 1 groups" in text


@pytest.mark.parametrize("fractions", [(0.0, 0.5, 0.5), (0.7, 0.2, 0.2), (0.5, 0.5)])
def test_fractions_that_do_not_add_up_are_refused(fractions):
    with pytest.raises(ConfigurationError, match="fractions"):
        split_by_group(np.array([0, 1]), ["a", "b"], fractions=fractions, seed=0)
