"""Linear classifiers on fixed features: what they choose, what they cannot see, and what is no fault to them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from trainables.method import linear_classifiers
from trainables.method.linear_classifiers import FOLDS, STRENGTHS, train_linear, tuned_logits
from trainables.reuse.cache import ContentCache
from trainables.reuse.frozen_features import KIND, frozen_features
from trainables.settings import EncoderSettings
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts
from trainables.texts.words import with_words
from trainables.world import World


def tokens_of(texts):
    """Return texts as words, without token ids, which TF-IDF does not read."""
    empty = TokenisedTexts(np.empty(0, np.int32), np.zeros(len(texts) + 1, np.int64))
    return with_words(empty, texts)


def tfidf(texts, labels, evaluated, n_classes=3, seed=0):
    tokens = tokens_of([*texts, *evaluated])
    rows = LabelledTexts(tokens.select(np.arange(len(texts))), np.asarray(labels))
    sets = {"val": tokens.select(np.arange(len(texts), len(tokens)))}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, report = train_linear(
            "tfidf", rows, sets, EncoderSettings(), n_classes, seed=seed, world=World.single()
        )
    return found["val"], report


def some_texts(counts, seed=0):
    """Return texts of six words, one of which tells the class, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    fillers = [f"filler{i}" for i in range(30)]
    return [" ".join([*rng.choice(fillers, 5), f"class{label}"]) for label in labels], labels


def test_tells_texts_apart_by_their_words_and_says_what_it_chose():
    texts, labels = some_texts([40, 20, 10])
    checks, expected = some_texts([5, 5, 5], seed=1)
    logits, report = tfidf(texts, labels, checks)
    assert (logits.argmax(1) == expected).all()
    assert logits.dtype == np.float32
    np.testing.assert_allclose(np.exp(logits).sum(1), 1.0, rtol=1e-5)
    assert report.rows == 70 and report.features == 33 and report.folds == FOLDS
    assert report.strength in STRENGTHS and report.cross_validated_f1 > 0.9 and report.iterations > 0


def test_equals_scikit_learns_pipeline():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    texts, labels = some_texts([30, 12, 6])
    checks, _ = some_texts([4, 4, 4], seed=2)
    logits, report = tfidf(texts, labels, [*checks, "filler1 unheard-of words"])
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    weights = "balanced" if report.balanced else None
    model = LogisticRegression(C=report.strength, class_weight=weights, tol=1e-8, max_iter=5000)
    model.fit(words.fit_transform(texts), labels)
    expected = model.predict_log_proba(words.transform([*checks, "filler1 unheard-of words"]))
    np.testing.assert_allclose(logits, expected, atol=0.05)


def test_macro_f1_over_all_held_out_rows_chooses_and_ties_go_to_the_strongest_penalty():
    """Of features by which nothing can be told, every point of the grid says the same."""
    labels = np.repeat([0, 1], [30, 10])
    constant = np.zeros((44, 2))
    _, (_, strength, balanced, folds, score, _) = tuned_logits(
        lambda learn, describe: (constant[learn], constant[describe]), labels, 4, 2, seed=1
    )
    assert (strength, folds) == (STRENGTHS[0], FOLDS)
    assert score == pytest.approx((2 * 30 / 70) / 2)  # everything is called the majority
    assert not balanced


def test_nothing_is_learned_from_held_out_or_evaluated_rows():
    """Features are always asked for with the rows to learn from: the folds' other rows, or all training rows."""
    labels, asked = np.repeat([0, 1], [12, 8]), []

    def features_of(learn, describe):
        asked.append((set(learn.tolist()), set(describe.tolist())))
        return np.ones((len(learn), 1)), np.ones((len(describe), 1))

    tuned_logits(features_of, labels, 7, 2, seed=0)
    *folds, final = asked
    assert len(folds) == FOLDS and set.union(*(held for _, held in folds)) == set(range(20))
    for learned, held in folds:
        assert not learned & held and learned | held == set(range(20))
    assert final == (set(range(20)), set(range(20, 27)))


def test_the_seed_makes_the_folds_and_nothing_else_is_drawn():
    texts, labels = some_texts([20, 10, 8])
    first, again = (tfidf(texts, labels, texts[:5], seed=3) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1].cross_validated_f1 == again[1].cross_validated_f1


@pytest.mark.parametrize(
    ("counts", "folds"),
    [
        ([30, 3, 1], FOLDS),  # fewer rows than folds
        ([30, 1, 1], FOLDS),
        ([3, 2, 1], 3),
        ([1, 1, 1], 0),  # nothing to choose by
        ([1, 0, 0], 0),
    ],
)
def test_classes_of_few_rows_are_no_fault(counts, folds):
    texts, labels = some_texts(counts)
    logits, report = tfidf(texts, labels, ["class0", "class1", "nothing known"])
    assert np.isfinite(logits).all() and logits.shape == (3, 3)
    assert report.rows == sum(counts) and report.folds == folds
    assert logits[0].argmax() == 0
    absent = [label for label, n in enumerate(counts) if n == 0]
    np.testing.assert_allclose(logits[:, absent], np.log(1e-12), rtol=1e-6)


def test_a_class_without_rows_is_never_the_answer():
    texts, labels = some_texts([12, 0, 9])
    logits, _ = tfidf(texts, labels, [*texts, "class1"])
    assert set(logits.argmax(1).tolist()) == {0, 2}
    assert (logits[:, 1] < logits[:, [0, 2]].max(1)).all()


@pytest.mark.parametrize("texts", [[""] * 12, [" \n"] * 12, ["same"] * 12, ["?!"] * 12])
def test_texts_that_tell_nothing_are_no_fault(texts):
    labels = np.repeat([0, 1, 2], [6, 4, 2])
    logits, _ = tfidf(texts, labels, ["", "unheard", texts[0]])
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(logits, logits[:1].repeat(3, 0), atol=1e-3)


def test_words_are_asked_for_by_name():
    labels = np.repeat([0, 1], 3)
    bare = TokenisedTexts(np.zeros(6, np.int32), np.arange(7))
    with pytest.raises(ValueError, match="needs the words"):
        train_linear(
            "tfidf", LabelledTexts(bare, labels), {}, EncoderSettings(), 2, seed=0, world=World.single()
        )


class Pair(World):
    """Two workers, one after the other: the second is told what the first one found."""

    said: list[object] = []  # noqa: RUF012

    def gather(self, mine):
        if self.rank == 0:
            self.said[:] = [mine]
        return [self.said[0], mine][: self.rank + 1]


@pytest.mark.parametrize("kind", ["tfidf", "frozen"])
def test_one_worker_computes_and_all_are_told(encoder, toy, kind):
    rows, sets = LabelledTexts(toy[0], toy[1]), {"val": toy[0].select([1, 2])}
    alone, first, second = (
        train_linear(kind, rows, sets, encoder, 3, seed=1, world=world)
        for world in (World.single(), Pair(0, 2), Pair(1, 2))
    )
    np.testing.assert_array_equal(first[0]["val"], alone[0]["val"])
    assert second[0] is first[0] and second[1] is first[1]


def test_centred_states_have_length_1_whatever_all_rows_share():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(20, 5)).astype(np.float32)
    learn, describe = np.arange(15), np.arange(15, 20)
    train, other = linear_classifiers._centred(states)(learn, describe)
    np.testing.assert_allclose(np.linalg.norm(train, axis=1), 1.0)
    shifted, _ = linear_classifiers._centred(states + 100.0)(learn, describe)
    np.testing.assert_allclose(shifted, train, atol=1e-4)
    constant, _ = linear_classifiers._centred(np.ones_like(states))(learn, describe)
    assert (constant == 0.0).all() and other.shape == (5, 5)


def test_the_features_of_a_text_are_computed_once(encoder, toy, tmp_path):
    tokens, _ = toy
    cache = ContentCache(tmp_path)
    everything, computed = frozen_features(encoder, 3, tokens, None)
    distinct = len({tokens.select([i]).ids.tobytes() for i in range(len(tokens))})
    assert computed == distinct
    first, some = frozen_features(encoder, 3, tokens.select(np.arange(40)), cache)
    again, none = frozen_features(encoder, 3, tokens.select([7, 3, 3]), ContentCache(tmp_path))
    rest, others = frozen_features(encoder, 3, tokens.select(np.arange(20, 90)), ContentCache(tmp_path))
    assert none == 0 and some + others == distinct
    for found, rows in ((first, np.arange(40)), (again, [7, 3, 3]), (rest, np.arange(20, 90))):
        np.testing.assert_allclose(found, everything[rows], rtol=1e-4, atol=1e-5)
    shallow = EncoderSettings(name=encoder.name, layers=1, max_length=32, precision="float32", device="cpu")
    assert frozen_features(shallow, 3, tokens.select([7]), cache)[1] == 1


def test_a_damaged_entry_is_computed_again(encoder, toy, tmp_path):
    some = toy[0].select(np.arange(10))
    first, _ = frozen_features(encoder, 3, some, ContentCache(tmp_path))
    (entry,) = [path for path in (tmp_path / KIND).rglob("*") if path.is_file() and path.name[0] != "."]
    entry.write_bytes(entry.read_bytes()[:-9])
    cache = ContentCache(tmp_path)
    again, computed = frozen_features(encoder, 3, some, cache)
    assert computed > 0 and cache.corrupt == {KIND: 1}
    np.testing.assert_array_equal(first, again)
