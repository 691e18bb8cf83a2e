import re

import pytest

from trainables.augment.reach import WithinReach, cut, words_in_reach
from trainables.augment.registry import OPERATORS, make_operator
from trainables.settings import EncoderSettings


class Counting:
    """Write every word in capitals, and count the characters that it was given."""

    def __init__(self):
        self.seen = 0

    def augment_batch(self, texts, seeds):
        self.seen += sum(map(len, texts))
        return [text.upper() for text in texts]


def test_only_the_start_of_a_long_text_reaches_the_operator():
    counting = Counting()
    text = "word \n" * 26_000
    (made,) = WithinReach(counting, 10).augment_batch([text], [0])
    assert made == "WORD \n" * 10 + "word \n" * 25_990 and counting.seen == 60


@pytest.mark.parametrize(
    "name", ["back_translation", "contextual_insertion", "contextual_substitution", "paraphrase"]
)
def test_no_model_is_asked_for_more_than_the_encoder_reads(monkeypatch, name):
    counting = Counting()
    monkeypatch.setattr(f"{OPERATORS[name].module}.build", lambda *_, **__: counting)
    operator = make_operator(name, 0.1, EncoderSettings(max_length=64, device="cpu"))
    assert operator.augment_batch(["dose " * 26_000], [0])[0].count("DOSE") == 128
    assert counting.seen == 128 * len("dose ")


@pytest.mark.parametrize("text", ["", " ", "a", "a b", " a  b\n", "a b c", "\n\ta b "])
def test_a_short_text_passes_whole(text):
    assert WithinReach(Counting(), 3).augment_batch([text], [0]) == [text.upper()]


def test_a_long_text_without_spaces_is_bounded_too():
    counting = Counting()
    text = "字" * 100_000
    assert WithinReach(counting, 10).augment_batch([text], [0]) == [text]
    assert 10 < counting.seen < 1000


@pytest.mark.parametrize("text", ["one two three", "  one\ttwo\n\nthree  ", "x" * 999, "", " \n"])
def test_what_is_cut_is_the_text_again(text):
    for words in range(1, 6):
        assert "".join(cut(text, words)) == text
        assert len(re.findall(r"\S+", cut(text, words)[0])) <= words


def test_all_that_the_encoder_reads_lies_in_reach():
    assert words_in_reach(EncoderSettings(max_length=64)) >= 64
