"""What stands in the place of a model's files, told before anything is loaded."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from trainables.augment.registry import why_unavailable
from trainables.model.source import is_without_masked_lm_head, source_faults
from trainables.model.weight_files import folder_faults, holds_masked_lm_head
from trainables.settings import EncoderSettings

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n"
PAGE = b"\n<!DOCTYPE html>\n<html><title>Log in</title></html>"


@pytest.fixture
def folder(tmp_path):
    """A folder whose weights are whole, in the form that safetensors and torch.save write."""
    folder = tmp_path / "größer, mit Leerzeichen"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    save_file({"weight": np.zeros((64, 64), np.float32)}, folder / "model.safetensors")
    return folder


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"0" * 4096)
    return path.read_bytes()


def only(folder):
    (fault,) = folder_faults(folder)
    return fault


def test_whole_files_have_no_faults(folder):
    assert folder_faults(folder) == []
    (folder / "model.safetensors").unlink()
    archive(folder / "pytorch_model.bin")
    assert folder_faults(folder) == []
    (folder / "pytorch_model.bin").write_bytes(
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    )  # before torch 1.6
    assert folder_faults(folder) == []


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (POINTER, "a Git LFS pointer, not the weights themselves: run `git lfs pull`"),
        (PAGE, "is a web page"),
        (b"PK\x03\x04 and then nothing", "cut off or damaged"),
        (np.random.default_rng(0).bytes(4096), ("cut off or damaged", "holds no PyTorch weights")),
    ],
)
def test_what_stands_in_the_place_of_weights_is_named(folder, name, content, said):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    fault = only(folder)
    assert fault.startswith(f"has a file {name} that "), fault
    assert any(part in fault for part in ([said] if isinstance(said, str) else said)), fault


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_weights_that_are_cut_off_are_seen_wherever_the_cut_is(folder, share):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: int(len(whole) * share)])
    assert "model.safetensors that is cut off or damaged" in only(folder)
    (folder / "model.safetensors").unlink()
    whole = archive(folder / "pytorch_model.bin")
    (folder / "pytorch_model.bin").write_bytes(whole[: int(len(whole) * share)])
    assert any(part in only(folder) for part in ("cut off or damaged", "holds no PyTorch weights"))


def test_shards_that_are_missing_or_damaged_are_all_named(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    (folder / "model-00002-of-00003.safetensors").write_bytes(POINTER)
    names = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    index = {"weight_map": {f"weight{n}": name for n, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    lacking, damaged = folder_faults(folder)
    assert "lacks model-00003-of-00003.safetensors, which model.safetensors.index.json names" in lacking
    assert "has a file model-00002-of-00003.safetensors that is a Git LFS pointer" in damaged
    (folder / "model.safetensors.index.json").write_text("[]")
    assert "model.safetensors.index.json that is no JSON object" in only(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    assert "has an empty model.safetensors.index.json" in only(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (PAGE, "is a web page"),
        (b"{model_type: bert}", "is no JSON"),
        (b"[1]", "no JSON object"),
    ],
)
def test_a_configuration_that_is_none_is_named(folder, content, said):
    (folder / "config.json").write_bytes(content)
    assert only(folder).startswith("has a file config.json that ") and said in only(folder)


def test_quantised_weights_are_refused(folder):
    (folder / "config.json").write_text('{"quantization_config": {"quant_method": "bitsandbytes"}}')
    assert "quantised weights (bitsandbytes), which cannot be trained" in only(folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adapter_model.safetensors", "an adapter (PEFT)"),
        ("tf_model.h5", "TensorFlow's weights"),
        ("flax_model.msgpack", "Flax' weights"),
        ("bert.Q4_K_M.gguf", "a GGUF file"),
        ("model.onnx", "an ONNX file"),
        ("model.fp16.safetensors", "a variant of the weights: rename it"),
        ("bert.safetensors", "does not look for: rename them"),
    ],
)
def test_weights_of_another_kind_are_explained(folder, name, said):
    (folder / "model.safetensors").rename(folder / name)
    fault = only(folder)
    assert fault.startswith("lacks model.safetensors: the folder needs") and f"It holds {name}, " in fault
    assert said in fault


@pytest.mark.parametrize("below", ["0_Transformer", "checkpoint-500", "snapshots/1dbc166cf8"])
def test_a_model_in_a_folder_below_is_pointed_at(folder, tmp_path, below):
    (tmp_path / "outer" / below).mkdir(parents=True)
    (tmp_path / "outer" / "modules.json").write_text("[]")
    folder.rename(tmp_path / "outer" / below)
    assert f"Its folder {below} holds a model: give that one" in only(tmp_path / "outer")


def test_links_that_lead_nowhere_are_told_from_missing_files(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../blobs/4d7a")
    assert "model.safetensors that is a link to ../blobs/4d7a, which is not there" in only(folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(folder / "model.safetensors")  # to itself
    assert "model.safetensors that " in only(folder)


def test_a_file_in_the_place_of_the_folder_is_told_so(folder):
    (fault,) = source_faults(EncoderSettings(name=str(folder / "model.safetensors")))
    assert "is a file: give the folder that holds it" in fault
    (fault,) = source_faults(EncoderSettings(name=str(folder / ("x" * 300))))
    assert "is not a folder" in fault


def test_an_operators_model_is_looked_at_in_the_same_way(folder):
    (folder / "model.safetensors").write_bytes(POINTER)
    reason = why_unavailable("contextual_substitution", {"model": str(folder)})
    assert "option 'model'" in reason and "model.safetensors that is a Git LFS pointer" in reason


def head_in(folder, architecture, *names, index=False):
    """Write a folder of a model with so named weights, and return whether it has a masked-language head."""
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    weights = {name: np.zeros(2, np.float32) for name in names}
    (folder / "model.safetensors").unlink(missing_ok=True)
    if index:
        file = folder / "model.safetensors.index.json"
        file.write_text(json.dumps({"weight_map": dict.fromkeys(names, "model-1.safetensors")}))
    else:
        save_file(weights, folder / "model.safetensors")
    return holds_masked_lm_head(folder)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("BertForMaskedLM", "cls.predictions.transform.dense.weight"),
        ("BertForPreTraining", "cls.predictions.bias"),
        ("RobertaForMaskedLM", "lm_head.dense.weight"),
        ("DistilBertForMaskedLM", "vocab_transform.weight"),
        ("AlbertForPreTraining", "predictions.dense.weight"),
        ("ElectraForMaskedLM", "generator_predictions.dense.weight"),
        ("DebertaV2ForMaskedLM", "lm_predictions.lm_head.dense.weight"),
        ("ModernBertForMaskedLM", "head.dense.weight"),
    ],
)
def test_a_masked_language_head_is_found_by_what_configuration_and_weights_say(folder, architecture, name):
    assert head_in(folder, architecture, "encoder.layer.0.output.dense.weight", name)
    assert head_in(folder, architecture, "encoder.layer.0.output.dense.weight", name, index=True)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("BertModel", "pooler.dense.weight"),
        ("BertForSequenceClassification", "classifier.weight"),
        ("MPNetForMaskedLM", "encoder.relative_attention_bias.weight"),  # saved without the head it names
        ("ElectraForPreTraining", "discriminator_predictions.dense.weight"),
        ("GPT2LMHeadModel", "lm_head.weight"),
    ],
)
def test_other_heads_and_none_are_told_from_it(folder, architecture, name):
    assert not head_in(folder, architecture, "encoder.layer.0.output.dense.weight", name)


def test_files_that_do_not_tell_their_names_leave_it_to_the_configuration(folder):
    (folder / "model.safetensors").unlink()
    archive(folder / "pytorch_model.bin")
    assert not holds_masked_lm_head(folder)
    (folder / "config.json").write_text('{"architectures": ["BertForMaskedLM"]}')
    assert holds_masked_lm_head(folder)
    (folder / "config.json").write_text("{")
    assert not holds_masked_lm_head(folder)


def test_the_packaged_encoder_has_none():
    assert is_without_masked_lm_head(EncoderSettings())
    assert not is_without_masked_lm_head(EncoderSettings(name="google-bert/bert-base-uncased", revision="a"))
