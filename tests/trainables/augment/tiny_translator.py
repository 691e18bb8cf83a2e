"""A sequence-to-sequence model with random weights over a few words: it loads and generates like a real one."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    FSMTConfig,
    FSMTForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    PreTrainedTokenizerFast,
)

WORDS = ["the", "drug", "movie", "doctor", "house", "was", "is", "rapidly", "absorbed", "happy"]
WORDS += ["not", "12.5", "mg", "and", "it", "left"]


def tiny_tokenizer():
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate([*special, *WORDS])}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=64,
    )


_SIZES = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "init_std": 0.3,
    "forced_eos_token_id": None,
    "num_beams": 4,
}


def tiny_model(seed=0):
    torch.manual_seed(seed)
    return BartForConditionalGeneration(BartConfig(vocab_size=4 + len(WORDS), **_SIZES)).eval()


def tiny_fsmt(seed=0):
    """The kind of nlpaug's models: it starts decoding with the end token, as the published ones do."""
    torch.manual_seed(seed)
    n = 4 + len(WORDS)
    config = FSMTConfig(
        langs=["en", "de"], src_vocab_size=n, tgt_vocab_size=n, decoder_start_token_id=2, **_SIZES
    )
    return FSMTForConditionalGeneration(config).eval()


def tiny_marian(seed=0):
    """The kind of opus-mt: it starts decoding with the padding token."""
    torch.manual_seed(seed)
    config = MarianConfig(
        vocab_size=4 + len(WORDS), pad_token_id=1, eos_token_id=2, decoder_start_token_id=1, **_SIZES
    )
    return MarianMTModel(config).eval()


def write_tiny_translator(folder, seed=0, make=tiny_model):
    tiny_tokenizer().save_pretrained(folder)
    make(seed).save_pretrained(folder)
    return str(folder)
