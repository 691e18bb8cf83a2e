"""A classifier as an ONNX file, which has to give what the classifier gives."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.errors import TrialFailed, first_line

OPSET = 18
LARGEST_DIFFERENCE = 1e-4  # of a probability


class _Probabilities(torch.nn.Module):
    """A classifier whose inputs come in their order, and whose outputs are logits and probabilities."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (batch, C) logits and probabilities of (batch, sequence) inputs."""
        logits: torch.Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits, logits.softmax(dim=-1)


def export_onnx(model: Any, tokenizer: Any, texts: Sequence[str], path: Path) -> None:
    """Write a classifier as ONNX, and compare the file's probabilities with the classifier's.

    Its inputs are what the model reads of what the tokenizer gives, (batch, sequence) int64; its outputs ``logits`` and
    ``probabilities``, (batch, C) float32.

    Parameters
    ----------
    model
        A float32 classifier of transformers on the CPU.
    tokenizer
        Its tokenizer, whose ``model_max_length`` is the longest text in tokens.
    texts
        Texts of different lengths to compare on.
    path
        The file.

    Raises
    ------
    TrialFailed
        The architecture cannot be translated, or the file gives other probabilities.
    """
    whole = _Probabilities(model, list(_encoded(tokenizer, texts[:1]))).eval()
    # Two rows of unlike length, so that batch, length and padding all take part in what is traced.
    example = _encoded(tokenizer, (texts[0], f"{texts[0]} {texts[0]}"))
    axes = {name: {0: "batch", 1: "sequence"} for name in whole.names}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            # By tracing: torch's newer exporter needs two more packages and six times as long, for the same numbers.
            # What tracing can get wrong, a constant where a length should be, shows in the comparison.
            torch.onnx.export(
                whole,
                tuple(torch.from_numpy(ids) for ids in example.values()),
                str(path),
                input_names=list(whole.names),
                output_names=["logits", "probabilities"],
                dynamic_axes={**axes, "logits": {0: "batch"}, "probabilities": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
        difference = _largest_difference(whole, tokenizer, texts, path)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise TrialFailed(f"{type(model).__name__} cannot be written as ONNX: {first_line(error)}") from error
    if not difference <= LARGEST_DIFFERENCE:
        raise TrialFailed(
            f"{path.name} does not give the probabilities of the {type(model).__name__} that it was written from: they "
            f"differ by up to {difference:.2g}, and {LARGEST_DIFFERENCE:g} is allowed"
        )


def _largest_difference(whole: _Probabilities, tokenizer: Any, texts: Sequence[str], path: Path) -> float:
    import onnxruntime  # takes a moment to load, and only this needs it

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    read = {
        each.name for each in session.get_inputs()
    }  # what the architecture ignores is no input of the file
    largest = 0.0
    # Each alone, and all together with padding.
    for batch in (*((text,) for text in texts), tuple(texts)):
        encoded = _encoded(tokenizer, batch)
        (found,) = session.run(["probabilities"], {name: encoded[name] for name in read})
        with torch.inference_mode():
            expected = whole(*(torch.from_numpy(ids) for ids in encoded.values()))[1].numpy()
        largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def _encoded(tokenizer: Any, texts: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    encoded = tokenizer(list(texts), truncation=True, padding=True, return_tensors="np")
    return {name: np.asarray(ids, np.int64) for name, ids in encoded.items()}
