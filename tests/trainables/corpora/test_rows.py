import pytest

from trainables.corpora.rows import Row, build_corpus
from trainables.errors import ConfigurationError


def test_repeats_are_dropped_whatever_their_case_and_spaces():
    rows = [Row("A text", "x", "g", "1"), Row("a  TEXT", "x", "g", "2"), Row("Another", "y", "g", "3")]
    corpus = build_corpus(rows, ("x", "y"), source="test")
    assert corpus.texts == ["A text", "Another"] and corpus.left_out == {"duplicate in the same group": 1}


def test_nothing_left_says_why():
    rows = [Row("Same", "x", "g", "1"), Row("Same", "y", "h", "2")]
    with pytest.raises(ConfigurationError, match=r"test: no usable row.*duplicate with another label: 2"):
        build_corpus(rows, ("x", "y"), source="test")
