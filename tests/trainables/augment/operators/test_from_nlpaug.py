import random
import re

import nlpaug.augmenter.audio as naa
import nlpaug.augmenter.char as nac
import nlpaug.augmenter.word as naw
import nlpaug.flow as naf
import numpy as np
import pytest

from tests.trainables.augment.contract import OperatorContract
from tests.trainables.augment.operators.test_operators import distinct_words
from tests.trainables.augment.toy import toy_text
from trainables.augment.operators.from_nlpaug import FromNlpaug
from trainables.errors import ConfigurationError


class NlpaugContract(OperatorContract):
    """What nlpaug's augmenters keep once they are wrapped; spacing and sentence starts are theirs."""

    keeps_spacing = False
    keeps_punctuation = False
    keeps_first_letter = False
    long = 2_600  # nlpaug's own time

    def strength_text(self, seed):
        return distinct_words()


class TestSwap(NlpaugContract):
    def make(self, strength):
        return FromNlpaug(naw.RandomWordAug(action="swap"), "swap", strength)


class TestDelete(NlpaugContract):
    def make(self, strength):
        return FromNlpaug(naw.RandomWordAug(action="delete"), "delete", strength)


class TestKeyboard(NlpaugContract):
    def make(self, strength):
        augmenter = nac.KeyboardAug(include_numeric=False, include_special_char=False, min_char=1)
        return FromNlpaug(augmenter, "keyboard", strength)


def test_numpys_global_generator_does_not_move():
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    python_state = random.getstate()
    FromNlpaug(nac.RandomCharAug(action="swap"), "swap", 0.3).augment_batch([toy_text(0)], [0])
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    assert random.getstate() == python_state


class WritesNo(naw.RandomWordAug):
    def substitute(self, data):
        return data + " no"


def test_a_run_in_which_a_negation_appears_is_dropped():
    text = toy_text(0)
    assert FromNlpaug(WritesNo(action="substitute"), "no", 0.3).augment_batch([text], [0]) == [text]


def test_a_flow_can_be_wrapped():
    flow = naf.Sequential([naw.RandomWordAug(action="swap"), naw.RandomWordAug(action="delete")])
    text = toy_text(0)
    made = FromNlpaug(flow, "flow", 0.2).augment_batch([text, text], [0, 1])
    assert text not in made
    assert re.findall(r"\d", made[0]) == re.findall(r"\d", text)


def test_the_given_augmenter_is_left_as_it_is():
    augmenter = naw.RandomWordAug(action="swap")
    FromNlpaug(augmenter, "swap", 0.05)
    assert augmenter.aug_p == 0.3
    assert augmenter.aug_max == 10


def test_an_augmenter_of_sounds_is_a_configuration_fault():
    with pytest.raises(ConfigurationError, match="MaskAug augments audio"):
        FromNlpaug(naa.MaskAug(sampling_rate=8000), "mask", 0.1)
