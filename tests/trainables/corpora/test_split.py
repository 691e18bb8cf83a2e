import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.corpora.least_rows import with_least_rows
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
    [text] = caught.value.faults
    assert "2 of 3 classes" in text and "'many'" not in text
    assert "'rare' (3 rows in 1 group), 'scarce' (4 rows in 1 group)" in text
    assert "--rare-classes leave-out" in text and "--rare-classes merge:NAME" in text


def test_many_rare_classes_are_one_short_fault():
    labels = np.concatenate([np.zeros(60), np.repeat(np.arange(1, 151), 3)]).astype(np.int64)
    with pytest.raises(ConfigurationError) as caught:
        split_by_group(labels, [str(i) for i in range(len(labels))], seed=0)
    [text] = caught.value.faults
    assert "150 of 151 classes" in text and "'10' (3 rows) and 140 more" in text and len(text) < 800


def placed_rows(table, seed):
    """Return the rows per class of each part, for groups given as rows per class."""
    labels = np.concatenate([np.repeat(np.arange(len(row)), row) for row in table])
    groups = [f"g{i:03d}" for i, row in enumerate(table) for _ in range(sum(row))]
    parts = split_by_group(labels, groups, len(table[0]), seed=seed)
    owners = [{groups[row] for row in part} for part in (parts.train, parts.validation, parts.test)]
    assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]
    return [
        np.bincount(labels[part], minlength=len(table[0]))
        for part in (parts.train, parts.validation, parts.test)
    ]


@pytest.mark.parametrize("seed", range(10))
def test_classes_that_share_groups_get_their_rows_in_every_part_where_any_split_gives_them(seed):
    # Each rare class is in three groups, so each of its groups has to be in another part than its others.
    rare = [(2, 0, 0), (2, 2, 0), (2, 2, 2), (0, 2, 2), (0, 0, 2)]
    table = [(0, 0, 0, 3)] * 30 + [(*row, common) for row, common in zip(rare, (9, 0, 2, 7, 1), strict=True)]
    assert min(rows.min() for rows in placed_rows(table, seed)) >= 2


def test_where_every_class_has_its_rows_no_group_moves():
    table = np.eye(3, dtype=np.int64)[np.arange(90) % 3]
    parts = np.arange(90) % 10 // 4
    assert with_least_rows(table, parts, 2, np.ones(3, dtype=bool)) is parts


def test_the_fewest_rows_move():
    table = np.array([[1, 0]] * 18 + [[0, 1]] * 6 + [[9, 2]])
    parts = np.array([0, 1, 2] * 6 + [0] * 7)
    moved = with_least_rows(table, parts, 2, np.ones(3, dtype=bool))
    assert table[moved != parts].tolist() == [[0, 1]] * 4
    assert np.bincount(moved[18:24], minlength=3).tolist() == [2, 2, 2]


def test_classes_that_no_split_serves_together_are_told_the_bound_that_leaves_them_out():
    # The first class needs g0, g1 and g2 in three parts; the second needs g0 and g1 in one.
    table = [(2, 1, 0), (2, 1, 0), (2, 0, 0), (0, 2, 0), (0, 2, 0), *[(0, 0, 3)] * 20]
    with pytest.raises(ConfigurationError, match="--rare-classes leave-out --min-rows 7 to study"):
        placed_rows(table, 0)


@pytest.mark.parametrize("fractions", [(0.0, 0.5, 0.5), (0.7, 0.2, 0.2), (0.5, 0.5)])
def test_fractions_that_do_not_add_up_are_refused(fractions):
    with pytest.raises(ConfigurationError, match="fractions"):
        split_by_group(np.array([0, 1]), ["a", "b"], fractions=fractions, seed=0)
