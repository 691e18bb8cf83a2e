import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.augment.english.changed import changed_share, changed_words

WORDS = st.lists(st.sampled_from("abcde"), max_size=14)


def plain_distance(one, two):
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(two, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


@given(WORDS, WORDS)
def test_it_is_the_edit_distance_over_words(one, two):
    assert changed_words(" ".join(one), " ".join(two)) == plain_distance(one, two)


@given(st.text(), st.text())
def test_laws_of_a_distance(one, two):
    assert changed_words(one, one) == 0
    assert changed_words(one, two) == changed_words(two, one) >= 0


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("the renal route is short", "the kidney route is short", 1),
        ("the renal route is short", "the route renal is short", 2),
        ("the renal route is short", "short renal route is the", 2),
        ("the renal route is short", "the route is short", 1),
        ("the renal route is short", "the very renal route is short", 1),
        ("the renal route is short", "the ; renal route is short", 1),
        ("after dosing, the route", "after, the route", 1),
        ("(after dosing), it", "(after), it", 1),
        ("The route is", "Route is", 1),
        ("12.5 mg/L of it", "12.6 mg/L of it", 1),
        ("a  b\nc", "a b c", 0),
        ("A B.", "a b.", 0),
        ("a b c d e f", "b a c x f", 4),
    ],
)
def test_what_counts_as_a_changed_word(before, after, expected):
    assert changed_words(before, after) == expected


def test_the_share_is_of_the_words_of_the_source():
    assert changed_share("one two - three four", "one two - three five") == 0.25
    assert changed_share("a b", "a b c d e") == 1.5
    assert changed_share("", "") == 0
    assert changed_share("...", "...") == 0


def test_a_long_text_takes_well_under_a_second():
    words = [f"w{i % 700}" for i in range(10_000)]
    start = time.perf_counter()
    assert changed_words(" ".join(words), " ".join(["x", *words[1::2], "y"])) >= 5_000
    assert time.perf_counter() - start < 1
