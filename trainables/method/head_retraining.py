"""A new output layer on a frozen encoder: its pooled outputs are computed once, then only the layer is trained."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainables.errors import TrialFailed
from trainables.method.arms import arm_of
from trainables.method.feature_smote import smote
from trainables.method.resampling import class_balanced_draws
from trainables.model.forward import PADDED_MULTIPLE, compute_logits, evaluation_tokens
from trainables.model.output_layer import output_layer, redraw_output_layer
from trainables.model.precision import compute_in
from trainables.model.token_budget import token_budget
from trainables.seeds import derive_seed
from trainables.settings import TrialSettings
from trainables.texts.batching import Rows, evaluation_batches, steps_of, training_batches
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts
from trainables.training.losses import cross_entropy
from trainables.training.optimizer import FlatAdamW
from trainables.training.stage_settings import StageSettings
from trainables.world import World


@dataclass(frozen=True)
class HeadReport:
    """What training a head anew did.

    Attributes
    ----------
    steps, rows
        Optimizer steps, and rows that they saw.
    seconds
        Wall time, pooled outputs included.
    real_tokens, padded_tokens
        Tokens that this worker computed pooled outputs from, without and with padding.
    mean_loss, last_loss
        Mean over all steps and loss of the last step.
    """

    steps: int
    rows: int
    seconds: float
    real_tokens: int
    padded_tokens: int
    mean_loss: float
    last_loss: float


def retrain_head(
    model: Any,
    texts: LabelledTexts,
    trial: TrialSettings,
    *,
    seed: int,
    precision: torch.dtype,
    world: World,
) -> HeadReport:
    """Draw a classifier's output layer anew and train it on the pooled outputs of the training rows, in place.

    Arm ``crt`` draws its batches class by class, ``head_epochs`` times as many rows as there are (Kang et al. 2020,
    classifier re-training). Arm ``feature_smote`` goes ``head_epochs`` times through the rows and SMOTE's.
    The pooled outputs are those of evaluation, without dropout. The schedule is ``linear``. Every worker trains the
    whole layer, which is little work, so that their layers agree.

    Parameters
    ----------
    model
        A trained classifier; only its output layer changes.
    texts
        What it was trained on.
    trial
        ``arm``, ``head_epochs``, ``head_learning_rate``, ``smote_neighbours``, ``warmup``, ``batch_size``,
        ``weight_decay`` and ``max_grad_norm`` are read.
    seed
        Of the new layer, the synthetic rows and the batches.
    precision, world
        As in :func:`trainables.training.stage.train_stage`.

    Raises
    ------
    TrialFailed
        A loss was not finite.
    """
    started = time.perf_counter()
    features, real, padded = pooled_outputs(model, texts.tokens, precision=precision, world=world)
    labels = texts.labels
    if _synthesises(trial.arm):
        features, labels = smote(features, labels, trial.smote_neighbours, derive_seed(seed, "smote"))
    settings = StageSettings(
        steps=steps_of(len(labels), trial.batch_size, trial.head_epochs),
        learning_rate=trial.head_learning_rate,
        warmup=trial.warmup,
        batch_size=trial.batch_size,
        weight_decay=trial.weight_decay,
        max_grad_norm=trial.max_grad_norm,
        seed=derive_seed(seed, "batches"),
    )
    layer = redraw_output_layer(model, derive_seed(seed, "layer"))
    losses, seen = _train_layer(layer, features, labels, _batches(trial.arm, labels, settings), settings)
    return HeadReport(
        settings.steps,
        seen,
        time.perf_counter() - started,
        real,
        padded,
        float(losses.mean()),
        float(losses[-1]),
    )


@torch.inference_mode()
def pooled_outputs(
    model: Any, tokens: TokenisedTexts, *, precision: torch.dtype, world: World
) -> tuple[npt.NDArray[np.float32], int, int]:
    """Return what goes into the output layer for each of n texts, (n, H), on every worker.

    Also return how many tokens this worker computed, without and with padding.
    """
    layer = output_layer(model)
    device = layer.weight.device
    features = torch.zeros(len(tokens), layer.in_features, device=device)
    widths = -(-tokens.lengths // PADDED_MULTIPLE) * PADDED_MULTIPLE
    batches = evaluation_batches(widths, evaluation_tokens(device))
    budget = token_budget("prediction", model, precision)
    model.eval()

    def compute(batch: npt.NDArray[np.int64], is_first: bool) -> tuple[int, int]:
        features[torch.from_numpy(batch).to(device)], padded = compute_logits(model, tokens.select(batch))
        return int(tokens.lengths[batch].sum()), padded

    with compute_in(model, precision):
        # With its input in the place of its output, what comes out as logits is what went in, also where the layer
        # works on every token and the model pools afterwards (GPT-2, EuroBERT).
        handle = layer.register_forward_hook(lambda _, arguments, output: arguments[0])
        try:
            parts = [
                part
                for batch in batches[world.rank :: world.size]
                for part in budget.run(batch, widths, compute, lambda: None)
            ]
        finally:
            handle.remove()
    world.all_reduce_sum(features)
    real, padded = (sum(part[i] for part in parts) for i in range(2))
    return features.cpu().numpy(), real, padded


def _synthesises(arm: str) -> bool:
    """Return whether an arm's new head sees all rows and SMOTE's once an epoch; otherwise it draws class by class."""
    return "smote_neighbours" in (arm_of(arm).head or ())


def _batches(arm: str, labels: npt.NDArray[np.int64], settings: StageSettings) -> Iterable[Rows]:
    """Return the batches of an arm's new head: class by class, or every row once an epoch."""
    if _synthesises(arm):
        lengths = np.ones(len(labels), np.int64)
        return training_batches(lengths, settings.batch_size, settings.steps, settings.seed, window=1)
    n = settings.steps * settings.batch_size
    draws = class_balanced_draws(labels, n, np.random.default_rng(settings.seed))
    return draws.reshape(settings.steps, settings.batch_size)


def _train_layer(
    layer: torch.nn.Linear,
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    batches: Iterable[Rows],
    settings: StageSettings,
) -> tuple[npt.NDArray[np.float32], int]:
    """Return the loss of each step, and the rows that the steps saw."""
    device = layer.weight.device
    x, y = torch.from_numpy(features).to(device), torch.from_numpy(labels).to(device)
    masters = {parameter: parameter.detach().clone() for parameter in layer.parameters()}
    optimizer = FlatAdamW(masters, None, settings)
    warmup_steps = settings.warmup_steps(len(labels))
    losses, seen = torch.zeros(settings.steps, device=device), 0
    for step, batch in enumerate(batches):
        chosen = torch.from_numpy(batch).to(device)
        loss = cross_entropy(layer(x[chosen]), y[chosen]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        losses[step] = loss.detach()
        seen += len(batch)
        optimizer.collect()
        optimizer.step(settings.rate_at(step, warmup_steps))
    optimizer.write_back()
    for parameter, master in masters.items():
        parameter.data = master
    if not torch.isfinite(losses).all():
        raise TrialFailed(
            f"training the head anew diverged (head_learning_rate {settings.learning_rate:.3g}); "
            "a smaller rate may help"
        )
    return losses.cpu().numpy(), seen
