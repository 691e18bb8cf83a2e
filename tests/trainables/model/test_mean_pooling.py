from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.trainables.architectures import tiny
from trainables.model.encoder import build_classifier
from trainables.model.mean_pooling import mean_pooled
from trainables.settings import EncoderSettings
from trainables.texts.tokens import TokenisedTexts

LENGTHS = [3, 19, 4, 8, 19, 12]


@pytest.fixture(scope="module")
def texts():
    ids = np.random.default_rng(2).integers(5, 65, sum(LENGTHS)).astype(np.int32)
    return TokenisedTexts(ids, np.concatenate([[0], np.cumsum(LENGTHS)]))


def one_by_one(model, texts):
    """Return transformers' mean over all states of each text, which has no padding."""
    rows = [torch.from_numpy(texts.select([i]).ids.astype(np.int64))[None] for i in range(len(texts))]
    with torch.inference_mode():
        return np.stack([model.base_model(input_ids=row)[0].mean(1)[0].numpy() for row in rows])


def test_means_leave_out_padding_and_dropout(encoder, texts):
    model = build_classifier(encoder, 3, seed=1)
    model.train()
    found = mean_pooled(model, texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, one_by_one(model.eval(), texts), rtol=1e-4, atol=1e-5)
    rounded = mean_pooled(model, texts, precision=torch.bfloat16)
    assert 0 < np.abs(rounded - found).max() < 0.1 * np.abs(found).max()


@pytest.mark.parametrize("family", ["DistilBERT", "Funnel", "GPT-2", "ModernBERT", "RoBERTa", "XLNet"])
def test_means_of_other_architectures(family, texts, tmp_path):
    tiny(family, tmp_path / "encoder")
    settings = EncoderSettings(
        name=str(tmp_path / "encoder"), max_length=24, precision="float32", device="cpu"
    )
    model = build_classifier(settings, 2, seed=1)
    np.testing.assert_allclose(mean_pooled(model, texts), one_by_one(model, texts), rtol=1e-3, atol=1e-4)


def test_only_the_layers_that_are_used_count(encoder, texts):
    shallow = dataclasses.replace(encoder, layers=1)
    one, both = (mean_pooled(build_classifier(s, 3, seed=1), texts) for s in (shallow, encoder))
    assert one.shape == both.shape and not np.allclose(one, both)
