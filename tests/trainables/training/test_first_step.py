"""Which encoders train: every architecture that the messages name does, and the others are refused in a sentence."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainables.architectures import LENGTH, REFUSED, TRAINS, tiny
from tests.trainables.conftest import WORDS
from trainables.method.head_retraining import pooled_outputs
from trainables.model.encoder import build_classifier, encoder_faults, has_masked_lm_head, load_tokenizer
from trainables.model.forward import predict
from trainables.model.output_layer import output_layer, redraw_output_layer
from trainables.model.pretrained import FAMILIES, KNOWN_TO_TRAIN, dropped_head
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import run_replicate
from trainables.settings import EncoderSettings, TrialSettings
from trainables.texts.tokens import tokenise
from trainables.training.first_step import first_step_faults, masked_lm_faults
from trainables.world import World

CLASSES = ("low", "mid", "high")
# What most people come with, and what differs most from BERT; the others are tested with the slow tests.
FAST = (
    "DeBERTa-v2 and -v3",
    "DistilBERT",
    "ELECTRA",
    "GPT-2",
    "Longformer",
    "ModernBERT",
    "RoBERTa",
    "XLNet",
)


@pytest.fixture(autouse=True)
def one_thread():
    """Models this small are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings_of(folder, **values):
    return EncoderSettings(
        **{"name": str(folder), "max_length": LENGTH, "precision": "float32", "device": "cpu", **values}
    )


def faults_of(folder, **values):
    settings = settings_of(folder, **values)
    return encoder_faults(settings) or first_step_faults(settings, len(CLASSES))


def prepared(encoder):
    rng = np.random.default_rng(8)
    labels = np.repeat([0, 1, 2], 8)
    texts = [
        " ".join([WORDS[label], *rng.choice(WORDS[3:], n)])
        for label, n in zip(labels, rng.integers(1, 40, 24), strict=True)
    ]
    tokens = tokenise(texts, load_tokenizer(encoder), encoder.max_length)
    return PreparedCorpus(texts, tokens, labels, tokens, labels, tokens, labels, CLASSES, "digest")


def one_replicate(encoder, folder, **values):
    run = RunSettings(
        study_seed=3, encoder=encoder, profile="step", n_max=8, max_train_rows=None, cache_dir=str(folder)
    )
    settings = TrialSettings(
        **{
            "stage1_data": "duplicated_balanced",
            "stage1_trainable": "last_block",
            "imbalance_ratio": 0.5,
            "batch_size": 8,
            **values,
        }
    )
    return run_replicate(prepared(encoder), run, settings, 0, World.single())


def test_the_families_that_messages_name_are_those_that_are_tested():
    assert list(FAMILIES) == list(TRAINS)


@pytest.mark.parametrize(
    "architecture", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in TRAINS]
)
def test_a_trial_trains_and_scores_texts_as_if_each_stood_alone(architecture, tmp_path):
    tiny(architecture, tmp_path / "encoder")
    assert faults_of(tmp_path / "encoder") == []
    encoder = settings_of(tmp_path / "encoder")
    trained = one_replicate(encoder, tmp_path / "cache", layer_decay=0.9)
    assert np.isfinite([v for v in trained.metrics.values() if v is not None]).all()
    assert trained.diagnostics["stage1_steps"] + trained.diagnostics["stage2_steps"] >= 3
    model = build_classifier(encoder, 3, seed=1)
    texts = ["w1", "w2 w3 w4", "w5 " * 15, "w6 w7 " * LENGTH]
    tokens = tokenise(texts, load_tokenizer(encoder), encoder.max_length)
    alone = np.concatenate([predict(model, tokens.select([i])) for i in range(len(texts))])
    assert np.abs(alone).max() > 0
    close = {"rtol": 1e-3, "atol": 1e-3 * np.abs(alone).max()}
    np.testing.assert_allclose(predict(model, tokens), alone, **close)
    pooled, *_ = pooled_outputs(model, tokens, precision=torch.float32, world=World.single())
    with torch.no_grad():
        np.testing.assert_allclose(output_layer(model)(torch.from_numpy(pooled)).numpy(), alone, **close)
    before = output_layer(model).weight.clone()
    assert not torch.equal(redraw_output_layer(model, seed=2).weight, before)


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("BART", "has a decoder as well (bart)"),
        ("T5", "has a decoder as well (t5)"),
        ("FNet", "reads padding"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_what_can(architecture, said, tmp_path):
    assert architecture in REFUSED
    tiny(architecture, tmp_path / "encoder")
    (fault,) = faults_of(tmp_path / "encoder")
    assert said in fault and KNOWN_TO_TRAIN in fault


@pytest.mark.parametrize(
    ("architecture", "before"),
    [("RoBERTa", 1), ("XLM-RoBERTa", 1), ("CamemBERT", 1), ("MPNet", 2), ("Longformer", 1)],
)
def test_positions_before_the_first_token_are_not_counted(architecture, before, tmp_path):
    tiny(architecture, tmp_path / "encoder")
    (fault,) = faults_of(tmp_path / "encoder", max_length=LENGTH + 1)
    assert f"takes texts of at most {LENGTH} tokens ({LENGTH + before} positions" in fault
    assert f"max_length={LENGTH}" in fault


def test_fewer_layers_are_taken_where_the_architecture_allows_it(tmp_path):
    for architecture in ("BERT", "Longformer", "ModernBERT"):  # the last two list values layer by layer
        tiny(architecture, tmp_path / architecture)
        assert faults_of(tmp_path / architecture, layers=1) == []
    tiny("Funnel", tmp_path / "funnel")
    (fault,) = faults_of(tmp_path / "funnel", layers=1)
    assert "(funnel) cannot do with fewer" in fault and "encoder_layers=null" in fault
    assert "expected 1 to 2" in faults_of(tmp_path / "BERT", layers=3)[0]


def test_a_head_for_other_classes_is_dropped_and_told(tmp_path):
    tiny("BERT", tmp_path / "pretrained", "ForMaskedLM")
    finetuned = tiny("BERT", tmp_path / "finetuned", "ForSequenceClassification", num_labels=5)
    assert dropped_head(settings_of(tmp_path / "pretrained")) is None
    assert "(BertForSequenceClassification, with 5 outputs)" in dropped_head(
        settings_of(tmp_path / "finetuned")
    )
    assert faults_of(tmp_path / "finetuned") == []
    model = build_classifier(settings_of(tmp_path / "finetuned"), 3, seed=1)
    assert model.classifier.weight.shape[0] == 3
    assert torch.equal(model.bert.pooler.dense.weight, finetuned.bert.pooler.dense.weight)
    again = build_classifier(settings_of(tmp_path / "finetuned"), 3, seed=1)
    assert torch.equal(model.classifier.weight, again.classifier.weight)


def test_weights_that_are_not_the_encoders_own_are_no_pretrained_encoder(tmp_path):
    def faults_with(name, rename, **config):
        model = tiny("BERT", tmp_path / name)
        weights = tmp_path / name / "model.safetensors"
        renamed = {rename(key): value for key, value in load_file(weights).items() if rename(key)}
        save_file(renamed, weights, {"format": "pt"})
        model.config.update(config)
        model.config.save_pretrained(tmp_path / name)
        return faults_of(tmp_path / name)

    (fault,) = faults_with("wrapped", lambda key: f"my_wrapper.{key}")
    assert "its weights do not fit its config.json" in fault and "drawn at random" in fault
    (fault,) = faults_with("of another width", str, hidden_size=64)
    assert "have another shape (bert.embeddings." in fault
    assert faults_with("without a pooler", lambda key: "" if "pooler" in key else key) == []


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "nosuch"},
        {"model_type": "nosuch", "auto_map": {"AutoConfig": "own.Config"}},  # its own code, which is not run
        {"hidden_size": "wide"},
        {"num_attention_heads": 5},
        {"hidden_act": "nosuch"},
    ],
)
def test_a_configuration_of_no_known_model_is_a_fault_and_no_question(values, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    tiny("BERT", tmp_path / "encoder")
    path = tmp_path / "encoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    (fault,) = faults_of(tmp_path / "encoder")
    assert str(tmp_path / "encoder") in fault and (
        "cannot be loaded" in fault or "cannot be trained" in fault
    )
    assert KNOWN_TO_TRAIN in fault


def test_a_model_that_classifies_no_texts_is_refused(tmp_path):
    from transformers import ViTConfig

    tiny("BERT", tmp_path / "encoder")
    ViTConfig(hidden_size=32).save_pretrained(tmp_path / "encoder")
    (fault,) = faults_of(tmp_path / "encoder")
    assert "cannot be trained" in fault and "ViTConfig" in fault and KNOWN_TO_TRAIN in fault


@pytest.mark.parametrize("form", ["bin", "shards", "float16", "bfloat16"])
def test_weights_in_every_form_give_the_same_encoder(form, tmp_path):
    folder = tmp_path / form
    model = tiny("BERT", folder, **({"max_shard_size": "20KB"} if form == "shards" else {}))
    if form == "bin":
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    elif form != "shards":
        model.to(getattr(torch, form)).save_pretrained(folder)
    assert len([*folder.glob("model-*")]) > 1 or form != "shards"
    assert faults_of(folder) == []
    built = build_classifier(settings_of(folder), 3, seed=1)
    assert built.bert.embeddings.word_embeddings.weight.dtype == torch.float32
    for name, parameter in model.float().named_parameters():
        assert torch.equal(built.bert.get_parameter(name), parameter)


def test_padding_that_is_a_word_of_the_vocabulary_still_trains(tmp_path):
    tiny("BERT", tmp_path / "encoder", pad_token_id=None)
    assert faults_of(tmp_path / "encoder") == []


def test_a_model_without_any_dropout_trains(tmp_path):
    tiny("RoBERTa", tmp_path / "encoder", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    encoder = dataclasses.replace(settings_of(tmp_path / "encoder"))
    assert one_replicate(encoder, tmp_path / "cache", arm="vanilla").metrics["val/macro_f1"] >= 0


# Those whose masked-language head transformers has as a model of its own.
MASKED = tuple(name for name in FAMILIES if name not in ("GPT-2", "XLM", "XLNet"))


@pytest.mark.parametrize(
    "family", [pytest.param(f, marks=() if f in FAST else pytest.mark.slow) for f in MASKED]
)
def test_masked_language_training_goes_on_with_the_head_of_every_family_that_has_one(family, tmp_path):
    tiny(family, tmp_path / "encoder", "ForMaskedLM")
    encoder = settings_of(tmp_path / "encoder")
    assert has_masked_lm_head(encoder)
    assert first_step_faults(encoder, len(CLASSES)) == masked_lm_faults(encoder) == []
    record = one_replicate(encoder, tmp_path / "cache", arm="tapt", stage1_steps=2)
    assert record.metrics["val/macro_f1"] >= 0 and record.diagnostics["stage1_steps"] == 2


def test_a_head_that_is_missing_is_told_after_a_step(tmp_path):
    tiny("BERT", tmp_path / "encoder")
    (fault,) = masked_lm_faults(settings_of(tmp_path / "encoder"))
    assert "is no masked language model: its checkpoint lacks cls." in fault
