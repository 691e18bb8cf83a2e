"""A saved model that labels texts, with the fast forward pass where its architecture has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from trainables.errors import ConfigurationError
from trainables.export.about import read_about
from trainables.model.encoder import place
from trainables.model.forward import predict
from trainables.settings import EncoderSettings
from trainables.texts.tokens import tokenise


@dataclass(frozen=True)
class SavedModel:
    """A model that labels texts.

    Attributes
    ----------
    classes
        C class names.
    max_length
        Longest text in tokens; of a longer one the end is not read.
    classifier, tokenizer
        As transformers loads them.
    """

    classes: tuple[str, ...]
    max_length: int
    classifier: Any
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> SavedModel:
        """Load the model of a folder that :func:`trainables.export.folder.write_model` wrote.

        Raises
        ------
        ConfigurationError
            The folder holds none, or a damaged one.
        """
        about = read_about(folder)
        if about is None:
            raise ConfigurationError(
                f"{folder} holds no model; run the study's launch command, which makes it."
            )
        logging.disable_progress_bar()
        try:
            classifier = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError, RuntimeError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ConfigurationError(
                f"the model in {folder} cannot be loaded ({reason}); remove the folder, and the study's launch "
                "command makes it anew."
            ) from error
        place(classifier, EncoderSettings(device=device))
        return cls(tuple(about["classes"]), about["max_length"], classifier.eval(), tokenizer)

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the (n, C) probabilities of n texts, in their order."""
        logits = predict(self.classifier, tokenise(texts, self.tokenizer, self.max_length))
        return np.asarray(softmax(logits.astype(np.float64), axis=1))
