"""How much arithmetic training takes, and how much the device could do: model FLOPs utilisation (MFU)."""

from __future__ import annotations

import functools
import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.model.encoder import encoder_layers, head_modules

# Dense bfloat16 peaks in TFLOP/s from the vendors' data sheets, by a part of the device's name; the first match counts.
_GPU_PEAKS = (
    ("GH200", 989.4),
    ("H100 PCIe", 756.5),
    ("H100 NVL", 835.5),
    ("H100", 989.4),
    ("H200 NVL", 835.5),
    ("H200", 989.4),
    ("A100", 312.0),
    ("A10G", 70.0),
    ("A10", 125.0),
    ("A30", 165.0),
    ("A40", 149.7),
    ("L40S", 362.0),
    ("L4", 121.0),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
)
# Slices of a GPU and slower or faster siblings bear the name of one in the table, but have another peak.
_OTHER_PEAK = re.compile(r"\b(MIG|Laptop|Max-Q|SUPER|Ti|D)\b")
# A product of two such matrices is large enough for full speed, and takes milliseconds.
_PEAK_SIZE, _PEAK_RUNS = 1024, 5


@dataclass(frozen=True)
class FlopCount:
    """Floating point operations of one pass over texts, a multiply-add being two.

    Attributes
    ----------
    per_token
        Matrix products with the layers' weights.
    per_square
        Attention per squared length: scores and their sum over values.
    per_text
        Pooler and head, unless the head works on tokens.

    References
    ----------
    Chowdhery et al., PaLM, 2022, appendix B.
    """

    per_token: float
    per_square: float
    per_text: float

    def of(self, lengths: npt.NDArray[np.int64]) -> float:
        """Return the operations for texts of (b,) real tokens each; padding does not count as work."""
        lengths = np.asarray(lengths, np.float64)
        return float(
            self.per_token * lengths.sum()
            + self.per_square * np.square(lengths).sum()
            + self.per_text * len(lengths)
        )


def model_flops(model: Any, *, backward: bool, asked: float | None = None) -> FlopCount:
    """Return the operations of a BERT-like model.

    Every layer counts as transformers computes it: for all tokens, whether or not the head reads them. The backward
    pass of a trained part takes twice its forward pass; a part whose parameters are all frozen has none.

    Parameters
    ----------
    model
        A classifier of :func:`trainables.model.encoder.build_classifier`, or a masked language model.
    backward
        Count the backward pass too.
    asked
        Share of the tokens on which a masked language model's head computes; None for a classifier, whose head
        computes once a text.
    """
    per_token = per_square = per_text = 0.0
    width = model.config.hidden_size
    for layer in encoder_layers(model):
        passes = _passes(layer, backward)
        per_token += passes * 2.0 * _matrix_weights(layer)
        per_square += passes * 4.0 * width
    for _, module in head_modules(model):
        head = _passes(module, backward) * 2.0 * _matrix_weights(module)
        if asked is None:
            per_text += head
        else:
            per_token += asked * head
    pooler = getattr(model.base_model, "pooler", None)
    if pooler is not None:
        per_text += _passes(pooler, backward) * 2.0 * _matrix_weights(pooler)
    return FlopCount(per_token, per_square, per_text)


def peak_flops(device: torch.device, dtype: torch.dtype) -> float | None:
    """Return the operations per second that a device can do in matrix products of a data type.

    A GPU's peak is its data sheet's, in bfloat16; None for other data types and for GPUs that the table lacks. A
    CPU's is measured once per process and number of threads.
    """
    if device.type == "cuda":
        if dtype != torch.bfloat16:
            return None
        return gpu_peak(torch.cuda.get_device_name(device))
    return _measured_peak(dtype, torch.get_num_threads()) if device.type == "cpu" else None


def gpu_peak(name: str) -> float | None:
    """Return the dense bfloat16 peak of a GPU by its name, in operations a second; None for an unknown one.

    Also None for a slice of a GPU (MIG), since its name does not tell its share of the peak.

    Examples
    --------
    >>> gpu_peak("NVIDIA A100-SXM4-80GB")
    312000000000000.0
    """
    if _OTHER_PEAK.search(name):
        return None
    found = (peak for part, peak in _GPU_PEAKS if re.search(rf"\b{re.escape(part)}\b", name))
    return next((peak * 1e12 for peak in found), None)


@functools.cache
def _measured_peak(dtype: torch.dtype, threads: int) -> float:
    """Return the best of a few matrix products; ``threads`` only tells remembered results apart."""
    a, b = (torch.ones(_PEAK_SIZE, _PEAK_SIZE, dtype=dtype) for _ in range(2))
    product = torch.empty_like(a)
    best = float("inf")
    for _ in range(_PEAK_RUNS + 1):  # the first compiles the kernel
        started = time.perf_counter()
        torch.mm(a, b, out=product)
        best = min(best, time.perf_counter() - started)
    return 2.0 * _PEAK_SIZE**3 / best


def _matrix_weights(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.dim() == 2)


def _passes(module: torch.nn.Module, backward: bool) -> int:
    return 3 if backward and any(parameter.requires_grad for parameter in module.parameters()) else 1
