"""How much memory of a GPU a trial takes at its peak, estimated before it runs.

With P parameters, L layers, hidden size h, intermediate size i, t = batch size x greatest length tokens in a step, and
s bytes per activation (2 in bfloat16, 4 in float32), a trial holds:

- 24 P: float32 weights of the model (4), the optimizer's float32 weights, gradients and two moments (16), and either
  bfloat16 weights and gradients (2 + 2) or float32 gradients (4).
- t · L · (s · (8 h + 2 i) + 2 h): what the layers keep for the backward pass, dropout masks of one byte included. With
  i = 4 h and s = 2 that is the 34 · t · h a layer of Korthikanti et al., Reducing Activation Recomputation in Large
  Transformer Models, MLSys 2023, eq. 1, without its term 5 · a · l · t: fused attention keeps no attention matrix.
- t · (2 s + 1) · h: the same for the embeddings; and t · s · (i + 3 h): gradients on their way through one layer.
- Instead of all the terms with t, if it is more: the activations of one layer for an evaluation batch, whose tokens
  outnumber a step's.
- a constant for the CUDA context, the libraries' workspaces and loaded kernels.

Activations are multiplied by an allowance for what the allocator cannot use again. The logits of a classifier are
left out: they are b · C numbers, against b · l · h. The constant and the allowance are assumptions, on the safe side of
what PyTorch's own reports show; the estimate decides how many trials share a GPU, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainables.model.forward import EVALUATION_TOKENS
from trainables.model.pretrained import read_config
from trainables.settings import EncoderSettings

CONTEXT_BYTES = 800 * 10**6
ALLOCATOR_ALLOWANCE = 1.25
SHARE_OF_GPU = 0.9
MOST_PER_GPU = 8
_BYTES_PER_PARAMETER = 24


@dataclass(frozen=True)
class EncoderShape:
    """What the estimate needs to know of an encoder.

    Attributes
    ----------
    parameters
        P, embeddings included.
    layers, hidden, intermediate
        L, h and i.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int


def shape_of(settings: EncoderSettings) -> EncoderShape:
    """Return an encoder's shape from its configuration; no weights are read."""
    from transformers import AutoModelForSequenceClassification

    config = read_config(settings)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    hidden = int(config.hidden_size)
    intermediate = (
        getattr(config, "intermediate_size", None) or getattr(config, "hidden_dim", None) or 4 * hidden
    )
    return EncoderShape(
        sum(p.numel() for p in model.parameters()), int(config.num_hidden_layers), hidden, int(intermediate)
    )


def activation_bytes(shape: EncoderShape, tokens: int, precision: torch.dtype) -> int:
    """Return the bytes that a forward pass keeps for the backward pass.

    Parameters
    ----------
    shape
        The encoder.
    tokens
        Tokens of the step, t, padding included.
    precision
        Data type of activations.
    """
    s = precision.itemsize
    layer = s * (8 * shape.hidden + 2 * shape.intermediate) + 2 * shape.hidden
    return tokens * (shape.layers * layer + (2 * s + 1) * shape.hidden)


def trial_bytes(shape: EncoderShape, tokens: int, precision: torch.dtype) -> int:
    """Return the bytes of GPU memory that a trial takes at its peak; see the module for the formula."""
    s = precision.itemsize
    passing = tokens * s * (shape.intermediate + 3 * shape.hidden)
    training = activation_bytes(shape, tokens, precision) + passing
    evaluating = EVALUATION_TOKENS["cuda"] * s * (shape.intermediate + 5 * shape.hidden)
    activations = round(ALLOCATOR_ALLOWANCE * max(training, evaluating))
    return CONTEXT_BYTES + _BYTES_PER_PARAMETER * shape.parameters + activations


def trials_per_gpu(gpu_bytes: int, needed: int) -> int:
    """Return how many trials share a GPU: as many as fit into nine tenths of its memory, 1 to 8.

    Parameters
    ----------
    gpu_bytes
        Memory of the GPU.
    needed
        Memory of one trial, from :func:`trial_bytes`.
    """
    return max(1, min(MOST_PER_GPU, int(SHARE_OF_GPU * gpu_bytes) // needed))
