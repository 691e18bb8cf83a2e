"""Dropout from a fast generator of random words.

PyTorch draws dropout masks on the CPU one Bernoulli number at a time from one serial generator: a quarter of
a training step. Here 16 random bits per number are cut from a stream of 64-bit words and compared with a
threshold, which is some ten times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.overrides import TorchFunctionMode

_LEVELS = 1 << 16
_ONE = {torch.bfloat16: torch.int16, torch.float32: torch.int32}


@dataclass(frozen=True)
class DropoutKey:
    """Determines a dropout mask without storing it: a fused kernel hashes each element's index under the key.

    Attributes
    ----------
    first, second
        32 random bits each.
    p
        Share of numbers to drop, in [0, 1).
    """

    first: int
    second: int
    p: float


NO_DROPOUT = DropoutKey(0, 0, 0.0)


class MaskGenerator:
    """A seeded source of dropout masks.

    The keep probability is a multiple of 2^-16 and the scale of what is kept is its reciprocal in the masks' data
    type, so that E[mask] = 1 within 2^-16. For p = 0.1 in bfloat16, whose numbers near 1.11 are 1/128 apart, that
    means p = 0.0986. Where rounding would change p by more than 5 %, as it would a small p (0.003 would drop nothing),
    p is kept within 2^-16 instead, and E[mask] = 1 within 2^-8.

    Parameters
    ----------
    seed
        Seed of the stream (SFC64).
    """

    def __init__(self, seed: int) -> None:
        self._source = np.random.SFC64(seed)
        self._generator = np.random.Generator(self._source)

    def state(self) -> npt.NDArray[np.uint64]:
        """Return where the stream is, (4,)."""
        words: npt.NDArray[np.uint64] = self._source.state["state"]["state"].copy()
        return words

    def load_state(self, state: npt.NDArray[np.uint64]) -> None:
        """Go on from a :meth:`state`: the next masks are those that followed it."""
        self._source.state = {**self._source.state, "state": {"state": np.asarray(state, np.uint64)}}

    def key(self, p: float) -> DropoutKey:
        """Return a new mask's key for a fused kernel."""
        word = int(self._generator.integers(0, 2**64 - 1, None, np.uint64, endpoint=True))
        return DropoutKey(word >> 32, word & 0xFFFFFFFF, p)

    def mask(self, shape: Iterable[int], p: float, dtype: torch.dtype) -> torch.Tensor:
        """Return a mask to multiply with: 0 with probability p, else 1 / (1 - p).

        Parameters
        ----------
        shape
            Shape of the mask.
        p
            Share of numbers to drop, in [0, 1).
        dtype
            ``torch.bfloat16`` or ``torch.float32``.
        """
        shape = tuple(shape)
        n = int(np.prod(shape))
        scale = torch.tensor(1.0 / (1.0 - p), dtype=dtype)
        of_scale = 1.0 - 1.0 / scale.item()
        dropped = round((of_scale if abs(of_scale - p) <= 0.05 * p else p) * _LEVELS)
        words = self._generator.integers(-(2**63), 2**63 - 1, -(-n // 4), np.int64, endpoint=True)
        numbers = torch.from_numpy(words.view(np.int16)[:n])
        # A comparison that writes the numbers 0 and 1 as integers, times the scale's bit pattern, is the mask
        # itself; each pass is one vector instruction a cache line.
        bits = torch.empty(n, dtype=_ONE[dtype])
        torch.ge(numbers, dropped - _LEVELS // 2, out=bits)
        bits.mul_(scale.view(_ONE[dtype]).item())
        return bits.view(dtype).view(shape)


class FastDropout(TorchFunctionMode):
    """While active, ``torch.nn.functional.dropout`` on the CPU takes its masks from a :class:`MaskGenerator`.

    Reaches every architecture's dropout, in modules and in attention, without changing the model.
    """

    def __init__(self, masks: MaskGenerator) -> None:
        super().__init__()
        self._masks = masks

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.nn.functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self, tensor: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> torch.Tensor:
        if not training or p == 0.0:
            return tensor
        return tensor * self._masks.mask(tensor.shape, p, tensor.dtype)


def set_dropout(model: Any, rate: float | None) -> None:
    """Set every dropout rate of a model, and those of its configuration; None leaves them.

    Parameters
    ----------
    model
        A transformers model.
    rate
        Share of numbers to drop, in [0, 1).

    Raises
    ------
    ValueError
        The rate is outside [0, 1).
    """
    if rate is None:
        return
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"dropout is {rate}; expected a rate in [0, 1)")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = rate
        _set_rates(module, rate)
    _set_rates(model.config, rate)


def _set_rates(holder: Any, rate: float) -> None:
    """Set the rates that some layers pass to attention or a configuration records: numbers named after dropout."""
    for name, value in list(vars(holder).items()):
        if "dropout" in name and isinstance(value, int | float) and not isinstance(value, bool):
            setattr(holder, name, rate)
