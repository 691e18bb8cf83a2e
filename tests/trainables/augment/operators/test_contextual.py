import re
from collections import Counter

import numpy as np
import pytest
import torch

from tests.trainables.augment.contract import OperatorContract
from tests.trainables.augment.tiny_masked_lm import KINDS, tiny_bert, wordpiece, write_masked_lm
from tests.trainables.augment.toy import toy_text
from trainables.augment.english.opposites import are_opposed, has_opposite
from trainables.augment.english.word_forms import share_stem
from trainables.augment.models.masked_lm import MaskedLanguageModel
from trainables.augment.operators.contextual_insertion import ContextualInsertion
from trainables.augment.operators.contextual_substitution import ContextualSubstitution
from trainables.augment.registry import make_operator, option_faults, why_unavailable
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings


def masked_lm(kind):
    make_tokenizer, make_model = KINDS[kind]
    tokenizer = make_tokenizer()
    return MaskedLanguageModel(make_model(tokenizer), tokenizer)


MODELS = {kind: masked_lm(kind) for kind in KINDS}


class Substitution(OperatorContract):
    kind = "wordpiece"
    long = None  # such a text reaches it in part only, see trainables.augment.reach

    def make(self, strength):
        return ContextualSubstitution(MODELS[self.kind], strength)

    @pytest.mark.parametrize(("word", "cased"), [("movie", str.lower), ("Movie", str.capitalize)])
    def test_casing_survives(self, word, cased):
        made = self.augment(f"{word} is", strength=1.0).split()[0]
        assert made != word
        assert made == cased(made)

    def test_shouted_texts_stay_shouted(self):
        made = self.augment("THE MOVIE IS HAPPY", strength=1.0)
        assert made != "THE MOVIE IS HAPPY"
        assert made.isupper()

    def test_no_word_becomes_a_form_of_itself_its_opposite_or_its_neighbour(self):
        text = "increased trees begin increased tree start decreased movies"
        for seed in range(40):
            made = self.augment(text, seed, 0.5)
            for before, after in zip(text.split(), made.split(), strict=True):
                assert before == after or not (share_stem(before, after) or are_opposed(before, after))
            assert not re.search(r"\b(\w+) \1\b", made)

    def test_function_words_stay_and_none_is_written(self):
        text = "the movie of the doctor is said in a house and not for me"
        for seed in range(20):
            made = self.augment(text, seed, 1.0)
            kept = [
                i for i, word in enumerate(text.split()) if word not in ("movie", "doctor", "said", "house")
            ]
            assert [made.split()[i] for i in kept] == [text.split()[i] for i in kept]

    def test_words_in_pieces_are_the_last_to_be_replaced_and_go_as_a_whole(self):
        text = "movie simvastatin doctor (hydrolyzed), garden"
        for seed in range(20):
            made = self.augment(text, seed, 0.6)
            assert made.split()[1] == "simvastatin"
            assert made.split()[3] == "(hydrolyzed),"
        made = self.augment(text, strength=1.0)
        assert re.fullmatch(r"\w+ \w+ \w+ \(\w+\), \w+", made)
        assert "simvastatin" not in made
        assert "hydrolyzed" not in made

    def test_a_possessive_keeps_its_ending(self):
        assert re.fullmatch(r"the \w+'s \w+", self.augment("the doctor's house", strength=0.6))


class TestSubstitutionWithWordPiece(Substitution):
    pass


class TestSubstitutionWithByteLevelBpe(Substitution):
    kind = "byte_level_bpe"


class TestSubstitutionWithSentencePiece(Substitution):
    kind = "sentencepiece"


class Insertion(OperatorContract):
    kind = "wordpiece"
    long = None

    def make(self, strength):
        return ContextualInsertion(MODELS[self.kind], strength)

    def changed_words(self, before, after):
        return len(after.split()) - len(before.split())

    def strength_text(self, seed):
        return toy_text(seed, n_words=80, fixed=False).replace(".", ",")

    def test_line_breaks_and_spacing_survive(self):
        text = "  Movie house\n\nhappy  doctor\tgarden "
        made = self.augment(text, strength=0.2)
        assert re.fullmatch(r"  Movie (\w+ )?house\n\n(\w+ )?happy  (\w+ )?doctor\t(\w+ )?garden ", made)
        assert made != text

    def test_all_words_stay_in_their_order_and_no_sentence_gets_a_new_start(self):
        for seed in range(30):
            text = toy_text(seed)
            made = self.augment(text, seed, 0.5)
            left = iter(made.split())
            assert all(word in left for word in text.split())
            for before, after in zip(re.split(r"(?<=\.) ", text), re.split(r"(?<=\.) ", made), strict=True):
                assert before.split()[0] == after.split()[0]

    def test_nothing_is_inserted_between_what_belongs_together(self):
        text = "not 12.5 mg/L of CYP3A4 and C max of 14C [see Table 2] within 7 days"
        assert self.augment(text, strength=1.0) == text

    def test_what_is_inserted_takes_no_side_and_stands_inside_the_brackets(self):
        for seed in range(40):
            made = self.augment("the (movie), HOUSE of garden", seed, 1.0)
            found = re.fullmatch(r"the \((\w+) movie\), HOUSE of (\w+) garden", made)
            assert found
            assert not has_opposite(found[1])
            assert found[1] != "movie"

    def test_shouted_texts_stay_shouted(self):
        made = self.augment("THE MOVIE IS HAPPY", strength=1.0)
        assert made != "THE MOVIE IS HAPPY"
        assert made.isupper()


class TestInsertionWithWordPiece(Insertion):
    pass


class TestInsertionWithByteLevelBpe(Insertion):
    kind = "byte_level_bpe"


class TestInsertionWithSentencePiece(Insertion):
    kind = "sentencepiece"


def test_words_are_drawn_with_the_probabilities_of_the_model():
    tokenizer = wordpiece()
    model = MODELS["wordpiece"]
    n = 4000
    operator = ContextualSubstitution(model, 0.2)
    made = Counter(
        text.split()[2] for text in operator.augment_batch(["the happy movie is mg"] * n, range(n))
    )
    # The other word that may change is "happy"; only the draws that changed "movie" count.
    del made["movie"]
    ids = torch.tensor([tokenizer("the happy [MASK] is mg")["input_ids"]])
    with torch.inference_mode():
        logits = tiny_bert(tokenizer)(input_ids=ids).logits[0, 3].numpy()
    fitting = [
        (word, logits[index])
        for word, index in zip(model.words, model.token_ids, strict=True)
        if word not in ("movie", "happy", "movies")
    ]
    weights = np.exp([logit for _, logit in fitting])
    expected = weights / weights.sum() * sum(made.values())
    observed = np.array([made[word] for word, _ in fitting])
    assert observed.sum() == sum(made.values()) > n / 3
    often = expected >= 5
    chi_square = (((observed - expected) ** 2) / expected)[often].sum()
    assert chi_square < often.sum() + 4 * np.sqrt(2 * often.sum())


@pytest.mark.parametrize("operator", [ContextualSubstitution, ContextualInsertion])
def test_an_article_agrees_with_the_word_written_after_it(operator):
    texts = ["see an orchard and a movie or a yard"] * 200
    for made in operator(MODELS["wordpiece"], 0.5).augment_batch(texts, range(200)):
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", made)


def test_top_k_bounds_the_choice():
    made = {}
    for top_k in (3, 100):
        operator = ContextualSubstitution(MODELS["wordpiece"], 0.2, top_k=top_k)
        made[top_k] = {
            text.split()[1] for text in operator.augment_batch(["the movie is mg"] * 300, range(300))
        }
    assert len(made[3]) <= 3 < len(made[100])


def test_later_passes_see_what_earlier_ones_wrote():
    """With one mask a pass, the second word is drawn given the first one written."""
    text = "the happy movie is"
    one_by_one = ContextualSubstitution(MODELS["wordpiece"], 0.5, masked_at_once=0.25)
    at_once = ContextualSubstitution(MODELS["wordpiece"], 0.5, masked_at_once=1.0)
    first = one_by_one.augment_batch([text] * 100, range(100))
    second = at_once.augment_batch([text] * 100, range(100))
    assert not any({"movie", "happy"} & set(made.split()) for made in first + second)
    assert sum(a != b for a, b in zip(first, second, strict=True)) > 20


def test_a_bound_on_masks_a_pass_holds():
    seen = []

    class Watched(MaskedLanguageModel):
        def propose(self, windows, top_k):
            seen.append([len(window.masked) for window in windows])
            return super().propose(windows, top_k)

    tokenizer = wordpiece()
    operator = ContextualSubstitution(Watched(tiny_bert(tokenizer), tokenizer), 0.5)
    operator.augment_batch([toy_text(0, n_words=40, fixed=False)], [0])
    assert len(seen) == 4  # 20 words, at most 15 % of 40 a pass
    assert all(0 < sum(masks) <= 6 for masks in seen)


def test_texts_longer_than_the_models_window_change_all_over():
    text = toy_text(0, n_words=2000, fixed=False)
    for operator in (ContextualSubstitution, ContextualInsertion):
        made = operator(MODELS["wordpiece"], 0.3).augment_batch([text], [0])[0]
        tail = text.split()[-200:]
        assert made.split()[-200:] != tail
        assert made.split()[:200] != text.split()[:200]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_batches_do_not_change_words_in_any_precision(precision):
    tokenizer = wordpiece()
    model = MaskedLanguageModel(
        tiny_bert(tokenizer, hidden_size=64, intermediate_size=256, initializer_range=0.1),
        tokenizer,
        precision=precision,
    )
    operator = ContextualSubstitution(model, 0.3)
    texts = [toy_text(i, n_words=5 + 3 * i) for i in range(40)]
    together = operator.augment_batch(texts, range(40))
    assert together == [operator.augment_batch([text], [i])[0] for i, text in enumerate(texts)]
    assert together[7:30] == operator.augment_batch(texts[7:30], range(7, 30))


@pytest.mark.parametrize("name", ["contextual_substitution", "contextual_insertion"])
def test_made_by_name(name, tmp_path):
    folder = str(write_masked_lm(tmp_path / "masked_lm"))
    options = {"model": folder, "top_k": 20}
    assert option_faults({name: options}) == []
    assert why_unavailable(name, options) is None
    assert why_unavailable(name, encoder=EncoderSettings(name=folder)) is None
    assert "bert-base-uncased" in why_unavailable(name)
    assert "config.json" in why_unavailable(name, {"model": str(tmp_path)})
    made = make_operator(name, 0.3, EncoderSettings(device="cpu"), options).augment_batch([toy_text(0)], [0])
    own = make_operator(name, 0.3, EncoderSettings(name=folder, device="cpu")).augment_batch(
        [toy_text(0)], [0]
    )
    assert made != [toy_text(0)]
    assert own != [toy_text(0)]
    with pytest.raises(ConfigurationError, match=f"{name} needs a masked language model"):
        make_operator(name, 0.3, EncoderSettings())


def test_impossible_options_are_all_named():
    with pytest.raises(ConfigurationError) as caught:
        ContextualSubstitution(MODELS["wordpiece"], 0.1, top_k=0, temperature=0, masked_at_once=2)
    assert [fault.split()[1] for fault in caught.value.faults] == ["top_k", "temperature", "masked_at_once"]
