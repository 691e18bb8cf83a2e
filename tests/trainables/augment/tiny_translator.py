"""A sequence-to-sequence model with random weights over a few words: it loads and generates like a real one."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

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


def tiny_model(seed=0):
    torch.manual_seed(seed)
    config = BartConfig(
        vocab_size=4 + len(WORDS),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=64,
        init_std=0.3,
        forced_eos_token_id=None,
        num_beams=4,
    )
    return BartForConditionalGeneration(config).eval()


def write_tiny_translator(folder, seed=0):
    tiny_tokenizer().save_pretrained(folder)
    tiny_model(seed).save_pretrained(folder)
    return str(folder)
