"""What every operator has to keep. A new one subclasses ``OperatorContract``.

Operators that rewrite whole sentences keep fewer laws: those of ``WholeTextContract``. Those that move sentences have
tests of their own.
"""

import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainables.augment.toy import FIXED, toy_text
from trainables.augment.english.changed import changed_share
from trainables.errors import ConfigurationError

ODD = [
    "",
    " ",
    "\n\t",
    "x",
    "movie",
    "Movie.",
    "12 34.5 67% 1e-9",
    "😀 🎉👩‍👩‍👧 ☃",
    "(movie)",
    "[movie house",
    "...",
    "a b c d",
    "ναί, φίλε μου",
    "映画 は 良い",
    "e\u0301tude movie\u200b film\u00ad house",
    "\ud800 movie house",
    "http://movie.house/film?a=1 me@house.movie #movie",
    "MOVIE HOUSE IS HAPPY",
    "not 5 mg",
    "cafe\u0301 movie &amp; house &quot;happy&quot; &#39;doctor&#39; R&amp;D",
    "שָׁלוֹם לכם movie مُحَمَّد ذهب إلى البيت",
    "\u202emovie\u202c house \u2066garden\u2069",
    "หนังเรื่องนี้ดีมาก ชอบมาก",
    "यह फिल्म बहुत अच्छी थी",
    "这个电影很好看。我很喜欢,真的!",
    "👨‍👩‍👧‍👦👍🏽🇩🇪1️⃣ movie❤️ house",
    "mo\u200bvie hou\u200dse \ufeffhappy gar\u00adden \u2060doctor",
    "https://movie.house/a?b=c&amp;d=e www.movie.house #happy @doctor",
    "1234567890 " * 20,
    "!?.,;:-–—…()[]{}<>|\\/*&^%$#@~`'\"",
    "m" * 5000,
    "&amp;&amp;&lt;movie&gt; &nbsp;house&nbsp; &unknown; &amp",
    "I\u0307stanbul ﬁlm ǆungla ß ŉ",
]
_WITH_MARKS = re.compile(r"[^\W\d_]*[\u0300-\u036f](?:[^\W\d_]|[\u0300-\u036f])*")
_ENTITIES = re.compile(r"&#?\w+;")


def _seconds(operator, text):
    started = time.perf_counter()
    operator.augment_batch([text], [1])
    return time.perf_counter() - started


class WholeTextContract:
    """Laws of every operator; ``make(strength)`` returns it over the toy vocabulary."""

    def make(self, strength):
        raise NotImplementedError

    def augment(self, text, seed=0, strength=0.3):
        return self.make(strength).augment_batch([text], [seed])[0]

    def test_the_result_depends_on_text_and_seed_alone(self):
        texts = [toy_text(i, n_words=25) for i in range(12)]
        seeds = [100 + i for i in range(12)]
        together = self.make(0.3).augment_batch(texts, seeds)
        alone = [self.augment(text, seed) for text, seed in zip(texts, seeds, strict=True)]
        backwards = self.make(0.3).augment_batch(texts[::-1], seeds[::-1])[::-1]
        assert together == alone == backwards

    def test_the_global_generator_neither_matters_nor_moves(self):
        random.seed(1)
        state = random.getstate()
        one = self.augment(toy_text(0))
        assert random.getstate() == state
        random.seed(2)
        assert self.augment(toy_text(0)) == one

    @pytest.mark.parametrize("strength", [0.1, 1.0])
    @pytest.mark.parametrize("text", ODD)
    def test_odd_input_never_comes_out_empty(self, text, strength):
        for seed in range(5):
            made = self.augment(text, seed, strength)
            assert isinstance(made, str)
            assert bool(made.strip()) == bool(text.strip())

    @pytest.mark.parametrize("strength", [0, -0.1, 1.01, float("nan")])
    def test_an_impossible_strength_is_a_configuration_fault(self, strength):
        with pytest.raises(ConfigurationError, match="strength"):
            self.make(strength)

    def test_texts_and_seeds_must_be_as_many(self):
        with pytest.raises(ValueError):
            self.make(0.1).augment_batch(["a", "b"], [1])

    def test_it_works_in_an_nlpaug_flow(self):
        import nlpaug.flow as naf

        text = toy_text(9)
        flow = naf.Sequential([self.make(0.1), self.make(0.1)])
        first, second = flow.augment(text)[0], flow.augment(text)[0]
        assert isinstance(first, str)
        assert len({text, first, second}) == 3

    def test_nlpaugs_own_interface_returns_one_text_per_text(self):
        texts = [toy_text(1), toy_text(2)]
        made = self.make(0.2).augment(texts)
        assert len(made) == 2
        assert all(a != b for a, b in zip(texts, made, strict=True))

    def test_any_text_gives_a_text(self):
        @settings(max_examples=100, deadline=None, database=None)
        @given(text=st.text(max_size=200), seed=st.integers(0, 2**63 - 1), strength=st.floats(0.01, 1))
        def law(text, seed, strength):
            made = self.make(strength).augment_batch([text], [seed])[0]
            assert bool(made.split()) == bool(text.split())
            assert sorted(re.findall(r"[0-9]", made)) == sorted(re.findall(r"[0-9]", text))

        law()


class OperatorContract(WholeTextContract):
    """Laws of a word operator.

    ``keeps_spacing`` says that as many words come out as go in, ``keeps_punctuation`` that no mark is inserted,
    ``keeps_first_letter`` that no letter at the start of a word is misread. ``long`` is the number of words of a text
    that the operator must still be quick with, or None.
    """

    keeps_spacing = True
    keeps_punctuation = True
    keeps_first_letter = True
    long = 26_000

    def strength_text(self, seed):
        """A text of 80 words, each of which may be changed."""
        return toy_text(seed, n_words=80, fixed=False)

    @pytest.mark.parametrize("strength", [0.05, 0.1, 0.3, 0.5])
    def test_the_share_of_changed_words_is_the_strength(self, strength):
        texts = [self.strength_text(i) for i in range(60)]
        made = self.make(strength).augment_batch(texts, range(60))
        shares = [changed_share(a, b) for a, b in zip(texts, made, strict=True)]
        assert sum(shares) / len(shares) == pytest.approx(strength, rel=0.2)
        assert max(shares) < 2.5 * strength

    @pytest.mark.parametrize("strength", [0.1, 1.0])
    def test_numerals_units_codes_and_negations_survive_in_order(self, strength):
        protected = re.compile("|".join(re.escape(fixed) for fixed in FIXED))
        for seed in range(30):
            text = toy_text(seed)
            made = self.augment(text, seed, strength)
            assert protected.findall(made) == protected.findall(text)

    def test_every_numeral_survives_wherever_it_stands(self):
        text = "In 3 movies (n=12) a dose of 0.5-1.5 mg/kg q12h gave 1,250 ng·h/mL; p<0.05, 95% CI: 1.1, 2.4."
        for seed in range(30):
            made = self.augment(text, seed, 1.0)
            assert re.findall(r"\d[\d.,]*", made) == re.findall(r"\d[\d.,]*", text)

    def test_other_seeds_bring_other_augmentations(self):
        made = self.make(0.3).augment_batch([toy_text(3)] * 20, range(20))
        assert len(set(made)) > 15

    def test_a_long_text_changes(self):
        text = toy_text(5)
        assert self.augment(text) != text

    def test_an_article_still_agrees(self):
        if not self.keeps_first_letter:
            pytest.skip("an article agrees with the word that was misread")
        texts = [
            "an orchard is a home or a movie",
            "a yard was an ingested dwelling",
            "see a doctor in an orchard",
        ]
        for seed in range(60):
            made = self.augment(texts[seed % 3], seed, 0.4).lower()
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou\W]", made)

    def test_line_breaks_and_spacing_survive(self):
        text = "  Movie house\n\nhappy  doctor\tgarden "
        made = self.augment(text, strength=0.2)
        assert made != text
        if self.keeps_spacing:
            assert re.findall(r"\s+", made) == re.findall(r"\s+", text)

    def test_punctuation_stays_in_place(self):
        if not self.keeps_punctuation:
            pytest.skip("it inserts marks")
        text = '"Movie house," the doctor (happy) said: garden; yard! Home?'
        for seed in range(30):
            made = self.augment(text, seed, 0.5)
            assert re.findall(r"[^\w\s]", made) == re.findall(r"[^\w\s]", text)

    def test_a_sentence_still_starts_with_a_capital(self):
        if not self.keeps_punctuation:
            pytest.skip("a mark that it inserts starts no sentence")
        text = "The movie house is happy. The doctor has a rapid garden. The kidney is merry."
        for seed in range(40):
            made = self.augment(text, seed, 0.4)
            assert all(s[0].isupper() for s in re.split(r"(?<=\.) ", made))

    @pytest.mark.parametrize(
        "text", ["", " ", "12 34.5 67%", "CYP3A4 14C", "😀", "not 5 mg", "[see Dosage (2.1)]"]
    )
    def test_where_nothing_may_change_the_text_comes_back_bit_for_bit(self, text):
        assert self.augment(text, strength=1.0) == text

    @pytest.mark.parametrize("strength", [0.1, 1.0])
    def test_combining_marks_and_entities_stay_whole(self, strength):
        text = "A cafe\u0301 movie &amp; a happy nai\u0308ve house; doctor&apos;s &quot;garden&quot; &lt; re\u0301sume."
        words = {"cafe\u0301", "nai\u0308ve", "re\u0301sume"}
        for seed in range(8):
            made = self.augment(text, seed, strength)
            assert set(_WITH_MARKS.findall(made.lower())) <= words
            assert _ENTITIES.findall(made) == _ENTITIES.findall(text)

    def test_time_grows_with_the_length_of_a_text_and_no_faster(self):
        if self.long is None:
            pytest.skip("its time is that of its model")
        operator = self.make(0.1)
        texts = {n: toy_text(0, n_words=n) for n in (self.long // 10, self.long)}
        for text in texts.values():  # words are looked up once
            assert operator.augment_batch([text], [0]) != [text]
        short, long = (min(_seconds(operator, text) for _ in range(3)) for text in texts.values())
        assert long < 40 * short + 0.1
