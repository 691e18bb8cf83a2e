import numpy as np
import pytest
import torch

from tests.trainables.augment.tiny_translator import (
    WORDS,
    tiny_fsmt,
    tiny_marian,
    tiny_model,
    tiny_tokenizer,
    write_tiny_translator,
)
from trainables.augment.english.sentences import split_sentences
from trainables.augment.models.translator import BEAMS, GumbelNoise, Translator
from trainables.augment.operators.back_translation import BackTranslation, Pivot
from trainables.augment.registry import make_operator, operator_identity, why_unavailable
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny models only lose by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


SENTENCES = [f"The drug {name} was rapidly absorbed at {i} mg." for i, name in enumerate("klmnopqrst")]
TEXT = " ".join(SENTENCES)


class Reversing:
    """Translates by reversing the words; ``spoil`` says what it makes of the attempts on a sentence, in turn."""

    def __init__(self, spoil=()):
        self.spoil = list(spoil)
        self.seen = []

    def translate(self, sentences, keys):
        self.seen.append(list(zip(sentences, keys, strict=True)))
        made = [" ".join(sentence.split()[::-1]) for sentence in sentences]
        return [self.spoil.pop(0)(sentence) if self.spoil else sentence for sentence in made]


class Synonyms:
    """Translates back by reversing the words, with another word for one of them."""

    def translate(self, sentences, keys):
        return [" ".join(s.split()[::-1]).replace("rapidly", "quickly") for s in sentences]


def operator(strength=0.3, forward=None, backward=None):
    return BackTranslation([Pivot(forward or Reversing(), backward or Synonyms())], strength)


@pytest.mark.parametrize(("strength", "n"), [(0.05, 1), (0.1, 1), (0.3, 3), (0.5, 5), (1.0, 10)])
def test_the_strength_is_the_share_of_the_words_whose_sentences_are_translated(strength, n):
    for seed in range(10):
        made = operator(strength).augment_batch([TEXT], [seed])[0]
        assert made.count("quickly") == n
        assert made.replace("quickly", "rapidly") == TEXT


def test_other_seeds_translate_other_sentences():
    assert len(set(operator(0.1).augment_batch([TEXT] * 50, range(50)))) == 10


def test_all_sentences_of_all_texts_go_in_one_call():
    forward = Reversing()
    operator(1.0, forward).augment_batch([TEXT, SENTENCES[0]], [0, 1])
    assert [len(call) for call in forward.seen] == [11]


def test_white_space_and_line_breaks_survive():
    text = "  The drug was rapidly absorbed.  It was\trapidly gone.\n\nIt rapidly left\n"
    made = operator(1.0).augment_batch([text], [0])[0]
    assert made == "  The drug was quickly absorbed.  It was quickly gone.\n\nIt quickly left\n"


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda s: s.replace("0", "O"),
        lambda s: s.replace("mg.", "mL."),
        lambda s: "not " + s,
        lambda s: s.replace("0 ", ""),
        lambda s: "",
        lambda s: None,
        lambda s: "Sorry.",
    ],
)
def test_a_sentence_that_lost_a_value_is_drawn_again_and_in_the_end_left_as_it_was(spoilt):
    forward = Reversing([spoilt, spoilt])
    once = operator(1.0, forward)
    assert "quickly" in once.augment_batch([SENTENCES[0]], [0])[0]
    assert (once.rejected, once.unchanged) == (2, 0)
    assert len({key for call in forward.seen for _, key in call}) == 3
    never = operator(1.0, Reversing([spoilt] * 3))
    assert never.augment_batch([SENTENCES[0]], [0]) == [SENTENCES[0]]
    assert (never.rejected, never.unchanged) == (3, 1)


def test_a_translation_that_says_the_same_words_is_no_augmentation():
    same = operator(1.0, backward=Reversing())
    assert same.augment_batch([SENTENCES[0]], [0]) == [SENTENCES[0]]
    assert same.unchanged == 1


@pytest.mark.parametrize("text", ["", " ", "x", "12 34.5 67%", "...", "\n"])
def test_what_cannot_be_translated_comes_back_bit_for_bit(text):
    assert operator(1.0).augment_batch([text], [0]) == [text]


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("One thing. Another thing! A third? (Yes.) 5 mg.", 5),
        ("Given e.g. daily, approx. three", 1),
        ("Line one\nline two", 2),
        ("", 0),
    ],
)
def test_sentences(text, n):
    parts = split_sentences(text)
    assert "".join(parts) == text
    assert sum(bool(part.strip()) for part in parts) == n


def test_it_works_in_an_nlpaug_flow():
    import nlpaug.flow as naf

    flow = naf.Sequential([operator(0.1)])
    assert "quickly" in flow.augment(TEXT)[0]


def test_texts_and_seeds_must_be_as_many_and_strength_possible():
    with pytest.raises(ValueError):
        operator().augment_batch(["a", "b"], [1])
    with pytest.raises(ConfigurationError, match="strength"):
        operator(1.5)


def random_sentences(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=int(rng.integers(2, 40)))) for _ in range(n)]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_translation_depends_on_sentence_and_key_alone(precision):
    translator = Translator(tiny_model(), tiny_tokenizer(), precision=precision)
    sentences, keys = random_sentences(40), [2**40 + i for i in range(40)]
    together = translator.translate(sentences, keys)
    assert sum(made is not None for made in together) > 20
    backwards = translator.translate(sentences[::-1], keys[::-1])[::-1]
    alone = [translator.translate([s], [key])[0] for s, key in zip(sentences[:8], keys, strict=False)]
    assert together == backwards
    assert together[:8] == alone
    assert translator.translate(sentences, [key + 1 for key in keys]) != together
    torch.manual_seed(5)
    assert translator.translate(sentences[:3], keys[:3]) == together[:3]


@pytest.mark.parametrize("step", [1, 2])
def test_tokens_are_drawn_with_the_models_probabilities_at_a_temperature(step):
    n, temperature, top_k = 20_000, 0.8, 5
    logits = torch.tensor([0.1, 2.0, 1.0, -1.0, 0.9, 0.5, 1.5])
    noise = GumbelNoise(range(n), temperature, top_k)
    drawn = noise(torch.zeros(n, step, dtype=torch.long), logits.expand(n, -1)).argmax(dim=1)
    best, which = logits.topk(top_k)
    expected = torch.zeros(7).scatter(0, which, torch.softmax(best / temperature, dim=0))
    assert torch.allclose(torch.bincount(drawn, minlength=7) / n, expected, atol=0.015)
    again = noise(torch.zeros(n, 3, dtype=torch.long), logits.expand(n, -1)).argmax(dim=1)
    assert (again == drawn).float().mean() == pytest.approx(float((expected**2).sum()), abs=0.02)


# Of these seeds some translations end before the model's longest.
@pytest.mark.parametrize(("make", "seed"), [(tiny_model, 3), (tiny_fsmt, 4), (tiny_marian, 5)])
def test_a_beam_search_gives_a_sentence_one_translation_whatever_its_key_or_batch(make, seed):
    sentences = random_sentences(12)
    beam = Translator(make(seed), tiny_tokenizer(), sampling=None)
    made = beam.translate(sentences, range(12))
    assert len(set(made)) > 2
    assert beam.translate(sentences[::-1], [7] * 12)[::-1] == made
    assert Translator(make(seed), tiny_tokenizer()).translate(sentences, range(12)) != made


@pytest.mark.parametrize(("named", "used"), [(3, 3), (None, BEAMS), (1, BEAMS)])
def test_a_beam_search_has_the_checkpoints_width_and_is_never_greedy(monkeypatch, named, used):
    model = tiny_model(3)
    model.generation_config.num_beams = named
    widths = []
    generate = model.generate
    monkeypatch.setattr(
        model,
        "generate",
        lambda **given: widths.append(given["generation_config"].num_beams) or generate(**given),
    )
    Translator(model, tiny_tokenizer(), sampling=None).translate(["the drug"], [0])
    Translator(model, tiny_tokenizer()).translate(["the drug"], [0])
    assert widths == [used, 1]


def test_what_is_longer_than_the_model_can_is_not_cut():
    translator = Translator(tiny_model(), tiny_tokenizer())
    assert translator.translate(["drug " * 100, "the drug"], [0, 1])[0] is None


def test_made_by_name_from_two_folders(tmp_path):
    options = {
        "forward": write_tiny_translator(tmp_path / "forward", 1),
        "backward": write_tiny_translator(tmp_path / "backward", 2),
    }
    assert why_unavailable("back_translation", options) is None
    first = make_operator("back_translation", 1.0, EncoderSettings(device="cpu"), options)
    texts = ["the drug was absorbed", "the doctor is happy"]
    made = first.augment_batch(texts, [0, 1])
    assert all(text.strip() for text in made)
    assert made == make_operator(
        "back_translation", 1.0, EncoderSettings(device="cpu"), options
    ).augment_batch(texts, [0, 1])
    before = operator_identity("back_translation", options)
    options["backward"] = write_tiny_translator(tmp_path / "other", 3)
    assert operator_identity("back_translation", options) != before
