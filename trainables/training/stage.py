"""One training stage: a new optimizer and schedule, so many steps, on one set of rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.cpu.bert import has_fast_forward
from trainables.cpu.dropout import MaskGenerator
from trainables.model.embedding import OccurringEmbedding, occurring_tokens
from trainables.model.encoder import encoder_layers, head_modules, layer_rate_factors, modules_above_layers
from trainables.model.flops import peak_flops
from trainables.model.precision import compute_in
from trainables.seeds import derive_seed
from trainables.texts.batching import PADDED_WINDOW, steps_of, steps_per_epoch, training_batches
from trainables.texts.tokens import TokenisedTexts
from trainables.training.batch_gradient import BatchGradient
from trainables.training.losses import Loss, cross_entropy
from trainables.training.optimizer import FlatAdamW
from trainables.training.running_stage import RunningStage, StageProgress, StageState
from trainables.world import World

__all__ = ["StageReport", "World", "learning_rate_at", "stage_steps", "train_stage"]


@dataclass(frozen=True)
class StageReport:
    """What a stage did.

    Attributes
    ----------
    steps, rows
        Optimizer steps, and rows that they saw over all workers.
    seconds
        Wall time of the stage with its set-up, without what ``after_step`` took (checkpoints, the cache) once the
        steps before it were done; of what was done here alone where it went on from an earlier state.
    real_tokens, padded_tokens
        Tokens of this worker's batches without and with padding; done here, as ``seconds`` and ``flops`` are.
    mean_loss, last_loss
        Mean over all steps and loss of the last step (this worker's part).
    flops
        Floating point operations that the model asks for on this worker's real tokens.
    peak_flops
        What the device could do a second; None where that is not known.
    micro_batch
        Longest rows that this worker computed at once: fewer than its part of a batch where memory ran out.
    resumed_at
        Steps that were not done here but taken from a checkpoint or a shorter stage.
    """

    steps: int
    rows: int
    seconds: float
    real_tokens: int
    padded_tokens: int
    mean_loss: float
    last_loss: float
    flops: float
    peak_flops: float | None
    micro_batch: int
    resumed_at: int

    @property
    def mfu(self) -> float | None:
        """Share of the device's peak that the model's operations made up; None where the peak is not known."""
        return self.flops / self.seconds / self.peak_flops if self.peak_flops else None


def learning_rate_at(step: int, steps: int, peak: float, schedule: str, warmup_steps: int) -> float:
    """Return the learning rate of step 0 … steps - 1.

    It rises over ``warmup_steps`` steps to ``peak``, then stays (``constant``) or falls in equal steps, the one after
    the last being 0 (``linear``).
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    if schedule == "constant":
        return peak
    if schedule == "linear":
        return peak * (steps - step) / (steps - warmup_steps)
    raise ValueError(f"schedule is {schedule!r}; expected 'constant' or 'linear'")


def train_stage(
    model: Any,
    tokens: TokenisedTexts,
    labels: npt.NDArray[np.int64],
    *,
    epochs: float | None = None,
    steps: int | None = None,
    learning_rate: float,
    schedule: str = "linear",
    warmup: float = 0.1,
    batch_size: int = 16,
    weight_decay: float = 0.01,
    max_grad_norm: float = 1.0,
    layer_decay: float = 1.0,
    trainable: str = "all",
    seed: int = 0,
    precision: torch.dtype = torch.float32,
    world: World | None = None,
    loss: Loss = cross_entropy,
    resume: StageState | None = None,
    after_step: Callable[[RunningStage], None] | None = None,
) -> StageReport:
    """Train a classifier in place on one set of rows.

    Parameters
    ----------
    model
        A float32 classifier of :func:`trainables.model.encoder.build_classifier`; it is float32 again afterwards.
    tokens, labels
        n rows, and their (n,) labels.
    epochs, steps
        Length of the stage; exactly one of both.
    learning_rate, schedule, warmup
        Peak rate; ``linear`` or ``constant``; share of steps in which it rises: of the stage's steps
        (``linear``), or of one epoch's (``constant``, so that a longer stage begins with a shorter one).
    batch_size
        Rows per step over all workers.
    layer_decay
        Factor by which the learning rate falls from each layer to the one below it.
    trainable
        ``all``, ``last_block`` (the last encoder layer and all above it) or ``head``.
    seed
        Of the order of the batches and of dropout.
    precision
        Data type to compute in; weights and moments are float32 in any case.
    world
        The workers that share the stage.
    loss
        Loss of each row.
    resume
        Where a run of this stage, or of one that it begins with, was interrupted; goes on from there bit for bit.
    after_step
        Called after each step with the stage as it is then.

    Raises
    ------
    TrialFailed
        A loss or a gradient was not finite, or not even one row fits in memory.

    Notes
    -----
    A batch that does not fit in memory is computed in parts whose gradients add up to that of the whole. The failed
    try leaves nothing behind: the parts begin with the random numbers that the whole began with. They draw their
    dropout masks part by part, so that the masks are others than those of the whole.
    """
    if (epochs is None) == (steps is None):
        raise ValueError("give either epochs or steps")
    if len(tokens) == 0:
        raise ValueError("a stage needs at least one row")
    started = time.perf_counter()
    world = world or World.single()
    total = stage_steps(len(tokens), batch_size, epochs, steps)
    warmup_steps = round(
        warmup * (total if schedule == "linear" else steps_per_epoch(len(tokens), batch_size))
    )
    pad_id = model.config.pad_token_id
    device = next(model.parameters()).device
    with ExitStack() as stack:
        optimizer = stack.enter_context(
            _optimizer(model, tokens, trainable, precision, pad_id, weight_decay, max_grad_norm, layer_decay)
        )
        masks = stack.enter_context(_training_mode(model, derive_seed(seed, "dropout", world.rank)))
        gradient = BatchGradient(model, tokens, labels, optimizer, masks, precision, world)
        stage = RunningStage(model, optimizer, gradient, StageProgress(device, gradient))
        if resume is not None:
            stage.load_state(resume)
        first, progress, elsewhere = stage.step, stage.progress, 0.0
        window = 1 if has_fast_forward(model) else PADDED_WINDOW  # that pass pads in attention alone
        batches = training_batches(tokens.lengths, batch_size, total, derive_seed(seed, "batches"), window)
        for step, batch in enumerate(islice(batches, first, None), first):
            rate = learning_rate_at(step, total, learning_rate, schedule, warmup_steps)
            work = gradient.of(batch, loss, step / total)
            progress.add(work, optimizer.step(rate), rate)
            stage.step = step + 1
            if after_step is not None:
                stepped, waited = time.perf_counter(), progress.waited
                after_step(stage)
                # A GPU still computes when it is asked for its weights: that wait is training.
                elsewhere += time.perf_counter() - stepped - (progress.waited - waited)
        progress.check()
        optimizer.write_back()
    return StageReport(
        total,
        progress.rows,
        time.perf_counter() - started - elsewhere,
        progress.real_tokens,
        progress.padded_tokens,
        progress.mean(),
        progress.last(),
        progress.flops,
        peak_flops(device, precision),
        gradient.rows_at_once(batch_size),
        first,
    )


def stage_steps(n_rows: int, batch_size: int, epochs: float | None, steps: int | None) -> int:
    """Return the optimizer steps of a stage whose length is given in epochs or in steps."""
    return steps if steps is not None else steps_of(n_rows, batch_size, epochs or 0.0)


@contextmanager
def _optimizer(
    model: Any,
    tokens: TokenisedTexts,
    trainable: str,
    precision: torch.dtype,
    pad_id: int,
    weight_decay: float,
    max_grad_norm: float,
    layer_decay: float,
) -> Iterator[FlatAdamW]:
    """Set up the model's parameters for training, and put everything back on leaving."""
    trained = trained_parameters(model, trainable)
    embedding = model.get_input_embeddings()
    factors = layer_rate_factors(model, layer_decay) if layer_decay != 1.0 else {}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in trained)
    with compute_in(model, precision) as masters:
        table = None
        if embedding.weight in trained:
            occurring = OccurringEmbedding(embedding, occurring_tokens(tokens.ids, pad_id), precision)
            table = masters[embedding.weight][occurring.occurring]
            model.set_input_embeddings(occurring)
        optimizer = FlatAdamW(
            {p: masters[p] for p in model.parameters() if p in trained and p is not embedding.weight},
            table,
            weight_decay=weight_decay,
            max_grad_norm=max_grad_norm,
            rate_factors=factors,
            table_rate_factor=factors.get(embedding.weight, 1.0),
        )
        if optimizer.table is not None:
            occurring.bind(optimizer.table, optimizer.table_gradient)
        try:
            yield optimizer
            if optimizer.table is not None:
                masters[embedding.weight][occurring.occurring] = optimizer.table
        finally:
            model.set_input_embeddings(embedding)
            for parameter in model.parameters():
                parameter.requires_grad_(True)


def trained_parameters(model: Any, trainable: str) -> set[torch.nn.Parameter]:
    """Return the parameters that a stage trains: ``all``, ``last_block`` or ``head``."""
    if trainable == "all":
        return set(model.parameters())
    if trainable == "head":
        return {p for _, module in head_modules(model) for p in module.parameters()}
    if trainable != "last_block":
        raise ValueError(f"trainable is {trainable!r}; expected 'all', 'last_block' or 'head'")
    return {p for module in (last_block(model), *modules_above_layers(model)) for p in module.parameters()}


def last_block(model: Any) -> torch.nn.Module:
    """Return the encoder's last layer."""
    return encoder_layers(model)[-1]


@contextmanager
def _training_mode(model: Any, seed: int) -> Iterator[MaskGenerator | None]:
    """Switch dropout on, with masks that depend on the seed alone."""
    device = next(model.parameters()).device
    model.train()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield MaskGenerator(seed) if device.type == "cpu" else None
    finally:
        model.eval()
