"""A tiny BERT with random weights that knows the words of the generated sample: trains in milliseconds."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from trainables.corpora.drug_labels.sample import generate_sample


def write_tiny_encoder(folder: Path) -> Path:
    counted = Counter(
        word for text in generate_sample().texts for word in re.findall(r"[a-z]+", text.lower())
    )
    words = [word for word, _ in counted.most_common(1500)]
    signs = [*"0123456789.,;:%()[]/-<>='", *(f"##{digit}" for digit in range(10))]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*special, *words, *signs]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(special) + len(words) + len(signs),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder
