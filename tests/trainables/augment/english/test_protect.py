import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.augment.english.protect import find_open_words
from trainables.augment.english.words import split, with_casing_of


def open_words(text):
    found = find_open_words(text)
    return [found.word(i).core for i in found.open]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("about 12.5 mg/L of it", ["about", "of", "it"]),
        ("the C max rose", ["the", "rose"]),
        ("the (T max ) rose", ["the", "rose"]),
        ("a t 1/2 of 5 hours", ["a", "of"]),
        ("CYP3A4 and P-gp", ["and"]),
        ("mean of two weeks", ["of"]),
        ("did not rise without it", ["did", "rise", "it"]),
        ("shown in Table 2 here", ["shown", "in", "here"]),
        ("the table here", ["the", "table", "here"]),
        ("well known [see Clinical Studies (14.2)] so far", ["well", "known", "so", "far"]),
        ("well ( see Uses ) known", ["well", "known"]),
        ("given ABC daily IV to mRNA", ["given", "to"]),
        ("POTASSIUM ROSE FAST", ["ROSE", "FAST"]),
        ("see http://a.b/c or @me or #tag", ["see", "or", "or"]),
        ("Doctors in Paris said. Paris rose", ["Doctors", "in", "said", "Paris", "rose"]),
        ("The Doctors In Paris Said", ["The", "Doctors", "In", "Paris", "Said"]),
        ("half-life and/or don't", []),
        ("μg λz rise", ["rise"]),
        ("(drug), drug's", ["drug", "drug"]),
        ("[never closed " + "word " * 40, ["word"] * 17),
    ],
)
def test_open_words(text, expected):
    assert open_words(text) == expected


@given(st.text())
def test_splitting_loses_nothing(text):
    assert "".join(split(text)) == text


@given(st.text())
def test_open_positions_are_words_of_letters(text):
    found = find_open_words(text)
    for i in found.open:
        prefix, core, suffix = found.word(i)
        assert prefix + core + suffix == found.pieces[i]
        assert core[0].isalpha()
        assert all(c.isalpha() or unicodedata.category(c).startswith("M") for c in core)
    assert len(found.open) <= found.n_words


@pytest.mark.parametrize(
    ("model", "expected"), [("film", "movie"), ("Film", "Movie"), ("FILM", "MOVIE"), ("A", "Movie")]
)
def test_casing_is_carried_over(model, expected):
    assert with_casing_of(model, "movie") == expected


def test_a_subscript_in_letters_belongs_to_its_symbol():
    found = find_open_words("The AUC inf and AUC tau are high at last")
    assert [found.word(i).core for i in found.open] == ["The", "and", "are", "high", "at", "last"]
