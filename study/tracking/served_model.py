"""A study's model as MLflow serves it: code that is logged with the model, and needs nothing of this project.

MLflow's own flavour for transformers gives the top label alone, and MLflow 3.17 declares transformers up to 5.17. This
needs neither transformers nor torch, so that a fresh environment for it is small.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
from tokenizers import Tokenizer

_TEXTS = 32  # in a batch


class LabelledTexts(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Texts in, the calibrated probability of every class out."""

    def load_context(self, context: Any) -> None:
        """Open the model's folder."""
        folder = Path(context.artifacts["model"])
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        about = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        self.classes = list(about["classes"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(about["max_length"])
        pad = config.get("pad_token_id") or 0
        self.tokenizer.enable_padding(pad_id=pad, pad_token=self.tokenizer.id_to_token(pad))
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), providers=["CPUExecutionProvider"]
        )

    # A data frame is the one type hint of which MLflow neither makes a schema of its own nor warns.
    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return a column of probabilities for each class, a row for each text.

        Parameters
        ----------
        context, params
            MLflow's own; not read.
        model_input
            A data frame with the column ``text``.
        """
        texts = model_input["text"].astype(str).tolist()
        # In order of length, so that padding costs little.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        found = np.zeros((len(texts), len(self.classes)))
        for start in range(0, len(order), _TEXTS):
            rows = order[start : start + _TEXTS]
            found[rows] = self._probabilities([texts[row] for row in rows])
        return pd.DataFrame(found, columns=self.classes, index=model_input.index)

    def _probabilities(self, texts: list[str]) -> Any:
        encoded = self.tokenizer.encode_batch(texts)
        given = {
            "input_ids": [each.ids for each in encoded],
            "attention_mask": [each.attention_mask for each in encoded],
            "token_type_ids": [each.type_ids for each in encoded],
        }
        read = {each.name: np.array(given[each.name], dtype=np.int64) for each in self.session.get_inputs()}
        return self.session.run(["probabilities"], read)[0]


mlflow.models.set_model(LabelledTexts())
