import itertools
import re

import pytest

from tests.trainables.augment.contract import OperatorContract
from tests.trainables.augment.toy import CLUSTERS, table, toy_text
from trainables.augment.english.protect import FUNCTION_WORDS, PROTECTED
from trainables.augment.operators.aeda import Aeda
from trainables.augment.operators.embedding_neighbours import EmbeddingNeighbours
from trainables.augment.operators.keyboard_noise import ADJACENT, KeyboardNoise
from trainables.augment.operators.noise import misspellings
from trainables.augment.operators.ocr_noise import CONFUSIONS, OcrNoise
from trainables.augment.operators.random_crop import RandomCrop
from trainables.augment.operators.random_delete import RandomDelete
from trainables.augment.operators.random_swap import RandomSwap
from trainables.augment.operators.spelling_noise import SpellingNoise
from trainables.augment.registry import OPERATORS, make_operator, operator_identity, why_unavailable
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings

TABLE = table()


def distinct_words():
    """A text of 80 words, none of which comes twice, so that every move and deletion shows."""
    return " ".join(
        a + b for a, b in itertools.product("klmnprst", ("aba", "eba", "iba", "oba", "uba", *"aeiou"))
    )


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

    def test_words_outside_the_vocabulary_stay(self):
        text = "the simvastatin of hydrolyzed or xylophone"
        assert self.augment(text, strength=1.0) == text

    def test_a_neighbouring_word_is_not_doubled(self):
        for seed in range(30):
            made = self.augment("the kidney renal nephric the", seed, strength=0.2)
            assert not re.search(r"\b(\w+) \1\b", made)

    def test_a_possessive_keeps_its_ending(self):
        made = self.augment("the doctor's house", strength=0.3)
        assert re.fullmatch(r"the \w+'s \w+", made)


class TestRandomSwap(OperatorContract):
    def make(self, strength):
        return RandomSwap(strength)

    def strength_text(self, seed):
        return distinct_words()

    def test_a_swap_keeps_all_words(self):
        text = toy_text(4)
        assert sorted(re.findall(r"\w+", self.augment(text).lower())) == sorted(
            re.findall(r"\w+", text.lower())
        )

    def test_neighbours_are_swapped_first(self):
        text = distinct_words()
        before, after = text.split(), self.augment(text, strength=0.2).split()
        moved = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
        assert len(moved) == 16
        assert all(before[i] == after[j] for i, j in zip(moved[::2], moved[1::2], strict=True))

    def test_no_word_is_doubled(self):
        for seed in range(40):
            made = self.augment("house movie house garden movie yard garden house", seed, 0.5)
            assert not re.search(r"\b(\w+) \1\b", made)

    def test_a_bound_does_not_move(self):
        text = "less than movie but between house unless garden"
        assert re.findall("less than|but between|unless", self.augment(text, strength=1.0)) == [
            "less than", "but between", "unless"
        ]  # fmt: skip


class DeletionContract(OperatorContract):
    keeps_spacing = False

    def strength_text(self, seed):
        return distinct_words()

    def test_no_space_is_left_behind(self):
        for seed in range(40):
            made = self.augment(toy_text(seed), seed, 0.5)
            assert "  " not in made
            assert made == made.strip()
            assert not re.search(r" [.,]", made)

    def test_a_sentence_does_not_start_with_what_may_not_be_capitalised(self):
        text = "The house mRNA is happy. Rapid t1/2 is brisk"
        for seed in range(40):
            made = self.augment(text, seed, 0.15)
            assert made != text
            assert not re.search(r"(^|\. )(mRNA|t1/2)", made)

    def test_no_word_is_doubled(self):
        for seed in range(40):
            made = self.augment("house movie house garden movie yard garden house", seed, 0.3)
            assert not re.search(r"\b(\w+) \1\b", made)

    def test_a_bound_is_not_deleted(self):
        made = self.augment("less than movie house unless garden yard", strength=1.0)
        assert re.findall("less than|unless", made) == ["less than", "unless"]


class TestRandomDelete(DeletionContract):
    def make(self, strength):
        return RandomDelete(strength)


class TestRandomCrop(DeletionContract):
    def make(self, strength):
        return RandomCrop(strength)

    def test_one_span_goes_where_one_is_long_enough(self):
        text = distinct_words()
        for seed in range(20):
            kept = self.augment(text, seed, 0.25).split()
            start = text.split().index(next(w for w in text.split() if w not in kept))
            assert kept == text.split()[:start] + text.split()[start + 20 :]


class TestAeda(OperatorContract):
    keeps_spacing = False
    keeps_punctuation = False

    def make(self, strength):
        return Aeda(strength)

    def test_nothing_but_marks_is_inserted(self):
        text = "movie house garden (yard), 12.5 mg happy"
        for seed in range(20):
            made = self.augment(text, seed, 0.5)
            assert [token for token in made.split() if token not in ".;?:!,"] == text.split()
            assert "12.5 mg" in made


class NoiseContract(OperatorContract):
    def strength_text(self, seed):
        return toy_text(seed, n_words=80, fixed=False)

    def test_a_noisy_word_is_no_other_word(self):
        text = "form house with there diary angel causal trail on in no now hear than"
        words = {w for w in misspellings() if w.islower()} | FUNCTION_WORDS | PROTECTED
        for seed in range(60):
            for before, after in zip(text.split(), self.augment(text, seed, 1.0).split(), strict=True):
                assert before == after or after not in words

    def test_casing_is_kept(self):
        for seed in range(20):
            made = self.augment("Movie house HOUSE doctor", seed, 1.0).split()
            assert made[0][0].isupper() and made[0][1:].islower()
            assert made[1].islower()


class TestSpellingNoise(NoiseContract):
    def make(self, strength):
        return SpellingNoise(strength)

    def test_the_first_letter_stays(self):
        text = toy_text(1, fixed=False)
        made = self.augment(text, strength=1.0)
        assert [w[0] for w in text.split()] == [w[0] for w in made.split()]

    def test_observed_mistakes_are_preferred(self):
        made = {self.augment("receive", seed, 1.0) for seed in range(30)}
        assert len(made) > 3
        assert made <= set(misspellings()["receive"])


class TestKeyboardNoise(NoiseContract):
    def make(self, strength):
        return KeyboardNoise(strength)

    def test_one_letter_becomes_its_neighbour(self):
        text = toy_text(1, fixed=False)
        for before, after in zip(text.split(), self.augment(text, strength=1.0).split(), strict=True):
            differing = [(a, b) for a, b in zip(before.lower(), after.lower(), strict=True) if a != b]
            assert len(differing) <= 1
            assert all(b in ADJACENT[a] for a, b in differing)


def test_neighbours_on_a_keyboard_are_mutual():
    assert set(ADJACENT["g"]) == set("tyfhvb")
    assert all(a in ADJACENT[b] for a, others in ADJACENT.items() for b in others)


class TestOcrNoise(NoiseContract):
    keeps_first_letter = False

    def make(self, strength):
        return OcrNoise(strength)

    def test_one_shape_becomes_another(self):
        made = {self.augment("clinic", seed, 1.0) for seed in range(60)}
        assert "dinic" in made
        assert all(
            any(
                one == "clinic"[:at] + new + "clinic"[at + len(old) :]
                for at in range(6)
                for old, news in CONFUSIONS.items()
                for new in news
                if "clinic"[at:].startswith(old)
            )
            for one in made - {"clinic"}
        )


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_registered_operator_works_on_the_packaged_encoder(name):
    if reason := why_unavailable(name):
        pytest.skip(reason)
    text = (
        "As expected, the new oral medication was rapidly and primarily taken up, and about 35% of the "
        "12.5 mg dose was observed to leave the healthy body with the urine within 7 days."
    )
    operator = make_operator(name, 0.2, EncoderSettings())
    made = operator.augment_batch([text] * 20, range(20))
    # Apertium gives one text a pivot, whatever the seed.
    assert len(set(made)) > (1 if name == "back_translation" else 3)
    for one in made:
        assert one != text
        assert re.findall(r"\d[\d.]*%?|mg|days", one) == ["35%", "12.5", "mg", "7", "days"]


def test_an_unknown_operator_names_the_valid_ones():
    for ask in (
        lambda: make_operator("synonims", 0.1, EncoderSettings()),
        lambda: operator_identity("synonims"),
    ):
        with pytest.raises(ConfigurationError, match=r"aeda, .*embedding_neighbours, .*random_swap"):
            ask()


def test_every_operator_has_its_own_identity():
    # What has more to its identity needs its models or its endpoint to tell it.
    names = [name for name, factory in OPERATORS.items() if not factory.has_identity]
    assert len({operator_identity(name) for name in names}) == len(names) > 1


def test_a_swap_of_content_words_comes_before_one_across_a_function_word():
    text = "the house of garden is rapid brisk and of merry"
    for seed in range(20):
        made = RandomSwap(0.2).augment_batch([text], [seed])[0]
        assert made == "the house of garden is brisk rapid and of merry"


def test_swaps_leave_latin_and_the_word_after_a_numeral_alone():
    text = "in vitro study 12.5 mg dose left early"
    for seed in range(20):
        made = RandomSwap(0.2).augment_batch([text], [seed])[0]
        assert made == "in vitro study 12.5 mg dose early left"


@pytest.mark.parametrize("text", ["garden 35% house in urine were seen", "garden at least house were seen"])
def test_what_a_value_refers_to_is_not_deleted(text):
    for seed in range(30):
        made = RandomDelete(0.9).augment_batch([text], [seed])[0]
        assert ("urine" if "urine" in text else "at least") in made


def test_a_sentence_keeps_its_first_word_when_words_are_deleted():
    for seed in range(20):
        made = RandomDelete(0.3).augment_batch(["Rapid house is merry. Brisk garden is happy."], [seed])[0]
        assert re.findall(r"[A-Z]\w+", made) == ["Rapid", "Brisk"]


def test_no_mark_parts_a_value_a_symbol_or_a_negation_from_what_follows():
    text = "study in vitro gave 12 doses of AUC house not rapid"
    for seed in range(40):
        made = Aeda(1.0).augment_batch([text], [seed])[0]
        for phrase in ("in vitro", "12 doses", "AUC house", "not rapid"):
            assert phrase in made


def test_a_capital_is_not_misread():
    for seed in range(40):
        made = OcrNoise(1.0).augment_batch(["The house was merry. Movie garden"], [seed])[0]
        assert [word[0] for word in made.split() if word[0].isupper()] == ["T", "M"]


def test_an_observed_misspelling_is_near_its_word():
    made = {SpellingNoise(1.0).augment_batch(["minor"], [seed])[0] for seed in range(60)}
    assert made and "mineral" not in made
