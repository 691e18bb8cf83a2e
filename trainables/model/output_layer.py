"""The last linear layer of a classifier: found in any architecture, drawn anew, or normalised."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from trainables.model.encoder import head_modules

_USUAL_SPREAD = 0.02  # standard deviation of fresh weights, where a configuration names none


class NormalisedLinear(torch.nn.Linear):
    """s · cos(w_c, x): a linear layer without bias on features and class weights of length 1.

    Parameters
    ----------
    weight
        (C, H) values to start from.
    scale
        s, by which the cosines become logits.

    References
    ----------
    Cao et al., NeurIPS 2019, section 3.3: the margins of LDAM need features and weights of bounded length.
    """

    def __init__(self, weight: torch.Tensor, scale: float) -> None:
        super().__init__(weight.shape[1], weight.shape[0], bias=False, device=weight.device)
        self.scale = scale
        with torch.no_grad():
            self.weight.copy_(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the (b, C) logits of (b, H) features."""
        return self.scale * F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))


def output_layer(model: Any) -> torch.nn.Linear:
    """Return the linear layer that a classifier's logits come from: the last one of its head.

    Its input is the pooled output of a text: for BERT after the pooler, for DistilBERT after its
    ``pre_classifier``.

    Raises
    ------
    ValueError
        The head has no linear layer with one output per class.
    """
    return _find(model)[1]


def normalise_output_layer(model: Any, scale: float) -> None:
    """Put a :class:`NormalisedLinear` in the place of a classifier's output layer, with the same weights."""
    name, layer = _find(model)
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, NormalisedLinear(layer.weight.detach(), scale))


def redraw_output_layer(model: Any, seed: int) -> torch.nn.Linear:
    """Draw the output layer anew as the architecture does, in place, and return it; nothing else changes."""
    layer = output_layer(model)
    generator = torch.Generator().manual_seed(seed)
    named = (
        getattr(model.config, name, None) for name in ("initializer_range", "init_std")
    )  # XLM's is the latter
    spread = next((value for value in named if value is not None), _USUAL_SPREAD)
    fresh = torch.empty(layer.weight.shape).normal_(0.0, spread, generator=generator)
    with torch.no_grad():
        layer.weight.copy_(fresh)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


def _find(model: Any) -> tuple[str, torch.nn.Linear]:
    found = [
        (f"{head}.{name}" if name else head, module)
        for head, part in head_modules(model)
        for name, module in part.named_modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == model.config.num_labels
    ]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no linear layer with {model.config.num_labels} outputs in its head"
        )
    return found[-1]
