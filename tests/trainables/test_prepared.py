import numpy as np
import pytest

from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.imbalance import Profile, draw, ranked
from trainables.corpora.split_settings import SplitSettings
from trainables.draw_sizes import count_faults, ratio_remarks, shared_n_max, short_class_remarks
from trainables.errors import ConfigurationError
from trainables.prepared import RunSettings, prepare
from trainables.replicate import majority_first, skewed_test_rows
from trainables.settings import EncoderSettings


@pytest.fixture(scope="module")
def corpus():
    return generate_sample(600)


def prepared(corpus, **options):
    return prepare(
        corpus, EncoderSettings(max_length=16), study_seed=1, **{"max_validation_rows": None, **options}
    )


def test_a_balanced_validation_has_k_rows_a_class_and_changes_nothing_else(corpus):
    natural, balanced = prepared(corpus), prepared(corpus, validation_per_class=5)
    assert np.bincount(balanced.validation_labels).tolist() == [5] * len(corpus.classes)
    assert balanced.train_texts == natural.train_texts
    assert balanced.test_labels.tolist() == natural.test_labels.tolist()
    again = prepared(corpus, validation_per_class=5)
    assert np.array_equal(again.validation_tokens.ids, balanced.validation_tokens.ids)


def test_too_large_a_balanced_validation_names_the_classes(corpus):
    with pytest.raises(
        ConfigurationError,
        match=r"validation_per_class is 500, but 5 of 5 classes have .*'distribution' \(8 rows\)",
    ):
        prepared(corpus, validation_per_class=500)


def test_exact_counts_are_drawn_or_refused(corpus):
    ready = prepared(corpus)
    counts = np.bincount(ready.train_labels)
    n_max = int(np.sort(counts)[::-1][2])
    assert count_faults(ready, [3 / n_max, "natural"], "step", n_max) == []
    rows = draw(ready.train_labels, 3 / n_max, n_max=n_max, rng=np.random.default_rng(0))
    assert sorted(np.bincount(ready.train_labels[rows]).tolist()) == [3, 3, n_max, n_max, n_max]
    faults = count_faults(ready, [0.1], "step", 10_000)
    assert len(faults) == 1 and "n_max is 10000, but 5 of 5 classes have fewer training rows" in faults[0]


def test_a_ratio_that_whole_rows_cannot_make_is_told():
    assert ratio_remarks([0.1, 0.05, "natural", 1], 20) == ()
    [remark] = ratio_remarks([0.1, 0.01], 8)
    assert "ratio 0.01" in remark and "a ratio of 0.125" in remark


def test_short_classes_that_stay_whole_are_told_and_are_no_fault(corpus):
    ready = prepared(corpus)
    counts = np.bincount(ready.train_labels, minlength=len(ready.classes))
    largest = int(counts.max())
    whole = Profile("step", keep_short=True)
    assert shared_n_max(ready, [0.1], whole, None) == largest
    assert count_faults(ready, [0.1], whole, largest) == []
    (remark,) = short_class_remarks(ready, [0.1, "natural"], whole, largest)
    second = int(np.sort(counts)[-2])
    assert f"({second:,} of {largest:,})" in remark and "2 of 5 classes have fewer" in remark
    assert short_class_remarks(ready, [0.1], "step", largest) == ()


def test_a_split_by_row_is_told_by_the_prepared_corpus(corpus):
    assert not any("LEAKS" in remark for remark in prepared(corpus).remarks)
    remark, cut = prepared(corpus, split_settings=SplitSettings(by="row")).remarks
    assert "THE SPLIT LEAKS" in remark and "Cut to 16 tokens" in cut


def test_the_skewed_test_set_has_the_ratio_and_the_order_of_the_training_draws(corpus):
    ready = prepared(corpus)
    order = (2, 1, 0)
    run = RunSettings(
        study_seed=1,
        encoder=EncoderSettings(),
        profile=Profile("step", order),
        n_max=20,
        max_train_rows=None,
        cache_dir="none",
    )
    assert majority_first(ready, run, 0.2)[:3] == [2, 1, 0]
    assert majority_first(ready, run, "natural") == ranked(np.bincount(ready.train_labels).tolist())
    rows = skewed_test_rows(ready, run, 0.2)
    assert np.array_equal(rows, skewed_test_rows(ready, run, 0.2))
    counts = np.bincount(ready.test_labels[rows], minlength=5)
    assert counts[[2, 1, 0]].tolist() == [counts.max()] * 3
    assert all(abs(counts[c] - 0.2 * counts.max()) <= 1 for c in (3, 4))
    assert len(skewed_test_rows(ready, run, "natural")) == len(ready.test_labels)
