"""Back-translation through several languages, by either engine."""

import collections

import numpy as np
import pytest
import torch

from tests.trainables.augment import fake_apertium
from tests.trainables.augment.contract import WholeTextContract
from tests.trainables.augment.models.test_apertium import needs_apertium
from tests.trainables.augment.tiny_translator import tiny_fsmt, tiny_marian, write_tiny_translator
from trainables.augment.models.apertium import open_translator
from trainables.augment.operators.back_translation import BackTranslation, Pivot, build
from trainables.augment.operators.pivots import option_faults
from trainables.augment.registry import OPERATORS, make_operator, operator_identity, why_unavailable
from trainables.augment.registry import option_faults as all_faults
from trainables.augment.stage1_set import DrawnRows, build_stage1_set
from trainables.augment.turns import augment_copies
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings

NAME = "back_translation"
SENTENCE = "The drug was rapidly excreted at 5 mg."
TEXT = f"{SENTENCE} It rapidly left.\n\nThe wall is rapidly gone."
SPANISH, CATALAN = TEXT.replace("rapidly", "quickly"), TEXT.replace("rapidly", "hastily")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    log = fake_apertium.install(tmp_path)
    fake_apertium.use(monkeypatch, tmp_path)
    open_translator.cache_clear()
    yield log
    open_translator.cache_clear()


@pytest.fixture
def one_thread():
    """Tiny models only lose by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(strength=1.0, **options):
    return make_operator(NAME, strength, EncoderSettings(device="cpu"), options)


class Says:
    """Translates every sentence by putting a word before it, or makes nothing of it."""

    def __init__(self, word):
        self.word = word
        self.asked = 0

    def translate(self, sentences, keys):
        self.asked += len(sentences)
        return [self.word and f"{self.word} {sentence}" for sentence in sentences]


class Same:
    def translate(self, sentences, keys):
        return list(sentences)


def spoken(*words, draws=False):
    return BackTranslation([Pivot(Same(), Says(word)) for word in words], 1.0, draws=draws)


def first_words(operator, texts, numbers):
    return [made.split()[0] for made in augment_copies(operator, texts, range(len(texts)), numbers)]


def test_the_copies_of_a_text_take_turns_at_the_pivots():
    turns = first_words(spoken("a", "b", "c"), [SENTENCE] * 7, range(7))
    start = turns[:3]
    assert sorted(start) == ["a", "b", "c"]
    assert turns == (start * 3)[:7]


def test_first_copies_of_many_texts_are_spread_too():
    texts = [f"The drug number {i} left." for i in range(400)]
    count = collections.Counter(first_words(spoken("a", "b"), texts, [0] * 400))
    assert count["a"] == pytest.approx(200, abs=40)
    assert (
        first_words(spoken("a", "b"), texts[::-1], [0] * 400)
        == first_words(spoken("a", "b"), texts, [0] * 400)[::-1]
    )


def test_without_a_number_the_seed_draws_the_pivot():
    made = spoken("a", "b").augment_batch([SENTENCE] * 200, range(200))
    assert collections.Counter(text.split()[0] for text in made)["a"] == pytest.approx(100, abs=30)


def test_what_one_pivot_spoils_another_one_translates():
    operator = spoken("", "b")
    assert first_words(operator, [SENTENCE] * 2, [0, 1]) == ["b", "b"]
    assert (operator.rejected, operator.unchanged) == (1, 0)


@pytest.mark.parametrize(("draws", "asked"), [(False, 1), (True, 3)])
def test_a_pivot_that_draws_nothing_is_asked_once(draws, asked):
    says = Says("")
    operator = BackTranslation([Pivot(Same(), says)], 1.0, draws=draws)
    assert operator.augment_batch([SENTENCE], [0]) == [SENTENCE]
    assert (says.asked, operator.unchanged) == (asked, 1)


def test_in_a_stage_1_set_every_row_goes_through_every_pivot(fake):
    texts = [f"The drug number {i} rapidly left." for i in range(12)]
    rows = DrawnRows(texts, np.repeat([0, 1], 6), 2)
    made = build_stage1_set("augmented_natural", rows, make(), copies=2, seed=0)
    for row, text in enumerate(texts):
        copies = {copy for copy, source in zip(made.texts, made.source_rows, strict=True) if source == row}
        assert copies == {text.replace("rapidly", "quickly"), text.replace("rapidly", "hastily")}
    assert made.near_copies_dropped == made.unchanged == 0
    single = build_stage1_set("augmented_natural", rows, make(), copies=1, seed=0)
    assert 2 < sum("quickly" in text for text in single.texts) < 10


def test_a_near_copy_is_made_again_through_another_pivot():
    class Once:
        """Gives an exact copy of the first augmentation whenever it is the second one's turn."""

        def __init__(self):
            self.turns = []

        def augment_batch(self, texts, seeds):
            raise AssertionError("it takes turns")

        def augment_copies(self, texts, seeds, numbers):
            self.turns.append(list(numbers))
            return [
                f"{text} {'one way' if number < 2 else 'another road'}"
                for text, number in zip(texts, numbers, strict=True)
            ]

    operator = Once()
    rows = DrawnRows(["the drug left", "it left"], np.array([0, 1]), 2)
    made = build_stage1_set("augmented_natural", rows, operator, copies=2, seed=0)
    assert operator.turns == [[0, 1, 0, 1], [2, 2]]
    assert made.near_copies_dropped == 2
    assert made.near_copies_kept == 0


def test_apertium_goes_through_spanish_and_catalan_unless_told_otherwise(fake):
    made = augment_copies(make(), [TEXT] * 2, [0, 0], [0, 1])
    assert set(made) == {SPANISH, CATALAN}
    assert make(pivots=["ca"]).augment_batch([TEXT], [0]) == [CATALAN]
    assert make(engine="apertium", pivots=["es"]).augment_batch([TEXT], [0]) == [SPANISH]


def test_what_the_encoder_cannot_read_is_not_translated_and_the_rest_still_takes_turns(fake):
    operator = make_operator(NAME, 1.0, EncoderSettings(device="cpu", max_length=6), {})
    text = "It rapidly left. " * 8
    made = augment_copies(operator, [text] * 2, [0, 0], [0, 1])
    assert {copy.split()[1] for copy in made} == {"quickly", "hastily"}
    assert all(copy.endswith("It rapidly left. ") for copy in made)


def test_one_process_a_direction_serves_all_operators(fake):
    for strength in (0.1, 0.5, 1.0):
        make(strength).augment_batch([TEXT, SENTENCE], [0, 1])
    assert sorted(set(fake.read_text().split())) == sorted(fake.read_text().split())


@pytest.mark.parametrize("kind", [tiny_fsmt, tiny_marian])
def test_models_take_turns_and_beams_give_one_variant_a_pivot(tmp_path, kind, one_thread):
    models = {
        way: write_tiny_translator(tmp_path / way, seed, kind)
        for seed, way in enumerate(("en-de", "de-en", "en-ru", "ru-en"))
    }
    text = "the drug was absorbed and it left the house"
    beam = make(models=models, pivots=["de", "ru"], decoding="beam")
    made = augment_copies(beam, [text] * 4, range(4), range(4))
    assert made[:2] * 2 == made
    identity = operator_identity(NAME, {"models": models})
    assert "transformers/sample/de:" in identity and "/ru:" in identity
    assert operator_identity(NAME, {"models": models, "decoding": "beam"}) != identity
    assert operator_identity(NAME, {"models": models, "pivots": ["ru", "de"]}) != identity


def test_the_published_kind_of_tokenizer_works(tmp_path):
    pytest.importorskip("sacremoses", reason="FSMT's tokenizer needs sacremoses, which is not installed")
    import json

    from transformers import FSMTTokenizer

    letters = [chr(c) for c in range(97, 123)]
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *letters, *[f"{c}</w>" for c in letters], "th", "the</w>"]
    for name in ("vocab-src.json", "vocab-tgt.json"):
        (tmp_path / name).write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (tmp_path / "merges.txt").write_text("t h 2\nth e</w> 1\n\n")
    paths = [str(tmp_path / name) for name in ("vocab-src.json", "vocab-tgt.json", "merges.txt")]
    tokenizer = FSMTTokenizer(
        langs=["en", "de"], src_vocab_file=paths[0], tgt_vocab_file=paths[1], merges_file=paths[2]
    )
    assert tokenizer.decode(tokenizer("the the")["input_ids"], skip_special_tokens=True) == "the the"


def test_the_identity_names_engine_pairs_and_their_versions(fake):
    identity = operator_identity(NAME)
    assert identity.startswith(f"{NAME}/{OPERATORS[NAME].version}/apertium/Apertium 0.0.1/eng-spa:")
    assert identity.count(":") == 4
    assert operator_identity(NAME, {"pivots": ["es"]}).count(":") == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"engine": "google"},
            "'engine' of the operator back_translation is 'google': expected one of apertium, transformers",
        ),
        ({"pivots": ["de"]}, "'de', for which Apertium has no pair with English here: it takes es and ca"),
        ({"pivots": ["es", "xx"]}, "'xx'"),
        ({"pivots": []}, "a list of language codes"),
        ({"pivots": "es"}, "a list of language codes"),
        ({"pivots": ["es", "es"]}, "each once"),
        ({"pivots": ["en"], "models": {"en-de": "a", "de-en": "b"}}, "own language"),
        ({"pivots": [5]}, "a list of language codes"),
        ({"engine": "apertium", "models": {"en-de": "a", "de-en": "b"}}, "leave one of the two out"),
        ({"pivots": ["es"], "temperature": 0.7}, "'temperature'"),
        ({"engine": "transformers"}, "facebook/wmt19-en-de@COMMIT"),
        ({"engine": "transformers", "pivots": ["de"]}, "facebook/wmt19-en-de@COMMIT"),
        ({"models": {"en-de": "a"}}, "has no 'de-en' (German to English)"),
        (
            {"models": {"en-de": "a", "de-en": "b"}, "pivots": ["de", "ru"]},
            "has no 'en-ru' (English to Russian)",
        ),
        ({"models": {"en-de": "a", "de-en": "b", "en-ru": "c", "ru-en": "d"}, "pivots": ["de"]}, "no pivot"),
        ({"models": {"german": "a"}}, "'german'"),
        ({"models": []}, "an object of directions"),
        ({"models": {"en-de": "a", "de-en": "b"}, "forward": "c"}, "exclude each other"),
        ({"forward": "a"}, "'backward' of the operator back_translation is missing"),
        ({"models": {"en-de": "a", "de-en": "b"}, "decoding": "greedy"}, "sample, beam"),
        ({"models": {"en-de": "a", "de-en": "b"}, "temperature": 0}, "a number above 0"),
        ({"models": {"en-de": "a", "de-en": "b"}, "top_k": True}, "a whole number from 1 on"),
        (
            {"models": {"en-de": "a", "de-en": "b"}, "decoding": "beam", "top_k": 3},
            "a beam search draws nothing",
        ),
    ],
)
def test_wrong_options_are_faults_wherever_the_study_runs(options, said):
    faults = all_faults({NAME: options})
    assert said in faults[0]
    assert all(fault.endswith(".") for fault in faults)
    with pytest.raises(ConfigurationError):
        make(**options)


def test_all_wrong_options_are_told_at_once():
    models = {"en-de": "a"}
    assert len(option_faults(models=models, decoding="x", temperature=-1, top_k=0)) == 4


def test_what_is_missing_comes_with_the_command_that_installs_it(tmp_path, monkeypatch):
    fake_apertium.use(monkeypatch, None)
    reason = why_unavailable(NAME)
    assert "`apt install apertium apertium-eng-spa apertium-eng-cat`" in reason
    assert "facebook/wmt19-en-de@COMMIT" in reason
    assert "apertium-eng-spa`" in why_unavailable(NAME, {"pivots": ["es"]})
    with pytest.raises(ConfigurationError, match="apt install"):
        make()
    with pytest.raises(ConfigurationError, match="apt install"):
        operator_identity(NAME)
    fake_apertium.install(tmp_path, pairs=("spa",))
    fake_apertium.use(monkeypatch, tmp_path)
    reason = why_unavailable(NAME)
    assert "lacks the modes eng-cat, cat-eng" in reason
    assert "`apt install apertium-eng-cat`" in reason
    assert "`pivots` without ca" in reason
    assert why_unavailable(NAME, {"pivots": ["es"]}) is None


def test_missing_models_and_tokenizers_are_explained(tmp_path, monkeypatch):
    reason = why_unavailable(NAME, {"forward": "a/b", "backward": "/no/folder"})
    assert "'forward'" in reason and "'backward'" in reason
    models = {"en-de": "facebook/wmt19-en-de@0123", "de-en": "facebook/wmt19-de-en"}
    monkeypatch.setattr("trainables.augment.operators.back_translation.find_spec", lambda name: None)
    reason = why_unavailable(NAME, {"models": models})
    assert "'models de-en'" in reason and "'models en-de'" not in reason
    assert "`pip install sacremoses`" in reason
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02 no pickle goes on like this")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        make(forward=str(tmp_path), backward=str(tmp_path))


class TestContract(WholeTextContract):
    @pytest.fixture(autouse=True)
    def _fake(self, fake):
        pass

    def make(self, strength):
        return build(strength, EncoderSettings(device="cpu"))


@needs_apertium
class TestRealContract(WholeTextContract):
    def make(self, strength):
        return build(strength, EncoderSettings(device="cpu"))
