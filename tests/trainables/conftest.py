"""A tiny BERT with random weights and a made-up vocabulary, so that training takes milliseconds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertModel,
)

from trainables.model.encoder import load_tokenizer
from trainables.settings import EncoderSettings
from trainables.texts.tokens import tokenise
from trainables.texts.words import with_words

WORDS = [f"w{i}" for i in range(60)]
TINY_BERT = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
TINY_DISTILBERT = {
    "vocab_size": 100,
    "dim": 32,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(BertConfig(**TINY_BERT)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(tiny_folder):
    return EncoderSettings(name=str(tiny_folder), max_length=32, precision="float32", device="cpu")


@pytest.fixture(scope="session")
def toy(encoder):
    """Texts of 2 to 20 words whose label is told by one of their words; returns tokens and labels."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 90)
    texts = []
    for label in labels:
        words = rng.choice(WORDS[3:], rng.integers(2, 21)).tolist()
        words[rng.integers(len(words))] = WORDS[label]
        texts.append(" ".join(words))
    return with_words(tokenise(texts, load_tokenizer(encoder), encoder.max_length), texts), labels


def states_equal(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def without_dropout(model):
    """Set every dropout rate of a model to zero, so that training depends on the batches alone."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


@pytest.fixture(scope="session")
def distilbert(tiny_folder, tmp_path_factory):
    """The same vocabulary under another architecture, which has no forward pass of our own."""
    folder = tmp_path_factory.mktemp("distilbert")
    BertTokenizerFast(str(tiny_folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    DistilBertModel(DistilBertConfig(**TINY_DISTILBERT)).save_pretrained(folder)
    return EncoderSettings(name=str(folder), max_length=32, precision="float32", device="cpu")


def _with_masked_lm_head(tiny_folder, folder, model):
    BertTokenizerFast(str(tiny_folder / "vocab.txt")).save_pretrained(folder)
    model.save_pretrained(folder)
    return EncoderSettings(name=str(folder), max_length=32, precision="float32", device="cpu")


@pytest.fixture(scope="session")
def masked_lm(tiny_folder, tmp_path_factory):
    """The tiny BERT's kind with a masked-language head, which shares its weights with the word embeddings."""
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(**TINY_BERT))
    return _with_masked_lm_head(tiny_folder, tmp_path_factory.mktemp("masked_lm"), model)


@pytest.fixture(scope="session")
def masked_distilbert(tiny_folder, tmp_path_factory):
    """The same under an architecture that has no forward pass of our own."""
    torch.manual_seed(0)
    model = DistilBertForMaskedLM(DistilBertConfig(**TINY_DISTILBERT))
    return _with_masked_lm_head(tiny_folder, tmp_path_factory.mktemp("masked_distilbert"), model)
