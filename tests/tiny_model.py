"""A model folder as a study leaves it, of a tiny encoder that nothing has trained: made in a second."""

from __future__ import annotations

from pathlib import Path

from tests.tiny_encoder import write_tiny_encoder
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.export.calibration import Calibration
from trainables.export.card import ModelCard, TrainedModel
from trainables.export.folder import write_model
from trainables.model.encoder import build_classifier
from trainables.settings import EncoderSettings, TrialSettings

CLASSES = ("absorption", "excretion", "other")
_SAMPLE = generate_sample().texts
NEW_TEXTS = ["plasma", *_SAMPLE[:4], " ".join(_SAMPLE[:9])]


def tiny_model(folder: Path) -> Path:
    """Return the folder of a model, within another one."""
    name = str(write_tiny_encoder(folder / "encoder"))
    encoder = EncoderSettings(name=name, max_length=48, precision="float32", device="cpu")
    calibration = Calibration(0.5, (0.3, -0.5, 0.2), (0.3, 0.2, 0.5), 30, 1.0, 0.9)
    settings = TrialSettings(arm="vanilla").to_config()
    model = TrainedModel(
        classes=CLASSES,
        counts=(9, 6, 15),
        settings=settings,
        encoder=name,
        max_length=48,
        calibration=calibration,
    )
    card = ModelCard(study="adme", verdict="Not shown.")
    write_model(build_classifier(encoder, 3, 1), encoder, model, card, "abc", NEW_TEXTS, folder / "winner")
    return folder / "winner"
