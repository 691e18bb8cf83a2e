"""Masked language models with random weights over the toy vocabulary, with tokenizers of all three kinds."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from tests.trainables.augment.toy import CLUSTERS, LONERS

WORDS = [word for cluster in CLUSTERS for word in cluster.split()] + ["tree", "trees", *LONERS]
OTHERS = ["the", "of", "is", "not", "said", "mg"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789.,:;!?()[]/%'\"-")


def wordpiece():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    entries = [*special, *WORDS, *OTHERS, *LETTERS, *("##" + letter for letter in LETTERS[:26])]
    tokenizer = Tokenizer(models.WordPiece({t: i for i, t in enumerate(entries)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    )


def _roberta_kind(tokenizer):
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
        model_max_length=64,
    )


def byte_level_bpe():
    """Every word is reached by merges of its own from its letters."""
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = []
    for word in [*WORDS, *OTHERS]:
        made = "Ġ"
        for letter in word:
            if made + letter not in vocabulary:
                vocabulary.append(made + letter)
                merges.append((made, letter))
            made += letter
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(vocabulary)}, merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _roberta_kind(tokenizer)


def sentencepiece():
    scores = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("<mask>", 0.0)]
    scores += [("▁" + word, -5.0) for word in [*WORDS, *OTHERS]]
    scores += [("▁", -8.0), *((letter, -9.0) for letter in LETTERS)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=3))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return _roberta_kind(tokenizer)


def tiny_bert(tokenizer, seed=0, **changes):
    torch.manual_seed(seed)
    return BertForMaskedLM(BertConfig(**_shape(tokenizer, **changes))).eval()


def tiny_roberta(tokenizer, seed=0, **changes):
    torch.manual_seed(seed)
    return RobertaForMaskedLM(RobertaConfig(**_shape(tokenizer, pad_token_id=1, **changes))).eval()


def _shape(tokenizer, **changes):
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.3,
        **changes,
    }


KINDS = {
    "wordpiece": (wordpiece, tiny_bert),
    "byte_level_bpe": (byte_level_bpe, tiny_roberta),
    "sentencepiece": (sentencepiece, tiny_roberta),
}


def write_masked_lm(folder, kind="wordpiece"):
    make_tokenizer, make_model = KINDS[kind]
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    make_model(tokenizer).save_pretrained(folder)
    return folder
