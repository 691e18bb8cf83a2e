"""The parts of the code that only a GPU runs; ``make gpu`` runs them after its measurements."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import training_gpu
from tests.trainables.conftest import without_dropout
from trainables.model.encoder import build_classifier
from trainables.settings import EncoderSettings
from trainables.texts.labelled import LabelledTexts
from trainables.training.stage import train_stage
from trainables.training.stage_settings import StageSettings

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return training_gpu.write_encoder(tmp_path_factory.mktemp("encoder"), training_gpu.SHAPES["minilm"])


def test_the_estimate_of_memory_is_on_the_safe_side(encoder):
    for batch_size in training_gpu.BATCH_SIZES:
        found = training_gpu.memory(encoder, batch_size)
        assert 1.0 <= found["ratio"] < 3.0, (batch_size, found)


def test_a_batch_that_does_not_fit_is_computed_in_parts(encoder):
    found = training_gpu.out_of_memory(encoder)
    assert found["rows_at_once"] < found["batch_size"]
    assert abs(found["loss_difference"]) < 0.05


def test_nccl_averages_exactly():
    assert training_gpu.nccl()["greatest_error"] == 0.0


def test_a_gpu_trains_to_the_weights_of_a_cpu(encoder):
    tokens, labels = training_gpu.texts(32, shortest=10)
    trained = []
    for device in ("cpu", "cuda"):
        settings = EncoderSettings(
            name=encoder.name, max_length=training_gpu.LENGTH, device=device, precision="float32"
        )
        model = without_dropout(build_classifier(settings, training_gpu.CLASSES, seed=0))
        stage = StageSettings(steps=4, learning_rate=1e-4, batch_size=8, precision=torch.float32)
        report = train_stage(model, LabelledTexts(tokens, labels), stage)
        weights = [p.detach().cpu().numpy().ravel() for p in model.parameters()]
        trained.append((report.mean_loss, np.concatenate(weights)))
    (cpu_loss, cpu), (gpu_loss, gpu) = trained
    assert gpu_loss == pytest.approx(cpu_loss, abs=1e-3)
    # Adam's first steps move a weight by about the rate whatever its gradient: where that is zero, by rounding alone.
    assert float(np.mean(np.abs(gpu - cpu) > 2e-4)) < 0.01
