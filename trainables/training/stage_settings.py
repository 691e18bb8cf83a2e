"""How one stage is trained: one object that is passed unchanged from the arm to the optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainables.texts.batching import steps_per_epoch
from trainables.texts.labelled import LabelledTexts
from trainables.training.losses import Loss, cross_entropy


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """Everything that determines a stage besides the model, its texts, and the workers that share it.

    Attributes
    ----------
    steps
        Optimizer steps.
    learning_rate
        Peak rate.
    schedule, warmup
        ``linear`` or ``constant``; share of steps in which the rate rises: of the stage's steps (``linear``), or of one
        epoch's (``constant``, so that a longer stage begins exactly as a shorter one).
    batch_size
        Texts per step over all workers.
    weight_decay, max_grad_norm
        AdamW's weight decay, and the bound on the global gradient norm; a bound of 0 or less means none.
    layer_decay
        Factor by which the learning rate falls from each layer to the one below it; 1 for none.
    trainable
        One of :data:`trainables.settings.TRAINABLE`.
    loss
        Loss of each text.
    seed
        Seed of the order of the batches and of dropout.
    precision
        Data type to compute in; weights and moments are float32 in any case.
    """

    steps: int
    learning_rate: float
    schedule: str = "linear"
    warmup: float = 0.1
    batch_size: int = 16
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    layer_decay: float = 1.0
    trainable: str = "all"
    loss: Loss = cross_entropy
    seed: int = 0
    precision: torch.dtype = torch.float32

    def warmup_steps(self, n_texts: int) -> int:
        """Return the number of steps in which the rate rises, on a stage of ``n_texts`` texts."""
        whole = self.steps if self.schedule == "linear" else steps_per_epoch(n_texts, self.batch_size)
        return round(self.warmup * whole)

    def rate_at(self, step: int, warmup_steps: int) -> float:
        """Return the learning rate of a step from 0 to steps - 1: :func:`learning_rate_at`."""
        return learning_rate_at(step, self.steps, self.learning_rate, self.schedule, warmup_steps)


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes
    ----------
    name
        ``stage1`` or ``stage2``.
    texts
        What it trains on.
    settings
        How.
    head_seed
        Draw a new head from this seed first; None keeps the head.
    """

    name: str
    texts: LabelledTexts
    settings: StageSettings
    head_seed: int | None = None


def learning_rate_at(step: int, steps: int, peak: float, schedule: str, warmup_steps: int) -> float:
    """Return the learning rate of a step from 0 to steps - 1.

    It rises over ``warmup_steps`` steps to ``peak``, then stays (``constant``) or falls in equal steps, and would be 0
    at the step after the last (``linear``).

    Raises
    ------
    ValueError
        Unknown schedule.
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    if schedule == "constant":
        return peak
    if schedule == "linear":
        return peak * (steps - step) / (steps - warmup_steps)
    raise ValueError(f"schedule is {schedule!r}; expected 'constant' or 'linear'")
