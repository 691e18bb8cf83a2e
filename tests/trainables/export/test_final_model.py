"""The saved model is what was trained and calibrated, whoever loads it: transformers, onnxruntime, or this project."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import onnxruntime
import pytest
import torch
import transformers

from tests.trainables.conftest import WORDS
from trainables.errors import ConfigurationError, TrialFailed
from trainables.export import folder as folders
from trainables.export.calibration import Calibration
from trainables.export.card import ModelCard
from trainables.export.folding import fold, folding_faults
from trainables.export.labelling import SavedModel
from trainables.export.onnx_file import export_onnx
from trainables.final_model import export_model, rows_to_train_on
from trainables.model.encoder import build_classifier, load_tokenizer
from trainables.model.output_layer import normalise_output_layer, output_layer
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.settings import TrialSettings
from trainables.texts.tokens import tokenise

CLASSES = ("low", "mid|dle", "high")
VANILLA = TrialSettings(arm="vanilla", stage2_epochs=2.0, stage2_learning_rate=1e-3)
CALIBRATION = Calibration(1.7, (0.4, -0.9, 0.5), (0.5, 0.2, 0.3), 90, 1.1, 0.9)
CARD = ModelCard(
    study="adme",
    verdict="Pre-finetuning is better than vanilla.",
    interval="+.031 [.012, .050] macro-F1 on the test texts",
    notice="Silver labels: they come from headings.",
    command="python -m study.launch adme --preset smoke",
)
LONG = " ".join(WORDS * 3)  # far beyond max_length


def texts_of(rng, labels):
    return [" ".join([WORDS[label], *rng.choice(WORDS[5:], rng.integers(2, 15))]) for label in labels]


def of_pipeline(found):
    """Return the (n, C) probabilities that transformers' pipeline gave."""
    return np.array([[{s["label"]: s["score"] for s in row}[name] for name in CLASSES] for row in found])


@pytest.fixture(scope="module")
def prepared(encoder):
    rng = np.random.default_rng(4)
    labels = {"train": np.repeat([0, 1, 2], [40, 10, 14]), "validation": np.repeat([0, 1, 2], [12, 4, 5])}
    texts = {part: texts_of(rng, of) for part, of in labels.items()}
    tokens = {part: tokenise(of, load_tokenizer(encoder), encoder.max_length) for part, of in texts.items()}
    return PreparedCorpus(
        texts["train"], tokens["train"], labels["train"], tokens["validation"], labels["validation"],
        tokens["validation"], labels["validation"], CLASSES, "digest", validation_texts=texts["validation"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(encoder, tmp_path_factory):
    return RunSettings(
        study_seed=3, encoder=encoder, profile="step", n_max=20, max_train_rows=None,
        cache_dir=str(tmp_path_factory.mktemp("cache")),
    )  # fmt: skip


@pytest.fixture(scope="module")
def exported(prepared, run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "model" / "winner"
    assert export_model(prepared, run, VANILLA, "natural", CALIBRATION, CARD, folder)
    return folder


@pytest.fixture(scope="module")
def new_texts():
    rng = np.random.default_rng(5)
    return ["w1", *texts_of(rng, [0, 1, 2, 0]), LONG]


def test_pipeline_onnx_and_our_own_labelling_agree(exported, new_texts):
    ours = SavedModel.load(exported).probabilities(new_texts)
    assert ours.sum(axis=1) == pytest.approx(1) and ours.std(axis=0).max() > 0.01
    pipeline = transformers.pipeline("text-classification", str(exported), top_k=None)
    assert np.abs(ours - of_pipeline(pipeline(new_texts, truncation=True))).max() < 1e-3
    session = onnxruntime.InferenceSession(str(exported / "model.onnx"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    encoded = tokenizer(new_texts, truncation=True, padding=True, return_tensors="np")
    (onnx,) = session.run(["probabilities"], {name: ids.astype(np.int64) for name, ids in encoded.items()})
    assert np.abs(ours - onnx).max() < 1e-3


def test_the_calibration_is_in_the_weights(exported, prepared, run, tmp_path, new_texts):
    """The same training with another calibration gives the same scores, calibrated otherwise."""
    none = dataclasses.replace(CALIBRATION, temperature=1.0, offsets=(0.0, 0.0, 0.0))
    export_model(prepared, run, VANILLA, "natural", none, CARD, tmp_path / "plain")
    plain = np.log(SavedModel.load(tmp_path / "plain").probabilities(new_texts))
    expected = np.exp(CALIBRATION.apply(plain))
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.abs(SavedModel.load(exported).probabilities(new_texts) - expected).max() < 1e-4


def test_the_same_model_is_made_once_and_its_card_follows_the_verdict(exported, prepared, run):
    weights = (exported / "model.safetensors").stat().st_mtime_ns
    later = dataclasses.replace(CARD, verdict="Not shown.")
    assert not export_model(prepared, run, VANILLA, "natural", CALIBRATION, later, exported)
    assert (exported / "model.safetensors").stat().st_mtime_ns == weights
    assert "**Not shown.**" in (exported / "README.md").read_text()
    assert not export_model(prepared, run, VANILLA, "natural", CALIBRATION, CARD, exported)
    assert not list(exported.parent.glob(".*"))


@pytest.mark.parametrize(
    "change",
    [
        {"settings": dataclasses.replace(VANILLA, stage2_learning_rate=2e-3)},
        {"ratio": 0.5},
        {"calibration": dataclasses.replace(CALIBRATION, temperature=2.0)},
    ],
)
def test_another_recipe_ratio_or_calibration_is_another_model(exported, prepared, run, tmp_path, change):
    given = {"settings": VANILLA, "ratio": "natural", "calibration": CALIBRATION} | change
    folder = tmp_path / "winner"
    (folder / "older").mkdir(parents=True)
    (folder / "export.json").write_text((exported / "export.json").read_text())
    assert export_model(prepared, run, **given, card=CARD, folder=folder)
    assert not (folder / "older").exists()


def test_a_damaged_folder_is_made_anew(prepared, run, tmp_path):
    (tmp_path / "export.json").write_text("{")
    with pytest.raises(ConfigurationError, match="remove the model's folder"):
        SavedModel.load(tmp_path)
    assert export_model(prepared, run, VANILLA, "natural", CALIBRATION, CARD, tmp_path)
    assert SavedModel.load(tmp_path).classes == CLASSES


def test_a_folder_without_a_model_says_what_makes_one(tmp_path):
    with pytest.raises(ConfigurationError, match="launch command, which makes it"):
        SavedModel.load(tmp_path)


def test_a_bound_on_the_rows_of_the_study_bounds_those_of_its_model(prepared, run):
    bounded = rows_to_train_on(prepared, dataclasses.replace(run, max_train_rows=30, n_max=10), "natural")
    assert np.bincount(bounded.labels).tolist() == [18, 5, 7]
    drawn = rows_to_train_on(prepared, dataclasses.replace(run, n_max=10), 0.5)
    assert sorted(np.bincount(drawn.labels).tolist()) == [5, 10, 10]


def test_natural_takes_every_row_and_a_ratio_draws_from_all_of_them(prepared, run):
    every = rows_to_train_on(prepared, run, "natural")
    assert np.bincount(every.labels).tolist() == [52, 14, 19] and len(every.texts) == 85
    drawn = rows_to_train_on(prepared, run, 0.25)
    assert np.bincount(drawn.labels).tolist() == [19, 5, 19]  # two of three classes are majority
    again = rows_to_train_on(prepared, run, 0.25)
    assert again.texts == drawn.texts
    for rows in (every, drawn):  # texts, tokens and labels are of the same rows
        assert all(
            WORDS[label] == text.split()[0] for text, label in zip(rows.texts, rows.labels, strict=True)
        )


def test_an_arm_with_augmentation_trains_on_that_of_all_rows(prepared, run, tmp_path):
    settings = TrialSettings(operator="random_delete", strength=0.3, stage1_epochs=0.5, stage2_epochs=0.5)
    assert export_model(prepared, run, settings, "natural", CALIBRATION, CARD, tmp_path / "winner")
    without = dataclasses.replace(prepared, validation_texts=())
    with pytest.raises(ValueError, match="texts of validation rows"):
        export_model(without, run, settings, "natural", CALIBRATION, CARD, tmp_path / "other")


@pytest.mark.parametrize("arm", ["tfidf_lr", "frozen_lr", "ldam_drw"])
def test_an_arm_that_transformers_has_no_format_for_is_refused(prepared, run, tmp_path, arm):
    settings = dataclasses.replace(VANILLA, arm=arm)
    with pytest.raises(ConfigurationError, match=f"arm {arm}"):
        export_model(prepared, run, settings, "natural", CALIBRATION, CARD, tmp_path / "winner")
    assert not (tmp_path / "winner").exists()


def test_another_architecture_is_saved_too(prepared, run, distilbert, tmp_path, new_texts):
    other = dataclasses.replace(run, encoder=distilbert)
    export_model(prepared, other, VANILLA, "natural", CALIBRATION, CARD, tmp_path / "winner")
    ours = SavedModel.load(tmp_path / "winner").probabilities(new_texts)
    pipeline = transformers.pipeline("text-classification", str(tmp_path / "winner"), top_k=None)
    assert np.abs(ours - of_pipeline(pipeline(new_texts, truncation=True))).max() < 1e-3


def test_a_head_without_a_place_for_the_offsets_is_refused(encoder):
    model = build_classifier(encoder, 3, 1)
    output_layer(model).bias = None
    before = output_layer(model).weight.clone()
    with pytest.raises(ConfigurationError, match="without a bias"):
        fold(model, CALIBRATION)
    assert torch.equal(before, output_layer(model).weight)
    fold(model, dataclasses.replace(CALIBRATION, offsets=(0.3, 0.3, 0.3)))  # which no probability depends on
    assert torch.allclose(before / 1.7, output_layer(model).weight)
    normalise_output_layer(model, 30)
    assert "normalised" in folding_faults(model, CALIBRATION)[0]


def test_a_file_that_gives_other_probabilities_is_an_error(encoder, tmp_path, monkeypatch):
    model, tokenizer = build_classifier(encoder, 3, 1).eval(), load_tokenizer(encoder)

    class Another(onnxruntime.InferenceSession):
        def run(self, names, encoded, *rest):
            return [super().run(names, encoded, *rest)[0][:, ::-1]]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Another)
    with pytest.raises(TrialFailed, match="does not give the probabilities"):
        export_onnx(model, tokenizer, ["w1 w2", "w3 w4 w5 w6"], tmp_path / "model.onnx")


def test_what_cannot_be_saved_leaves_the_older_model(exported, prepared, run, tmp_path, monkeypatch):
    folder = tmp_path / "winner"
    export_model(prepared, run, VANILLA, "natural", CALIBRATION, CARD, folder)
    before = sorted(path.name for path in folder.iterdir())

    def fails(*_):
        raise TrialFailed("no ONNX")

    monkeypatch.setattr(folders, "export_onnx", fails)
    with pytest.raises(TrialFailed, match="no ONNX"):
        export_model(prepared, run, VANILLA, 0.5, CALIBRATION, CARD, folder)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["winner"]


def test_the_card_says_what_a_user_has_to_know(exported):
    card = (exported / "README.md").read_text()
    for said in (
        "**Pre-finetuning is better than vanilla.**", "[.012, .050]", "Silver labels", "--preset smoke",
        "truncation=True",
        "mid\\|dle", "| low | 52 | 50.0% |", "vanilla finetuning", "stage2_learning_rate", "32 tokens",
    ):  # fmt: skip
        assert said in card, said
    assert "w1" not in card  # no text of the corpus
    about = json.loads((exported / "export.json").read_text())
    assert about["counts"] == [52, 14, 19] and about["calibration"]["temperature"] == 1.7
