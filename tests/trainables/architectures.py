"""Tiny encoders of many architectures, with random weights and the vocabulary of the tiny BERT."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import BertTokenizerFast

from tests.trainables.conftest import WORDS

# No multiple of 8 and none of a power of two: padding has to stop here.
LENGTH = 30
_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
_BASE = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": LENGTH,
    "initializer_range": 0.2,
    "pad_token_id": 0,
}
_WIDE = {**_BASE, "embedding_size": 32}
# Positions begin after that of padding.
_AFTER_PADDING = {**_BASE, "max_position_embeddings": LENGTH + 1}
_RELATIVE = {**_BASE, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
_SMALL = {"vocab_size": 100, "initializer_range": 0.2}

TRAINS: dict[str, tuple[str, dict[str, Any]]] = {
    "ALBERT": ("Albert", {**_BASE, "embedding_size": 16}),
    "BERT": ("Bert", _BASE),
    "BigBird": ("BigBird", {**_BASE, "block_size": 8, "num_random_blocks": 1}),
    "CamemBERT": ("Camembert", _AFTER_PADDING),
    "ConvBERT": ("ConvBert", {**_WIDE, "head_ratio": 2, "conv_kernel_size": 3}),
    "DeBERTa": ("Deberta", {**_RELATIVE, "type_vocab_size": 0}),
    "DeBERTa-v2 and -v3": ("DebertaV2", {**_RELATIVE, "type_vocab_size": 0}),
    "DistilBERT": (
        "DistilBert",
        {**_SMALL, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": LENGTH},
    ),
    "ELECTRA": ("Electra", {**_BASE, "embedding_size": 16}),
    "ERNIE": ("Ernie", _BASE),
    "EuroBERT": ("EuroBert", {**_BASE, "num_key_value_heads": 4, "bos_token_id": 2, "eos_token_id": 3}),
    "Funnel": (
        "Funnel",
        {"vocab_size": 100, "block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64,
         "num_decoder_layers": 1},
    ),
    "GPT-2": ("GPT2", {**_SMALL, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": LENGTH}),
    "Longformer": ("Longformer", {**_AFTER_PADDING, "attention_window": 16}),
    "MegatronBERT": ("MegatronBert", _BASE),
    "MobileBERT": ("MobileBert", {**_WIDE, "intra_bottleneck_size": 32, "true_hidden_size": 32}),
    "ModernBERT": ("ModernBert", {**_BASE, "num_hidden_layers": 4, "bos_token_id": 2, "eos_token_id": 3,
                                  "cls_token_id": 2, "sep_token_id": 3}),
    "MPNet": ("MPNet", {**_BASE, "max_position_embeddings": LENGTH + 2, "pad_token_id": 1}),
    "NomicBERT": ("NomicBert", _BASE),
    "RemBERT": ("RemBert", {**_BASE, "input_embedding_size": 16}),
    "RoBERTa": ("Roberta", _AFTER_PADDING),
    "RoFormer": ("RoFormer", _BASE),
    "SqueezeBERT": ("SqueezeBert", _WIDE),
    "XLM": ("XLM", {"vocab_size": 100, "emb_dim": 32, "n_layers": 2, "n_heads": 4,
                    "max_position_embeddings": LENGTH, "pad_index": 0}),
    "XLM-RoBERTa": ("XLMRoberta", {**_AFTER_PADDING, "type_vocab_size": 1}),
    "XLNet": ("XLNet", {**_SMALL, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "pad_token_id": 0}),
}  # fmt: skip
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "BART": ("Bart", {"vocab_size": 100, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
                      "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64,
                      "decoder_ffn_dim": 64, "max_position_embeddings": LENGTH, "pad_token_id": 0, "eos_token_id": 3}),
    "T5": ("T5", {"vocab_size": 100, "d_model": 32, "num_layers": 2, "num_heads": 4, "d_ff": 64, "d_kv": 8}),
    "FNet": ("FNet", {k: v for k, v in _BASE.items() if k != "num_attention_heads"}),
}  # fmt: skip


def tiny(architecture: str, folder: Path, model: str = "Model", **options: Any) -> Any:
    """Write an encoder of an architecture with its tokenizer, and return its model.

    Parameters
    ----------
    architecture
        Key of :data:`TRAINS` or :data:`REFUSED`.
    folder
        Where to.
    model
        Which model of the architecture, ``Model`` or one with a head (``ForMaskedLM``).
    options
        Of its configuration, or of ``save_pretrained`` (``max_shard_size``).
    """
    name, values = {**TRAINS, **REFUSED}[architecture]
    saving = {key: options.pop(key) for key in ("max_shard_size",) if key in options}
    torch.manual_seed(0)
    made = getattr(transformers, name + model)(
        getattr(transformers, f"{name}Config")(**{**values, **options})
    )
    made.save_pretrained(folder, **saving)
    _tokenizer(folder.parent).save_pretrained(folder)
    return made


@functools.cache
def _tokenizer(folder: Path) -> Any:
    (folder / "words.txt").write_text("\n".join(_VOCABULARY))
    return BertTokenizerFast(str(folder / "words.txt"))
