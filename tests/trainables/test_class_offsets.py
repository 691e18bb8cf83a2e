"""Laws of class offsets: what they do on the rows they were fitted on, and what they may not promise on others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.class_offsets import cross_fitted, fit_offsets

worlds = st.builds(
    lambda seed, n_classes, n: made_up(np.random.default_rng(seed), n_classes, n),
    st.integers(0, 10_000),
    st.integers(2, 7),
    st.integers(1, 120),
)


def made_up(rng, n_classes, n, signal=1.5, planted=None):
    """Return logits that know something about the labels, the labels, and the training rows per class."""
    shares = rng.dirichlet(np.full(n_classes, 2.0))
    labels = rng.choice(n_classes, n, p=shares)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += signal
    logits += rng.normal(size=n_classes) if planted is None else planted
    return logits, labels, rng.integers(1, 500, n_classes)


def macro_f1(labels, predicted):
    return np.mean(
        [
            2 * ((predicted == c) & (labels == c)).sum() / ((predicted == c).sum() + (labels == c).sum())
            for c in np.unique(labels)
        ]
    )


@settings(deadline=None)
@given(worlds)
def test_offsets_are_never_worse_than_none_on_the_rows_they_were_fitted_on(world):
    logits, labels, counts = world
    offsets = fit_offsets(logits, labels, counts)
    assert offsets[counts.argmax()] == 0.0
    assert np.isfinite(offsets).all()
    before, after = logits.argmax(axis=1), (logits + offsets).argmax(axis=1)
    assert macro_f1(labels, after) >= macro_f1(labels, before) - 1e-12
    np.testing.assert_array_equal(offsets, fit_offsets(logits, labels, counts))


@settings(deadline=None)
@given(worlds, st.integers(-40, 40))
def test_what_is_added_to_all_logits_of_a_row_changes_nothing(world, constant):
    logits, labels, counts = world
    shifts = constant * np.cos(np.arange(len(labels)))[:, None]
    np.testing.assert_allclose(
        fit_offsets(logits + shifts, labels, counts), fit_offsets(logits, labels, counts), atol=1e-9
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_two_classes_get_the_best_threshold_that_there_is(seed, n):
    logits, labels, counts = made_up(np.random.default_rng(seed), 2, n)
    margins = np.sort(logits[:, 1] - logits[:, 0])
    between = [margins[0] - 1, *(margins[1:] + margins[:-1]) / 2, margins[-1] + 1]
    best = max(macro_f1(labels, (logits[:, 1] - logits[:, 0] > t).astype(int)) for t in between)
    assert macro_f1(labels, (logits + fit_offsets(logits, labels, counts)).argmax(axis=1)) == pytest.approx(
        best
    )


@pytest.mark.parametrize("planted", [[0.0, -3.0, 0.0, 0.0], [0.0, -1.0, 3.0, -2.0]])
def test_a_planted_offset_is_found(planted):
    """Also one that no prior explains: the first step finds nothing, since all classes have as many training rows."""
    logits, labels, _ = made_up(np.random.default_rng(3), 4, 4000, signal=4.0, planted=np.array(planted))
    offsets = fit_offsets(logits[:2000], labels[:2000], [100, 100, 100, 100])
    logits, labels = logits[2000:], labels[2000:]
    planted_f1, found, undone = (
        macro_f1(labels, (logits + b).argmax(axis=1)) for b in (0.0, offsets, -np.array(planted))
    )
    assert undone - planted_f1 > 0.1
    assert found > undone - 0.01


def test_offsets_along_the_prior_are_found_where_few_rows_could_not_tell_them_class_by_class():
    rng = np.random.default_rng(5)
    counts = np.geomspace(1000, 10, 20)
    planted = np.log(counts / counts[0])
    gains = []
    for _ in range(5):
        labels = rng.integers(0, 20, 2060)
        logits = rng.normal(size=(2060, 20)) + planted
        logits[np.arange(2060), labels] += 3.0
        offsets = fit_offsets(logits[:60], labels[:60], counts)
        unseen = labels[60:], logits[60:]
        gains.append(
            macro_f1(unseen[0], (unseen[1] + offsets).argmax(1)) - macro_f1(unseen[0], unseen[1].argmax(1))
        )
    assert min(gains) > 0.1


def test_where_nothing_can_be_gained_no_offset_is_set():
    labels = np.array([0, 0, 0, 1, 1, 2])
    right = 4.0 * np.eye(3)[labels]
    assert fit_offsets(right, labels, [9, 5, 2]).tolist() == [0.0, 0.0, 0.0]
    assert fit_offsets(right[:0], labels[:0], [9, 5, 2]).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("n_classes", [2, 4, 10])
def test_crossfitting_does_not_leak(n_classes):
    """On logits that know nothing, fitting gains on its own rows; across folds it may not gain, on average."""
    rng = np.random.default_rng(11)
    own, across = [], []
    for _ in range(40):
        labels = rng.integers(0, n_classes, 100)
        logits = rng.normal(size=(100, n_classes))
        counts = np.full(n_classes, 50)
        none = macro_f1(labels, logits.argmax(axis=1))
        fitted = (logits + fit_offsets(logits, labels, counts)).argmax(axis=1)
        own.append(macro_f1(labels, fitted) - none)
        across.append(macro_f1(labels, cross_fitted(logits, labels, counts, rng)) - none)
    standard_error = np.std(across) / np.sqrt(len(across))
    assert np.mean(own) > 0.005
    assert np.mean(across) < 2 * standard_error


def test_crossfitting_copes_with_classes_of_fewer_rows_than_folds_and_depends_on_the_seed_alone():
    logits, labels, counts = made_up(np.random.default_rng(1), 5, 40)
    labels[labels == 4] = 0
    labels[0] = 4
    first, again, other = (
        cross_fitted(logits, labels, counts, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert set(first) <= set(range(5)) and (first != other).any()
    assert cross_fitted(logits[:2], labels[:2], counts, np.random.default_rng(0)).shape == (2,)


def test_rows_that_have_the_offsets_of_their_own_fold_do_not_decide_on_themselves():
    """Changing the label of a row leaves its own predicted class as it was."""
    logits, labels, counts = made_up(np.random.default_rng(2), 2, 30, signal=0.5)
    before = cross_fitted(logits, labels, counts, np.random.default_rng(0), folds=30)
    for row in range(30):
        others = np.delete(np.arange(30), row)
        offsets = fit_offsets(logits[others], labels[others], counts)
        assert before[row] == (logits[row] + offsets).argmax()
