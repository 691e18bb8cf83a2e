"""AdamW on flat buffers: one tensor each for weights, gradients and moments, a few large operations a step."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from trainables.training.stage_settings import StageSettings

# Views begin at multiples of a cache line, so that vector instructions stay aligned.
_ALIGNMENT = 32


@dataclass(frozen=True)
class _Slot:
    parameter: torch.nn.Parameter
    start: int
    stop: int

    def view(self, flat: torch.Tensor) -> torch.Tensor:
        return flat[self.start : self.stop].view(self.parameter.shape)


class FlatAdamW:
    """AdamW with decoupled weight decay and clipping by the global gradient norm.

    Decay applies to matrices, not to biases and normalisation weights. The arithmetic is that of ``torch.optim.AdamW``
    after ``clip_grad_norm_`` on float32 weights; parameters may compute in bfloat16, as rounded copies.

    Parameters
    ----------
    masters
        Each trained parameter and its float32 values. The parameters become views of the flat buffers.
    table
        (U, H) float32 word embedding rows to train with them, or None.
    settings
        ``weight_decay`` and ``max_grad_norm`` are read.
    rate_factors
        Factor on the learning rate of each parameter; 1 where it is not named.
    table_rate_factor
        Factor on the table's learning rate.

    References
    ----------
    Loshchilov & Hutter, Decoupled Weight Decay Regularization, ICLR 2019, algorithm 2.
    """

    def __init__(
        self,
        masters: Mapping[torch.nn.Parameter, torch.Tensor],
        table: torch.Tensor | None,
        settings: StageSettings,
        *,
        rate_factors: Mapping[torch.nn.Parameter, float] | None = None,
        table_rate_factor: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self._max_grad_norm = settings.max_grad_norm
        self._betas, self._eps = betas, eps
        self._masters = masters
        factors = rate_factors or {}
        ordered = sorted(
            masters,
            key=lambda p: (factors.get(p, 1.0) != table_rate_factor, factors.get(p, 1.0), p.dim() < 2),
        )
        device = next(iter(masters)).device if masters else torch.device("cpu")
        self._slots: list[_Slot] = []
        position = _aligned(table.numel()) if table is not None else 0
        weight_decay = settings.weight_decay
        stops = [(position, table_rate_factor, weight_decay)]
        for parameter in ordered:
            self._slots.append(_Slot(parameter, position, position + parameter.numel()))
            position = _aligned(position + parameter.numel())
            stops.append(
                (position, factors.get(parameter, 1.0), weight_decay if parameter.dim() >= 2 else 0.0)
            )
        self._runs = _runs(stops)
        self.weights = torch.zeros(position, device=device)
        self.gradient = torch.zeros(position, device=device)
        self._mean, self._square = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self._step = torch.zeros((), device=device)
        self.table: torch.Tensor | None = None
        self.table_gradient: torch.Tensor | None = None
        self._dense_start = 0
        if table is not None:
            self._dense_start = _aligned(table.numel())
            self.table = self.weights[: table.numel()].view(table.shape)
            self.table_gradient = self.gradient[: table.numel()].view(table.shape)
            self.table.copy_(table)
        low = {slot.parameter.dtype for slot in self._slots} - {torch.float32}
        self._compute = torch.zeros(position, device=device, dtype=low.pop()) if low else None
        for slot in self._slots:
            slot.view(self.weights).copy_(masters[slot.parameter])
            source = self.weights if slot.parameter.dtype == torch.float32 else self._compute
            assert source is not None
            slot.parameter.data = slot.view(source)
        self._round_weights()

    def collect(self, *, add: bool = False) -> None:
        """Move the parameters' gradients to the flat buffer, in float32, or add them to what is there."""
        views, gradients = [], []
        for slot in self._slots:
            gradient = slot.parameter.grad
            if gradient is not None:
                views.append(slot.view(self.gradient))
                gradients.append(gradient)
                slot.parameter.grad = None
            elif not add:
                slot.view(self.gradient).zero_()
        # One kernel on a GPU in place of one a parameter; on a CPU PyTorch goes through the lists itself.
        if views and add:
            torch._foreach_add_(views, gradients)
        elif views:
            torch._foreach_copy_(views, gradients)

    def discard(self) -> None:
        """Forget the gradients of the current step."""
        for slot in self._slots:
            slot.parameter.grad = None
        if self.table_gradient is not None:
            self.table_gradient.zero_()

    def step(self, learning_rate: float) -> torch.Tensor:
        """Clip the flat gradient, update the weights, and return the gradient's norm before clipping, ()."""
        norm = torch.dot(self.gradient, self.gradient).sqrt()  # several times as fast as vector_norm on a CPU
        # The fused kernel divides the gradient by this as it goes: clipping needs no pass of its own.
        scale = ((norm + 1e-6) / self._max_grad_norm).clamp(min=1.0) if self._max_grad_norm > 0 else None
        self._step += 1
        for part, factor, decay in self._runs:
            torch._fused_adamw_(
                [self.weights[part]],
                [self.gradient[part]],
                [self._mean[part]],
                [self._square[part]],
                [],
                [self._step],
                lr=learning_rate * factor,
                beta1=self._betas[0],
                beta2=self._betas[1],
                weight_decay=decay,
                eps=self._eps,
                amsgrad=False,
                maximize=False,
                grad_scale=scale,
                found_inf=None,
            )
        self._round_weights()
        if self.table_gradient is not None:
            self.table_gradient.zero_()
        return norm

    def write_back(self) -> None:
        """Copy the trained weights to the float32 tensors that the optimizer was given."""
        for slot in self._slots:
            self._masters[slot.parameter].copy_(slot.view(self.weights))

    def trained(self) -> dict[torch.nn.Parameter, torch.Tensor]:
        """Return each parameter's float32 weights as they are now; :attr:`table` has those of the table."""
        return {slot.parameter: slot.view(self.weights) for slot in self._slots}

    def state(self) -> dict[str, torch.Tensor]:
        """Return copies, on the CPU, of all that a later step depends on, to be taken between two steps."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in self._state().items()}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a :meth:`state` of an optimizer of the same parameters, bit for bit.

        Raises
        ------
        ValueError
            The state belongs to other parameters.
        """
        own = self._state()
        found = {name: tuple(tensor.shape) for name, tensor in state.items()}
        expected = {name: tuple(tensor.shape) for name, tensor in own.items()}
        if found != expected:
            raise ValueError(f"optimizer state has {found}; expected {expected}")
        for name, tensor in own.items():
            tensor.copy_(state[name])
        self._round_weights()

    def _state(self) -> dict[str, torch.Tensor]:
        return {"weights": self.weights, "mean": self._mean, "square": self._square, "step": self._step}

    def _round_weights(self) -> None:
        if self._compute is not None:
            self._compute[self._dense_start :].copy_(self.weights[self._dense_start :])


def _aligned(position: int) -> int:
    return -(-position // _ALIGNMENT) * _ALIGNMENT


def _runs(stops: list[tuple[int, float, float]]) -> list[tuple[slice, float, float]]:
    """Return (part of the buffer, rate factor, weight decay) of each run of neighbours that share both values."""
    runs, start = [], 0
    for (factor, decay), group in itertools.groupby(stops, key=lambda stop: stop[1:]):
        *_, (stop, _, _) = group
        if stop > start:
            runs.append((slice(start, stop), factor, decay))
        start = stop
    return runs
