"""Which tokens masked-language training hides."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.texts.masking import NOT_ASKED, MaskableVocabulary, mask_tokens
from trainables.texts.tokens import TokenisedTexts

CLS, SEP, MASK = 2, 3, 4
VOCABULARY = MaskableVocabulary(MASK, np.arange(1000) > MASK)


def texts(n=200, length=100):
    """Long texts between a first and a last special token."""
    ids = np.random.default_rng(0).integers(5, 1000, (n, length)).astype(np.int32)
    ids[:, 0], ids[:, -1] = CLS, SEP
    return TokenisedTexts(ids.ravel(), np.arange(n + 1) * length)


@pytest.mark.parametrize("rate", [0.15, 0.5, 1.0])
def test_of_the_share_that_is_asked_for_eight_tenths_are_masked_and_one_tenth_is_replaced(rate):
    given = texts()
    hidden = mask_tokens(given, VOCABULARY, rate, np.random.default_rng(1))
    asked = hidden.targets.ids != NOT_ASKED
    assert hidden.n_asked == asked.sum() == pytest.approx(rate * 200 * 98, rel=0.05)
    shown, ids = hidden.shown.ids[asked], given.ids[asked]
    assert (shown == MASK).mean() == pytest.approx(0.8, abs=0.02)
    assert (shown == ids).mean() == pytest.approx(0.1, abs=0.02)
    assert ((shown != MASK) & (shown != ids)).mean() == pytest.approx(0.1, abs=0.02)


def test_what_is_asked_for_is_what_stood_there_and_the_rest_is_as_it_was():
    given = texts()
    hidden = mask_tokens(given, VOCABULARY, 0.15, np.random.default_rng(1))
    asked = hidden.targets.ids != NOT_ASKED
    np.testing.assert_array_equal(hidden.targets.ids[asked], given.ids[asked])
    np.testing.assert_array_equal(hidden.shown.ids[~asked], given.ids[~asked])
    np.testing.assert_array_equal(hidden.shown.offsets, given.offsets)


def test_special_tokens_are_never_asked_for_and_never_take_a_place():
    given = texts()
    hidden = mask_tokens(given, VOCABULARY, 1.0, np.random.default_rng(1))
    special = given.ids < 5
    assert special.sum() == 400
    assert (hidden.targets.ids[special] == NOT_ASKED).all()
    new = hidden.shown.ids[(hidden.shown.ids != given.ids) & (hidden.shown.ids != MASK)]
    assert len(new) > 1000 and new.min() >= 5


def test_rows_are_selected_with_what_is_hidden_in_them():
    hidden = mask_tokens(texts(), VOCABULARY, 0.15, np.random.default_rng(1))
    part = hidden.select([7, 3])
    np.testing.assert_array_equal(part.targets.ids[:100], hidden.targets.ids[700:800])
    np.testing.assert_array_equal(part.shown.ids[100:], hidden.shown.ids[300:400])


def test_texts_of_special_tokens_alone_are_asked_for_nothing():
    empty = TokenisedTexts(np.array([CLS, SEP, CLS, SEP], np.int32), np.array([0, 2, 4]))
    hidden = mask_tokens(empty, VOCABULARY, 1.0, np.random.default_rng(1))
    assert hidden.n_asked == 0
    np.testing.assert_array_equal(hidden.shown.ids, empty.ids)
