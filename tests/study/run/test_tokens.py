"""What is told of texts that the encoder cannot read, from the corpus to the plan's faults and remarks."""

from dataclasses import replace

import numpy as np
import pytest
from transformers import BertConfig, BertModel, BertTokenizerFast

from study.config.faults import study_faults
from study.config.study import StudyConfig
from study.run.tokens import token_facts, token_faults, token_remarks
from trainables.corpora.corpus import Corpus
from trainables.corpora.split_settings import SplitSettings
from trainables.prepared import prepare
from trainables.settings import EncoderSettings

CONFIG = StudyConfig(name="tabular", preset="smoke", corpus="tabular")
THAI = ["หนังดี", "หนังแย่", "ชอบมาก", "ไม่ชอบ", "สนุก", "น่าเบื่อ"]
ENGLISH = ["good", "bad", "film", "long", "dull", "fine"]


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    folder = tmp_path_factory.mktemp("english")
    signs = "cefnortu0123456789"
    entries = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *ENGLISH,
        *signs,
        *(f"##{sign}" for sign in signs),
    ]
    (folder / "vocab.txt").write_text("\n".join(entries))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(entries), **sizes)).save_pretrained(folder)
    return EncoderSettings(name=str(folder), max_length=12, device="cpu")


def ready(encoder, words, n=120, length=4):
    """n different texts of two classes, made of the given words."""
    rng = np.random.default_rng(0)
    texts = [" ".join([*rng.choice(words, length), str(i)]) for i in range(n)]
    rows = list(range(n))
    corpus = Corpus(texts, np.array(rows) % 2, [str(i) for i in rows], ("a", "b"), [""] * n, "a table")
    loose = SplitSettings(separate_near_duplicates=False)
    options = {"study_seed": 0, "max_validation_rows": None, "split_settings": loose}
    return prepare(corpus, encoder, **options)


def test_texts_that_the_encoder_knows_are_no_fault_and_the_shares_are_told(english):
    prepared = ready(english, ENGLISH)
    assert token_faults(CONFIG, english, prepared) == []
    (remark,) = token_remarks(english, prepared)
    assert "0 % of" in remark and "0 of 102 texts (0 %) hold none that is known" in remark
    assert token_facts(prepared)["unknown_share"] == 0


def test_an_encoder_of_another_language_is_a_fault_that_names_the_script_and_a_way_on(english):
    prepared = ready(english, THAI)
    (fault,) = token_faults(CONFIG, english, prepared)
    assert "mostly in Thai script" in fault and "At most 20 % was expected" in fault
    assert "xlm-roberta-base@REVISION" in fault and "--set max_unknown_share=1" in fault
    assert token_faults(replace(CONFIG, max_unknown_share=1.0), english, prepared) == []
    assert 0.5 < token_facts(prepared)["unknown_share"] < 0.9


def test_one_known_token_in_a_text_does_not_hide_that_most_are_unknown(english):
    prepared = ready(english, [*ENGLISH, *THAI, *THAI], length=9)
    assert prepared.coverage.texts_unknown == 0
    assert len(token_faults(CONFIG, english, prepared)) == 1


def test_the_tokens_of_the_test_texts_are_not_looked_at(english):
    prepared = ready(english, ENGLISH)
    assert prepared.coverage.texts == len(prepared.train_labels) + len(prepared.validation_labels) == 102


def test_unknown_words_in_latin_letters_point_to_the_tokenizer(english):
    (fault,) = token_faults(CONFIG, english, ready(english, ["Wort", "Satz", "Buch"]))
    assert "do_lower_case" in fault and "another model's" in fault


def test_texts_without_letters_are_told_apart_from_another_language(english):
    (fault,) = token_faults(CONFIG, english, ready(english, ["😀", "🎉", "☃️"], length=9))
    assert "no letters" in fault


def test_cut_texts_are_told(english):
    remarks = token_remarks(english, ready(english, ENGLISH, length=20))
    assert any("102 texts (100 %) fill max_length (12 tokens)" in remark for remark in remarks)


def test_texts_of_two_classes_with_the_same_tokens_are_told(english):
    long = ready(english, ["good"], length=20)  # the number that tells them apart is cut
    assert any("102 texts (100 %) have the very tokens" in remark for remark in token_remarks(english, long))


def test_stripped_accents_are_told_where_the_texts_have_them(english):
    remarks = token_remarks(english, ready(english, ["fẽrồn", "tờut", "cồn"]))
    assert any("strips accents" in remark for remark in remarks)
    assert not any("strips accents" in remark for remark in token_remarks(english, ready(english, ENGLISH)))


def test_words_that_fall_into_letters_are_told(english):
    prepared = ready(english, ["forcon", "tourne", "centuro"], length=2)
    assert token_faults(CONFIG, english, prepared) == []
    assert any("single letters inside words" in remark for remark in token_remarks(english, prepared))


def test_the_bound_is_no_part_of_what_a_study_is():
    assert replace(CONFIG, max_unknown_share=1.0).identity() == CONFIG.identity()
    assert "max_unknown_share is 0" in study_faults(replace(CONFIG, max_unknown_share=0))[0]
