"""A model's folder: written whole or not at all, and known again by the digest of what it was made from."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from trainables.errors import TrialFailed
from trainables.export.about import ABOUT
from trainables.export.calibration import Calibration
from trainables.export.card import ModelCard, TrainedModel, card_text
from trainables.export.folding import fold
from trainables.export.onnx_file import LARGEST_DIFFERENCE, export_onnx
from trainables.model.encoder import save_classifier
from trainables.settings import EncoderSettings

CARD, ONNX = "README.md", "model.onnx"


def write_card(folder: Path, card: ModelCard, model: TrainedModel) -> None:
    """Write a model's card; the verdict's words may have changed since the model was made."""
    text = card_text(card, model)
    path = folder / CARD
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        temporary = path.with_name(f".{CARD}")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)


def write_model(
    classifier: Any,
    encoder: EncoderSettings,
    model: TrainedModel,
    card: ModelCard,
    digest: str,
    texts: Sequence[str],
    folder: Path,
) -> None:
    """Fold the calibration into a trained classifier and write it for transformers and ONNX, with its card.

    What was written is loaded again and compared with what was to be written.

    Parameters
    ----------
    classifier
        The trained float32 classifier; it is changed.
    encoder
        The encoder that it was built from.
    model, card
        What it was made from, and what the study says of it.
    digest
        What stands for everything that the model depends on.
    texts
        Texts of different lengths to compare on; they are not kept.
    folder
        An older model in its place is replaced.

    Raises
    ------
    ConfigurationError
        The architecture has no place for the calibration.
    TrialFailed
        What was written gives other probabilities.
    """
    logging.disable_progress_bar()
    classifier.cpu().eval()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        new = Path(made, folder.name)
        # As it was before: what the folder gives has to follow from this and the calibration.
        save_classifier(classifier, encoder, model.classes, new)
        loaded, tokenizer = _loaded(new)
        plain = _logits(loaded, tokenizer, texts)
        fold(classifier, model.calibration)
        save_classifier(classifier, encoder, model.classes, new)
        loaded, tokenizer = _loaded(new)
        _check_folded(plain, _logits(loaded, tokenizer, texts), model.calibration, type(loaded).__name__)
        export_onnx(loaded, tokenizer, texts, new / ONNX)
        about = {"digest": digest, **dataclasses.asdict(model), "study": card.study}
        (new / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        write_card(new, card, model)
        _put(new, folder)


def _loaded(folder: Path) -> tuple[Any, Any]:
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


@torch.inference_mode()
def _logits(model: Any, tokenizer: Any, texts: Sequence[str]) -> torch.Tensor:
    encoded = tokenizer(list(texts), truncation=True, padding=True, return_tensors="pt")
    return torch.as_tensor(model(**encoded).logits, dtype=torch.float64)


def _check_folded(plain: torch.Tensor, folded: torch.Tensor, calibration: Calibration, name: str) -> None:
    expected = torch.from_numpy(calibration.apply(plain.numpy())).softmax(dim=1)
    difference = float(np.abs(folded.softmax(dim=1).numpy() - expected.numpy()).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise TrialFailed(
            f"the calibration cannot be folded into the last linear layer of {name}: its probabilities then differ by "
            f"up to {difference:.2g} from the calibrated ones, so something follows that layer"
        )


def _put(new: Path, folder: Path) -> None:
    """Put a complete folder in its place; a kill in between leaves none, and the next launch makes it again."""
    if folder.exists():
        old = new.with_name("replaced")
        os.replace(folder, old)
        shutil.rmtree(old)
    os.replace(new, folder)
