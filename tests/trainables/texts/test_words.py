from __future__ import annotations

import numpy as np
import pytest

from trainables.texts.tokens import TokenisedTexts
from trainables.texts.words import with_words, words_of


def tokens_of(n):
    return TokenisedTexts(np.arange(2 * n, dtype=np.int32), 2 * np.arange(n + 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Half-life: 3.5 h", ["half", "-", "life", ":", "3", ".", "5", "h"]),
        ("ÄRGER naïve", ["ärger", "naïve"]),
        ("血液検査 OK", ["血", "液", "検", "査", "ok"]),
        ("검사 결과", ["검사", "결과"]),
        ("?!", ["?", "!"]),
        ("  \n", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


def test_equal_words_have_equal_numbers_and_rows_keep_theirs():
    texts = ["the dose", "", "The half", "dose the dose"]
    tokens = with_words(tokens_of(4), texts)
    the, dose = tokens.words.select([0]).ids
    assert tokens.words.select([3]).ids.tolist() == [dose, the, dose]
    chosen = tokens.select([3, 1, 3, 2])
    assert chosen.words.lengths.tolist() == [3, 0, 3, 2]
    assert chosen.words.select([3]).ids[0] == the
    assert len(with_words(tokens_of(0), []).words) == 0


def test_parts_keep_their_words_where_all_have_them():
    tokens = with_words(tokens_of(3), ["a b", "c", "a"])
    joined = TokenisedTexts.concatenate([tokens.select([2]), tokens.select([]), tokens.select([0, 1])])
    assert joined.words.ids.tolist() == [0, 0, 1, 2] and joined.words.lengths.tolist() == [1, 2, 1]
    assert TokenisedTexts.concatenate([tokens, tokens_of(1)]).words is None
    assert tokens_of(1).select([0]).words is None
