"""What a model is given beside the token ids."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from trainables.model import forward
from trainables.model.forward import _mask_on

CUDA, CPU = torch.device("cuda"), torch.device("cpu")
PADDED = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


@pytest.fixture(autouse=True)
def no_copy(monkeypatch):
    monkeypatch.setattr(forward, "on_device", lambda device, tensor: tensor)


def test_a_gpu_is_given_no_mask_or_a_whole_one_which_makes_nobody_wait_for_it():
    bert, other = (SimpleNamespace(config=SimpleNamespace(model_type=name)) for name in ("bert", "xlnet"))
    assert _mask_on(bert, CUDA, torch.ones_like(PADDED)) is None
    whole = _mask_on(bert, CUDA, PADDED)
    assert whole is not None and whole.shape == (2, 1, 4, 4) and whole.dtype == torch.bool
    for model, device in ((other, CUDA), (bert, CPU)):
        assert torch.equal(_mask_on(model, device, PADDED), PADDED)


def test_bert_computes_the_same_with_a_whole_mask():
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model = BertForSequenceClassification(BertConfig(vocab_size=50, **shape)).eval()
    model.set_attn_implementation("sdpa")
    ids = torch.randint(5, 50, PADDED.shape)
    with torch.no_grad():
        given, whole, none = (
            model(input_ids=ids, attention_mask=mask).logits
            for mask in (PADDED, _mask_on(model, CUDA, PADDED), None)
        )
    torch.testing.assert_close(whole, given, rtol=0, atol=0)
    assert not torch.allclose(none[1], given[1])
