import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from tests.trainables.corpora.contract import ReaderContract
from trainables.corpora.drug_labels.headings import CLASSES
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.split import split_by_group
from trainables.errors import ConfigurationError


class TestContract(ReaderContract):
    classes = CLASSES

    def read(self, tmp_path):
        return generate_sample()

    read_reordered = read

    def test_bad_rows_are_counted_and_change_nothing_else(self, tmp_path):
        assert not self.read(tmp_path).left_out  # there is no input that could be bad


def test_the_texts_are_the_same_on_every_machine():
    assert generate_sample().digest == "625a4dfc5cafc64f"


def test_the_seed_and_the_size_decide():
    assert generate_sample(300, seed=1).digest != generate_sample(300, seed=2).digest
    assert len(generate_sample(3000)) == 3000


def test_it_has_the_shape_of_the_real_corpus():
    corpus = generate_sample()
    counts = corpus.class_counts()
    assert corpus.is_sample and len(corpus) == 1500 and len(set(corpus.groups)) == 250
    assert counts["other"] == max(counts.values()) > 2 * counts["excretion"]
    assert 30 <= np.mean([len(text.split()) for text in corpus.texts]) <= 50
    assert not [text for text in corpus.texts if set(text) & set("[]{}|")]


def test_it_is_neither_trivial_nor_hopeless():
    corpus = generate_sample()
    texts = np.array(corpus.texts, dtype=object)
    parts = split_by_group(corpus.labels, corpus.groups, corpus.classes, seed=0)
    vectors = TfidfVectorizer(sublinear_tf=True, min_df=2)
    model = LogisticRegression(C=10, max_iter=60, class_weight="balanced")
    model.fit(vectors.fit_transform(texts[parts.train]), corpus.labels[parts.train])
    held_out = np.concatenate([parts.validation, parts.test])
    predicted = model.predict(vectors.transform(texts[held_out]))
    assert 0.8 <= f1_score(corpus.labels[held_out], predicted, average="macro") <= 0.95


def test_too_small_a_sample_is_refused():
    with pytest.raises(ConfigurationError, match="at least 100"):
        generate_sample(20)
