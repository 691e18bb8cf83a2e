"""Compute in low precision, keep float32 weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from trainables.cpu.memory import keep_freed_memory
from trainables.model.encoder import head_modules


@contextmanager
def compute_in(model: Any, dtype: torch.dtype) -> Iterator[dict[torch.nn.Parameter, torch.Tensor]]:
    """Hold a float32 model's encoder weights in ``dtype`` for a while; on leaving, its float32 weights are restored.

    The classification head stays in float32, so that logits are not rounded to 8 bits: rounded ones tie, which
    spoils rankings (AUPRC) and calibration. On a CPU the normalisations stay in float32 too: their weights lie near 1,
    where bfloat16 numbers are 1/128 apart, and a short stage would move few of them that far. On a GPU they are
    rounded, because normalisation there only takes weights of its input's data type. A masked-language head may share
    its weights with the word embeddings: they stay in float32, and what is looked up in them is rounded.

    Yields
    ------
    Each parameter's float32 tensor, which the model gets back afterwards. Write trained weights there.
    """
    keep_freed_memory()
    masters = {parameter: parameter.data for parameter in model.parameters()}
    heads = [module for _, module in head_modules(model)]
    full = {parameter for module in (*heads, *_norms(model)) for parameter in module.parameters()}
    handles = [module.register_forward_pre_hook(_to_float32) for module in heads]
    embedding = model.get_input_embeddings()
    if embedding.weight in full:
        handles.append(embedding.register_forward_hook(lambda module, inputs, output: output.to(dtype)))
    try:
        for parameter, master in masters.items():
            if parameter not in full:
                parameter.data = master.to(dtype)
        yield masters
    finally:
        for handle in handles:
            handle.remove()
        for parameter, master in masters.items():
            parameter.grad = None
            parameter.data = master


def _norms(model: Any) -> list[torch.nn.Module]:
    """Return the normalisations that accept float32 weights with an input in low precision."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    return [norm for norm in norms if all(p.device.type == "cpu" for p in norm.parameters())]


def _to_float32(module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.float() if torch.is_tensor(x) and x.is_floating_point() else x for x in inputs)
