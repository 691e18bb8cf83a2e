"""A masked language model of transformers taken apart, so that its head runs on the positions asked for alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.errors import ConfigurationError
from trainables.model.masked_lm import head_logits

_TOLERANCE = 1e-3


class EncoderAndHead:
    """Encoder and head of a ``…ForMaskedLM``, run separately; the head gives the logits of some words alone.

    Parameters
    ----------
    model
        The model, in float32 on the CPU; it is changed and must not be used otherwise afterwards.
    columns
        (C,) int64, entries of the vocabulary whose logits are asked for.
    probe
        Some token ids with special tokens, on which the parts are compared with the whole.

    Raises
    ------
    ConfigurationError
        The head does not work on positions one by one.
    """

    def __init__(self, model: Any, columns: npt.NDArray[np.int64], probe: Sequence[int]) -> None:
        self._model = model.eval()
        self._base = model.base_model
        self._encoder = self._base.forward
        self._columns: torch.Tensor | None = torch.from_numpy(columns)
        ids = torch.tensor([list(probe)])
        with torch.no_grad():
            expected = model(input_ids=ids).logits[0][:, self._columns]
            hidden = self.encode(ids, torch.ones_like(ids))[0]
            # Another order and a selection: they show a head that looks at more than one position.
            some = torch.arange(len(hidden) - 1, -1, -2)
            if self._base is model or not _agree(self.decode(hidden[some]), expected[some]):
                raise ConfigurationError(
                    f"masked language model {model.name_or_path or type(model).__name__!r}: its head does not work on "
                    "positions one by one; give a model of BERT's kind"
                )
            self._narrow(columns, hidden[some], expected[some])

    def to(self, device: torch.device, precision: torch.dtype) -> None:
        """Move to a device and a data type."""
        self._model.to(device, precision)
        if self._columns is not None:
            self._columns = self._columns.to(device)

    def encode(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the hidden states (B, L, d) of token ids (B, L)."""
        hidden: torch.Tensor = self._encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        return hidden

    def decode(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, C) of hidden states (n, d): what the model does after its encoder."""
        logits = head_logits(self._model, hidden)
        return logits if self._columns is None else logits[:, self._columns]

    def _narrow(self, columns: npt.NDArray[np.int64], hidden: torch.Tensor, expected: torch.Tensor) -> None:
        """Reduce the last layer to the columns, where the head allows it; else they are selected afterwards."""
        whole = self._model.get_output_embeddings()
        if type(whole) is not torch.nn.Linear or whole.bias is None:
            return
        if whole.out_features <= columns.max():  # DeBERTa's is a projection before the last layer
            return
        narrow = torch.nn.Linear(whole.in_features, len(columns))
        narrow.weight = torch.nn.Parameter(whole.weight[columns].clone(), requires_grad=False)
        narrow.bias = torch.nn.Parameter(whole.bias[columns].clone(), requires_grad=False)
        selected, self._columns = self._columns, None
        self._replace(whole, narrow)
        try:
            if _agree(self.decode(hidden), expected):
                return
        except RuntimeError:  # this head adds something of the vocabulary's size to what the layer gives
            pass
        self._replace(narrow, whole)
        self._columns = selected

    def _replace(self, old: torch.nn.Module, new: torch.nn.Module) -> None:
        for parent in list(self._model.modules()):
            for name, child in list(parent.named_children()):
                if child is old:
                    setattr(parent, name, new)


def _agree(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE)
