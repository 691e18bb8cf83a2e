from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, pipeline

from trainables.model.encoder import (
    build_classifier,
    encoder_faults,
    encoder_layers,
    load_tokenizer,
    reinitialise_head,
    save_classifier,
)
from trainables.model.forward import predict
from trainables.settings import EncoderSettings
from trainables.texts.tokens import TokenisedTexts, tokenise


def test_same_seed_same_head_and_pretrained_weights_stay(encoder):
    one, same, other = (build_classifier(encoder, 3, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.classifier.weight, same.classifier.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)
    assert 0 < one.classifier.weight.std() < 1
    for a, b in zip(one.bert.parameters(), other.bert.parameters(), strict=True):
        assert torch.equal(a, b)
    with torch.no_grad():
        one.bert.pooler.dense.weight.zero_()
    assert build_classifier(encoder, 3, seed=1).bert.pooler.dense.weight.abs().sum() > 0


def test_building_a_model_leaves_the_global_generator_alone(encoder):
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    build_classifier(encoder, 3, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_reinitialised_head_is_that_of_a_new_model(encoder):
    model = build_classifier(encoder, 3, seed=1)
    reinitialise_head(model, seed=2)
    assert torch.equal(model.classifier.weight, build_classifier(encoder, 3, seed=2).classifier.weight)


def test_layers_keep_the_first_ones(encoder):
    whole = build_classifier(encoder, 3, seed=1)
    cut = build_classifier(dataclasses.replace(encoder, layers=1), 3, seed=1)
    assert len(cut.bert.encoder.layer) == 1
    kept = "bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(cut.state_dict()[kept], whole.state_dict()[kept])


def test_saved_folder_works_with_plain_transformers(encoder, toy, tmp_path):
    tokens, _ = toy
    model = build_classifier(encoder, 3, seed=1)
    save_classifier(model, encoder, ("low", "mid", "high"), tmp_path / "model")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    ids = torch.from_numpy(tokens.ids[: tokens.offsets[1]].astype(np.int64))[None]
    with torch.no_grad():
        logits = loaded(input_ids=ids).logits.numpy()
    np.testing.assert_allclose(logits, predict(model, tokens.select([0])), rtol=1e-4, atol=1e-5)
    answer = pipeline("text-classification", model=str(tmp_path / "model"), device="cpu")("w1 w2 w3")
    assert (
        answer[0]["label"]
        == ("low", "mid", "high")[
            predict(model, tokenise(["w1 w2 w3"], load_tokenizer(encoder), 32)).argmax()
        ]
    )


def test_a_good_encoder_has_no_faults(encoder):
    assert encoder_faults(encoder) == []


def test_faults_are_told_all_at_once(encoder, tmp_path):
    bad = dataclasses.replace(encoder, precision="half", device="tpu?", max_length=500, layers=7)
    faults = "\n".join(encoder_faults(bad))
    for part in ("'half'", "'tpu?'", "64 positions", "1 to 2"):
        assert part in faults
    assert "not a folder" in encoder_faults(EncoderSettings(name=str(tmp_path / "absent")))[0]
    assert "config.json" in encoder_faults(EncoderSettings(name=str(tmp_path)))[0]


def test_tokenised_texts_select_and_concatenate(encoder):
    tokenizer = load_tokenizer(encoder)
    tokens = tokenise(["w1", "w2 w3", "w4 " * 100], tokenizer, 32)
    assert tokens.lengths.tolist() == [3, 4, 32]
    picked = tokens.select([1, 0, 1])
    assert picked.lengths.tolist() == [4, 3, 4]
    assert tokenizer.decode(picked.ids[:4]) == "[CLS] w2 w3 [SEP]"
    joined = TokenisedTexts.concatenate([tokens, picked])
    assert len(joined) == 6
    np.testing.assert_array_equal(joined.select([3, 4, 5]).ids, picked.ids)
    assert len(tokenise([], tokenizer, 32)) == len(TokenisedTexts.concatenate([])) == 0


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_asked_precision_is_used(encoder, precision, dtype):
    from trainables.model.encoder import resolve_precision

    assert resolve_precision(dataclasses.replace(encoder, precision=precision)) is dtype


@pytest.mark.slow
def test_compiled_layers_compute_the_same(distilbert, toy):
    tokens, _ = toy
    plain = build_classifier(distilbert, 3, seed=1)
    compiled = build_classifier(dataclasses.replace(distilbert, compile=True), 3, seed=1)
    some = tokens.select(range(4))
    np.testing.assert_allclose(predict(compiled, some), predict(plain, some), rtol=1e-4, atol=1e-5)


def test_layers_are_compiled_where_asked_for_only(distilbert):
    for asked in (False, True):
        model = build_classifier(dataclasses.replace(distilbert, compile=asked), 3, seed=1)
        assert {layer._compiled_call_impl is not None for layer in encoder_layers(model)} == {asked}
