"""Tokenizers that are missing, broken, or of another model, and what their entries say of a text."""

import shutil

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    BertTokenizerFast,
    GPT2Config,
    GPT2Model,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from trainables.model.encoder import encoder_faults
from trainables.model.tokenizer import strips_accents, token_kinds
from trainables.settings import EncoderSettings
from trainables.texts.coverage import TokenKind

_SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 40,
}
FAMILIES = {
    "bert": (BertConfig, BertModel, _SMALL),
    "roberta": (RobertaConfig, RobertaModel, _SMALL),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaModel, _SMALL),
    "albert": (AlbertConfig, AlbertModel, _SMALL | {"embedding_size": 8}),
    "mpnet": (MPNetConfig, MPNetModel, _SMALL),
    "modernbert": (ModernBertConfig, ModernBertModel, _SMALL | {"pad_token_id": 0}),
    "gpt2": (
        GPT2Config,
        GPT2Model,
        {"vocab_size": 40, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 40},
    ),
    "t5": (
        T5Config,
        T5EncoderModel,
        {"vocab_size": 40, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8, "d_ff": 16},
    ),
}


def faults_of(folder):
    return encoder_faults(EncoderSettings(name=str(folder), max_length=16, device="cpu"))


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_without_a_tokenizer_are_refused(tmp_path, family):
    config, model, sizes = FAMILIES[family]
    model(config(**sizes)).save_pretrained(tmp_path)
    assert any(f"encoder {str(tmp_path)!r} has no tokenizer" in fault for fault in faults_of(tmp_path))


def test_a_tokenizer_configuration_alone_is_no_tokenizer(tiny_folder, tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer_config.json"):
        shutil.copy(tiny_folder / name, tmp_path)
    (fault,) = faults_of(tmp_path)
    assert "has no tokenizer" in fault and "vocab.txt" in fault and "save_pretrained" in fault


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "{}", '{"version": "1.0", "model": {"type": "Wor'],
    ids=["empty", "text", "none", "cut"],
)
def test_a_tokenizer_that_cannot_be_read_is_a_fault(tiny_folder, tmp_path, content):
    shutil.copytree(tiny_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / "tokenizer.json").write_text(content)
    (fault,) = faults_of(tmp_path)
    assert "cannot be read" in fault and "tokenizer.json" in fault and len(fault) < 600


def test_a_tokenizer_of_another_model_has_more_entries_than_there_are_embeddings(tmp_path):
    words = [f"w{i}" for i in range(60)]
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    BertModel(BertConfig(**_SMALL)).save_pretrained(tmp_path)
    (fault,) = faults_of(tmp_path)
    assert "embeddings for 40 tokens" in fault and "25 entries beyond them ('w35', 'w36', 'w37', …)" in fault


def test_added_tokens_without_embeddings_are_refused(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path, dirs_exist_ok=True)
    tokenizer = BertTokenizerFast.from_pretrained(tmp_path)
    tokenizer.add_tokens([f"[NEW{i}]" for i in range(40)])  # the model has embeddings for 100
    tokenizer.save_pretrained(tmp_path)
    (fault,) = faults_of(tmp_path)
    assert "5 entries beyond them ('[NEW35]'" in fault and "resize_token_embeddings" in fault


def test_a_tokenizer_that_fits_is_no_fault(tiny_folder):
    assert faults_of(tiny_folder) == []


def byte_level():
    alphabet = sorted(bytes_to_unicode().values())
    entries = {token: i for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *alphabet, "Ġt", "à¸"])}
    backend = Tokenizer(models.BPE(entries, [("Ġ", "t"), ("à", "¸")], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def kinds_of(tokenizer, text):
    return [TokenKind(kind).name for kind in token_kinds(tokenizer)[tokenizer(text)["input_ids"]]]


def test_a_byte_level_vocabulary_writes_what_it_lacks_in_parts_of_characters():
    assert kinds_of(byte_level(), "to") == ["KNOWN", "LETTER"]
    assert set(kinds_of(byte_level(), "ก")) == {"KNOWN", "PART"}  # a space, then bytes
    assert token_kinds(byte_level())[3] == TokenKind.UNKNOWN


def test_a_word_piece_vocabulary_has_unknown_words_and_single_letters(tmp_path):
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ф", "##и", "film", "##s", "影", "##影", "##12"]
    (tmp_path / "vocab.txt").write_text("\n".join(entries))
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    assert kinds_of(tokenizer, "фи films 影 ก") == [
        "SPECIAL", "KNOWN", "LETTER", "KNOWN", "LETTER", "KNOWN", "UNKNOWN", "SPECIAL",
    ]  # fmt: skip
    assert token_kinds(tokenizer)[entries.index("##影")] == TokenKind.KNOWN


def test_sentencepiece_bytes_are_parts(tmp_path):
    pieces = [("<unk>", 0.0), ("▁", -1.0), ("▁film", -2.0), ("▁good", -2.0), ("s", -3.0)]
    pieces += [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    assert kinds_of(tokenizer, "films") == ["KNOWN", "LETTER"]
    assert kinds_of(tokenizer, "ก").count("PART") == 3


def test_gpt2s_end_of_text_is_no_unknown_token():
    backend = Tokenizer(models.BPE({"<|endoftext|>": 0, **{c: i for i, c in enumerate("abc", 1)}}, []))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
    )
    assert token_kinds(tokenizer)[0] == TokenKind.SPECIAL


@pytest.mark.parametrize("lower", [True, False])
def test_whether_accents_are_stripped(tmp_path, lower):
    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "resume", "résumé"])
    )
    assert strips_accents(BertTokenizerFast(str(tmp_path / "vocab.txt"), do_lower_case=lower)) == lower
