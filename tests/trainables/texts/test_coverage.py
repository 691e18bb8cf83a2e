import numpy as np
import pytest

from trainables.texts.coverage import Coverage, TokenKind, accented_share, coverage, main_script
from trainables.texts.tokens import TokenisedTexts

KINDS = np.array(
    [TokenKind.SPECIAL, TokenKind.UNKNOWN, TokenKind.KNOWN, TokenKind.PART, TokenKind.LETTER], dtype=np.int8
)


def tokens(*rows):
    ids = np.array([token for row in rows for token in row], dtype=np.int32)
    return TokenisedTexts(ids, np.cumsum([0, *map(len, rows)]))


def test_what_a_vocabulary_lacks_is_counted_by_token_and_by_text():
    found = coverage(
        tokens([0, 1, 2, 0], [0, 1, 3, 0], [0, 0], [0, 4, 0], []), np.array([0, 1, 0, 1, 0]), KINDS, 4
    )
    assert found == Coverage(
        texts=5, tokens=5, unknown=2, parts=1, letters=1, texts_unknown=1, texts_empty=2, texts_full=2
    )
    assert found.unknown_share == 3 / 5 and found.unknown_text_share == 3 / 5 and found.letter_share == 1 / 5


def test_texts_of_two_classes_that_come_out_alike_are_counted():
    labels = np.array([0, 1, 0, 0, 1])
    assert coverage(tokens([2], [2], [2], [4], [3]), labels, KINDS, 9).texts_alike == 3
    assert coverage(tokens([2], [3], [2], [4], [1]), labels, KINDS, 9).texts_alike == 0


def test_no_texts_at_all():
    found = coverage(tokens(), np.empty(0, np.int64), KINDS, 4)
    assert found == Coverage() and found.unknown_share == found.full_text_share == 0


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("a good film", "Latin"),
        ("Это хороший фильм", "Cyrillic"),
        ("หนังดี", "Thai"),
        ("这个电影很好", "Chinese"),
        ("この映画は良い", "Japanese"),
        ("좋은 영화", "Korean"),
        ("فيلم جيد", "Arabic"),
        ("😀 12 :)", None),
        ("", None),
    ],
)
def test_the_script_of_texts(text, script):
    assert main_script([text] * 3) == script


def test_accents_count_however_they_are_written():
    assert accented_share(["caf\u00e9"]) == accented_share(["cafe\u0301"]) == 0.25
    assert accented_share(["12"]) == 0
