import itertools
import re

import pytest

from tests.augment.contract import OperatorContract
from tests.augment.toy import CLUSTERS, table, toy_text
from trainables.augment import OPERATORS, make_operator, operator_identity, why_unavailable
from trainables.augment.embedding_neighbours import EmbeddingNeighbours
from trainables.augment.random_words import RandomWords
from trainables.encoder import EncoderSettings
from trainables.errors import ConfigurationError

TABLE = table()


class TestEmbeddingNeighbours(OperatorContract):
    def make(self, strength):
        return EmbeddingNeighbours(TABLE, strength)

    @pytest.mark.parametrize(("word", "cased"), [("movie", str.lower), ("Movie", str.capitalize)])
    def test_casing_survives(self, word, cased):
        made = self.augment(f"{word} is", strength=1.0).split()[0]
        assert made != word
        assert made == cased(made)

    def test_shouted_texts_stay_shouted(self):
        made = self.augment("THE MOVIE IS HAPPY", strength=1.0)
        assert made != "THE MOVIE IS HAPPY"
        assert made.isupper()

    def test_capitals_in_a_plain_text_are_names_and_stay(self):
        assert self.augment("the happy HOME was here", strength=1.0).split()[2] == "HOME"

    def test_only_words_of_the_same_cluster_are_written(self):
        cluster_of = {word: i for i, cluster in enumerate(CLUSTERS) for word in cluster.split()}
        text = toy_text(1, fixed=False)
        made = self.augment(text, strength=1.0)
        for a, b in zip(re.findall(r"\w+", text.lower()), re.findall(r"\w+", made.lower()), strict=True):
            assert cluster_of[a] == cluster_of[b]

    def test_words_outside_the_vocabulary_and_function_words_stay(self):
        text = "the simvastatin of hydrolyzed and xylophone"
        assert self.augment(text, strength=1.0) == text

    def test_a_neighbouring_word_is_not_doubled(self):
        for seed in range(30):
            made = self.augment("the kidney renal nephric the", seed, strength=0.2)
            assert not re.search(r"\b(\w+) \1\b", made)

    def test_a_possessive_keeps_its_ending(self):
        made = self.augment("the doctor's house", strength=0.3)
        assert re.fullmatch(r"the \w+'s \w+", made)


class RandomWordsContract(OperatorContract):
    action = "mixed"
    deletes = True

    def make(self, strength):
        return RandomWords(strength, self.action)

    def strength_text(self, seed):
        return " ".join(
            a + b for a, b in itertools.product("klmnprst", ("aba", "eba", "iba", "oba", "uba", *"aeiou"))
        )

    def changed_words(self, before, after):
        """Count deleted words, and words of which another one took the place: two a swap."""
        left = after.split()
        kept = [word for word in before.split() if word in left]
        return len(before.split()) - len(kept) + sum(a != b for a, b in zip(kept, left, strict=True))


class TestMixed(RandomWordsContract):
    pass


class TestSwap(RandomWordsContract):
    action = "swap"

    def test_a_swap_keeps_all_words(self):
        text = toy_text(4)
        assert sorted(re.findall(r"\w+", self.augment(text).lower())) == sorted(
            re.findall(r"\w+", text.lower())
        )


class TestDelete(RandomWordsContract):
    action = "delete"

    def test_no_space_is_left_behind(self):
        for seed in range(40):
            made = self.augment(toy_text(seed), seed, 0.5)
            assert "  " not in made
            assert made == made.strip()
            assert not re.search(r" [.,]", made)


def test_a_mixture_swaps_and_deletes():
    text = toy_text(2, n_words=100, fixed=False)
    made = [RandomWords(0.2).augment_batch([text], [seed])[0] for seed in range(40)]
    deleted = [100 - len(m.split()) for m in made]
    assert 0 <= min(deleted) < 5 < 15 < max(deleted) <= 20


def test_an_unknown_action_is_a_configuration_fault():
    with pytest.raises(ConfigurationError, match="swap"):
        RandomWords(0.1, "shuffle")


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_registered_operator_works_on_the_packaged_encoder(name):
    text = "The medication was rapidly taken up, and roughly 35% of the 12.5 mg dose left with the urine within 7 days."
    if reason := why_unavailable(name):
        pytest.skip(reason)
    operator = make_operator(name, 0.2, EncoderSettings())
    made = operator.augment_batch([text] * 20, range(20))
    assert len(set(made)) > 5
    for one in made:
        assert one != text
        assert re.findall(r"[\d.]+%?|mg|days", one) == re.findall(r"[\d.]+%?|mg|days", text)


def test_an_unknown_operator_names_the_valid_ones():
    for ask in (
        lambda: make_operator("synonims", 0.1, EncoderSettings()),
        lambda: operator_identity("synonims"),
    ):
        with pytest.raises(ConfigurationError, match="embedding_neighbours, "):
            ask()


def test_every_operator_has_its_own_identity():
    # What has more to its identity needs its models or its endpoint to tell it.
    names = [name for name, factory in OPERATORS.items() if not factory.has_identity]
    assert len({operator_identity(name) for name in names}) == len(names) > 1
