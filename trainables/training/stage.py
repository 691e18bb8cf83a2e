"""One training stage: a new optimizer and schedule, and a number of steps on one set of texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from trainables.cpu.bert import has_fast_layers
from trainables.cpu.dropout import MaskGenerator
from trainables.model.embedding import OccurringEmbedding, occurring_tokens
from trainables.model.encoder import encoder_layers, head_modules, layer_rate_factors, modules_above_layers
from trainables.model.flops import peak_flops
from trainables.model.precision import compute_in
from trainables.seeds import derive_seed
from trainables.settings import TOPMOST_LAYERS, TRAINABLE
from trainables.texts.batching import PADDED_WINDOW, Rows, training_batches
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts
from trainables.training.batch_gradient import BatchGradient
from trainables.training.losses import MaskedTokenLoss
from trainables.training.objective import objective_of
from trainables.training.optimizer import FlatAdamW
from trainables.training.running_stage import RunningStage, StageProgress, StageState
from trainables.training.stage_settings import StageSettings
from trainables.world import World


@dataclass(frozen=True)
class StageReport:
    """What a stage did.

    Attributes
    ----------
    steps, rows
        Optimizer steps, and rows that they saw over all workers.
    seconds
        Wall time of the stage and its set-up, less the time that ``after_step`` took (checkpoints, the cache) once the
        steps before it were done. Where the stage went on from an earlier state, only what was done here counts.
    real_tokens, padded_tokens
        Tokens of this worker's batches without and with padding; like ``seconds`` and ``flops``, only those done here.
    mean_loss, last_loss
        Mean over all steps and loss of the last step (this worker's part).
    flops
        Floating point operations that the model asks for on this worker's real tokens.
    peak_flops
        Operations that the device can do per second; None where that is not known.
    micro_batch
        How many of the longest rows this worker computed at once: fewer than its part of a batch where memory ran out.
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
        """Share of the device's peak that the model's operations reached; None where the peak is not known."""
        return self.flops / self.seconds / self.peak_flops if self.peak_flops else None


def train_stage(
    model: Any,
    texts: LabelledTexts,
    settings: StageSettings,
    *,
    world: World | None = None,
    resume: StageState | None = None,
    after_step: Callable[[RunningStage], None] | None = None,
) -> StageReport:
    """Train a model in place on one set of texts.

    Parameters
    ----------
    model
        A float32 classifier of :func:`trainables.model.encoder.build_classifier`, or, where the loss is that of hidden
        tokens, a model of :func:`trainables.model.masked_lm.build_masked_lm`; it is float32 again afterwards.
    texts
        What it trains on.
    settings
        How.
    world
        The workers that share the stage.
    resume
        State of an earlier run of this stage, or of a shorter one that it begins with; goes on from there bit for bit.
    after_step
        Called after each step with the stage as it is then.

    Raises
    ------
    TrialFailed
        A loss or a gradient was not finite, or not even one row fits in memory.

    Notes
    -----
    A batch that does not fit in memory is computed in parts whose gradients add up to that of the whole. The failed
    try leaves no trace: the parts begin with the random numbers that the whole began with. They draw their dropout
    masks part by part, so these differ from the masks of the whole.
    """
    if len(texts) == 0:
        raise ValueError("a stage needs at least one text")
    started = time.perf_counter()
    world = world or World.single()
    device = next(model.parameters()).device
    warmup_steps = settings.warmup_steps(len(texts))
    with ExitStack() as stack:
        optimizer = stack.enter_context(_optimizer(model, texts.tokens, settings))
        masks = stack.enter_context(_training_mode(model, derive_seed(settings.seed, "dropout", world.rank)))
        objective = objective_of(model, texts, settings, masks)
        lengths = texts.tokens.lengths
        gradient = BatchGradient(model, objective, lengths, optimizer, masks, settings.precision, world)
        stage = RunningStage(model, optimizer, gradient, StageProgress(device, gradient))
        if resume is not None:
            stage.load_state(resume)
        first, progress, elsewhere = stage.step, stage.progress, 0.0
        for step, batch in enumerate(islice(_batches(model, texts.tokens, settings), first, None), first):
            rate = settings.rate_at(step, warmup_steps)
            work = gradient.of(batch, step)
            progress.add(work, optimizer.step(rate), rate)
            stage.step = step + 1
            if after_step is not None:
                stepped, waited = time.perf_counter(), progress.waited
                after_step(stage)
                # A GPU is still computing when it is asked for its weights: that wait counts as training.
                elsewhere += time.perf_counter() - stepped - (progress.waited - waited)
        progress.check()
        optimizer.write_back()
    return StageReport(
        settings.steps,
        progress.rows,
        time.perf_counter() - started - elsewhere,
        progress.real_tokens,
        progress.padded_tokens,
        progress.mean(),
        progress.last(),
        progress.flops,
        peak_flops(device, settings.precision),
        gradient.rows_at_once(settings.batch_size),
        first,
    )


def _batches(model: Any, tokens: TokenisedTexts, settings: StageSettings) -> Iterator[Rows]:
    """Return the stage's batches: row numbers, the same for every worker."""
    window = 1 if has_fast_layers(model) else PADDED_WINDOW  # our own pass pads only in attention
    seed = derive_seed(settings.seed, "batches")
    return training_batches(tokens.lengths, settings.batch_size, settings.steps, seed, window)


@contextmanager
def _optimizer(model: Any, tokens: TokenisedTexts, settings: StageSettings) -> Iterator[FlatAdamW]:
    """Set up the model's parameters for training, and put everything back on leaving."""
    trained = trained_parameters(model, settings.trainable)
    embedding = model.get_input_embeddings()
    factors = layer_rate_factors(model, settings.layer_decay) if settings.layer_decay != 1.0 else {}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in trained)
    with compute_in(model, settings.precision) as masters:
        table = None
        # Hidden tokens may be any of the vocabulary, and a head that shares the table moves all of its rows.
        if embedding.weight in trained and not isinstance(settings.loss, MaskedTokenLoss):
            occur = occurring_tokens(tokens.ids, model.config.pad_token_id)
            occurring = OccurringEmbedding(embedding, occur, settings.precision)
            table = masters[embedding.weight][occurring.occurring]
            model.set_input_embeddings(occurring)
        optimizer = FlatAdamW(
            {
                p: masters[p]
                for p in model.parameters()
                if p in trained and not (p is embedding.weight and table is not None)
            },
            table,
            settings,
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
    """Return the parameters that a stage trains, see :data:`trainables.settings.TRAINABLE`."""
    if trainable == "all":
        return set(model.parameters())
    if trainable == "head":
        return {p for _, module in head_modules(model) for p in module.parameters()}
    if trainable not in TOPMOST_LAYERS:
        raise ValueError(f"trainable is {trainable!r}; expected one of {', '.join(map(repr, TRAINABLE))}")
    topmost = encoder_layers(model)[-TOPMOST_LAYERS[trainable] :]
    return {p for module in (*topmost, *modules_above_layers(model)) for p in module.parameters()}


@contextmanager
def _training_mode(model: Any, seed: int) -> Iterator[MaskGenerator | None]:
    """Switch dropout on, with masks that depend only on the seed."""
    device = next(model.parameters()).device
    model.train()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield MaskGenerator(seed) if device.type == "cpu" else None
    finally:
        model.eval()
