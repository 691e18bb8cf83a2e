import re

import pytest

from tests.trainables.augment.toy import table
from trainables.augment.english.articles import article_agrees, starts_with_vowel_sound
from trainables.augment.english.function_words import stand_ins
from trainables.augment.english.protect import NEGATIONS, NUMBER_WORDS, UNITS
from trainables.augment.english.words import word_set
from trainables.augment.operators.embedding_neighbours import EmbeddingNeighbours


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("patients [with] renal impairment", {"having"}),
        ("subjects [with] the tablet", set()),
        ("compared [with] placebo", {"to"}),
        ("administered [with] food", {"alongside"}),
        ("associated [with] food", set()),
        ("excreted [in] the urine", {"within"}),
        ("seen [in] healthy adult volunteers", {"among"}),
        ("seen [in] the range", set()),
        ("fell [in] 5 patients", set()),
        ("metabolized [by] the liver", {"via", "through"}),
        ("increased [by] 20 percent", set()),
        ("reduced [by] half", set()),
        ("[after] oral administration", {"following"}),
        ("the [following] drugs", set()),
        ("[following] oral administration", {"after"}),
        ("a drug [which] binds", {"that"}),
        ("the liver, [which] binds", set()),
        ("in [which] it binds", set()),
        ("rapid [and] complete", {"&"}),
        ("5 [and] 10", set()),
        ("[about] 5 hours", {"approximately", "roughly", "around"}),
        ("[about] hours", set()),
        ("it [must] rest", set()),
        ("[under] fasting conditions", set()),
        ("[some] patients", set()),
    ],
)
def test_function_words_are_replaced_in_their_surroundings_only(phrase, expected):
    before, word, after = re.fullmatch(r"(.*?)\s?\[(\w+)\]\s(.*)", phrase).groups()
    last = before.split()[-1] if before and not before.endswith(",") else ""
    assert set(stand_ins(word, last, after.split()[:3])) == expected


def test_no_stand_in_is_a_negation_or_a_value():
    words = word_set("and in with by on after which who about this these may might could but also very when")
    written = {new for word in words for new in stand_ins(word, "based", ["plasma", "patients"])}
    assert written
    assert not written & (NEGATIONS | NUMBER_WORDS | UNITS)


def test_function_words_are_replaced_only_where_safer_words_do_not_suffice():
    text = "the movie and the house may be happy"
    operator = EmbeddingNeighbours(table(), 0.3)
    for seed in range(20):
        made = operator.augment_batch([text], [seed])[0].split()
        assert made[2] == "and" and made[5] == "may"
    made = EmbeddingNeighbours(table(), 0.7).augment_batch([text], [0])[0].split()
    assert made[2] == "&" and made[5] in {"might", "could"}


@pytest.mark.parametrize(
    "word", ["oral", "hour", "unusual", "honest", "increase", "injected", "umbrella", "onset", "unintended"]
)
def test_an_comes_before_a_vowel_sound(word):
    assert starts_with_vowel_sound(word)
    assert article_agrees("an", word) and not article_agrees("a", word)


@pytest.mark.parametrize("word", ["dose", "uniform", "unit", "used", "one", "European", "utility", "house"])
def test_a_comes_before_a_consonant_sound(word):
    assert not starts_with_vowel_sound(word)
    assert article_agrees("a", word) and not article_agrees("an", word)
