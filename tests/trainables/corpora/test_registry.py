import pytest

from tests.trainables.corpora.label_records import sample_labels, write_lines
from trainables.corpora.registry import CORPORA, read_corpus
from trainables.errors import ConfigurationError


def test_an_unknown_corpus_names_the_known_ones():
    with pytest.raises(ConfigurationError) as caught:
        read_corpus("adne", None)
    assert all(name in str(caught.value) for name in CORPORA)


def test_an_unknown_option_names_the_known_ones(tmp_path):
    with pytest.raises(ConfigurationError, match="no option foodeffect; expected food_effect, keep_mixed"):
        read_corpus("adme", None, foodeffect="other")


def test_adme_without_data_is_the_sample_and_with_data_is_not(tmp_path):
    assert read_corpus("adme", None).is_sample
    path = write_lines(tmp_path / "labels.jsonl", sample_labels())
    corpus = read_corpus("adme", str(path), food_effect="other")
    assert not corpus.is_sample and corpus.source == str(path)
