"""A calibration folded into a classifier's last linear layer, so that whoever loads the weights has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from trainables.errors import ConfigurationError
from trainables.export.calibration import Calibration
from trainables.model.output_layer import NormalisedLinear, output_layer

_SAME = 1e-9  # offsets that differ by less are one number, which no probability depends on


def folding_faults(model: Any, calibration: Calibration) -> list[str]:
    """Return why a calibration cannot be folded into a classifier; empty if it can."""
    layer = output_layer(model)
    if isinstance(layer, NormalisedLinear):
        return [
            "a classifier with a normalised output layer (arm ldam_drw) cannot be saved for transformers: s·cos(w, x) "
            "is no linear layer of x, and its architecture has no other; take the next best arm"
        ]
    if layer.bias is None and np.ptp(calibration.offsets) > _SAME:
        return [
            f"{type(model).__name__} has an output layer without a bias, so that no class offset can be folded into "
            "it; take an encoder whose classifier has one (BERT's, RoBERTa's, DeBERTa's and most others' have)"
        ]
    return []


def fold(model: Any, calibration: Calibration) -> None:
    """Fold a calibration into a classifier, in place: W / T and b / T + offsets.

    Raises
    ------
    ConfigurationError
        The architecture has no place for it; the model is then unchanged.
    """
    if faults := folding_faults(model, calibration):
        raise ConfigurationError(faults)
    layer = output_layer(model)
    with torch.no_grad():
        layer.weight.div_(calibration.temperature)
        if layer.bias is not None:
            offsets = torch.tensor(calibration.offsets, dtype=layer.bias.dtype, device=layer.bias.device)
            layer.bias.div_(calibration.temperature).add_(offsets)
