"""What a stage minimises: the loss of texts' labels, or of tokens that are hidden in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from trainables.cpu.dropout import MaskGenerator
from trainables.model.flops import FlopCount, model_flops
from trainables.model.forward import compute_logits, compute_token_logits, on_device
from trainables.seeds import generator
from trainables.texts.batching import Rows
from trainables.texts.labelled import LabelledTexts
from trainables.texts.masking import NOT_ASKED, mask_tokens
from trainables.training.losses import MaskedTokenLoss
from trainables.training.stage_settings import StageSettings

# Takes (p,) row numbers, some of a batch's; returns their (p,) losses, of which a step takes the mean over the batch,
# and the tokens computed with padding.
RowLosses = Callable[[Rows], tuple[torch.Tensor, int]]


class Objective(Protocol):
    """What a stage minimises.

    Attributes
    ----------
    cost
        Operations of a training step on texts.
    """

    cost: FlopCount

    def of(self, batch: Rows, step: int) -> RowLosses:
        """Return what computes the losses of the rows of a global batch, in a step from 0 on."""


def objective_of(
    model: Any, texts: LabelledTexts, settings: StageSettings, masks: MaskGenerator | None
) -> Objective:
    """Return the objective of a stage.

    Parameters
    ----------
    model
        A classifier; for :class:`~trainables.training.losses.MaskedTokenLoss`, a masked language model.
    texts
        What the stage trains on.
    settings
        How; its loss decides.
    masks
        Source of dropout masks on a CPU, or None.
    """
    if isinstance(settings.loss, MaskedTokenLoss):
        return TokensOfTexts(model, texts, settings, masks)
    return LabelsOfTexts(model, texts, settings, masks)


class LabelsOfTexts:
    """The loss of each text's label."""

    def __init__(
        self, model: Any, texts: LabelledTexts, settings: StageSettings, masks: MaskGenerator | None
    ) -> None:
        self.cost = model_flops(model, backward=True)
        self._model, self._tokens, self._settings, self._masks = model, texts.tokens, settings, masks
        self._labels = torch.from_numpy(np.asarray(texts.labels, np.int64))
        self._device = next(model.parameters()).device

    def of(self, batch: Rows, step: int) -> RowLosses:
        """Return what computes the losses of rows."""
        progress = step / self._settings.steps

        def losses(rows: Rows) -> tuple[torch.Tensor, int]:
            logits, computed = compute_logits(self._model, self._tokens.select(rows), self._masks)
            return self._settings.loss(
                logits, on_device(self._device, self._labels[rows]), progress
            ), computed

        return losses


class TokensOfTexts:
    """The loss of tokens that are hidden in the texts, others in every step; labels do not count.

    What is hidden in a batch depends only on the stage's seed and the number of the step. So workers that share a
    batch see what a single one would see of it, and a stage that goes on from a checkpoint, or from a shorter one, sees
    what it would have seen without a break.
    """

    def __init__(
        self, model: Any, texts: LabelledTexts, settings: StageSettings, masks: MaskGenerator | None
    ) -> None:
        assert isinstance(settings.loss, MaskedTokenLoss)
        self._loss = settings.loss
        self.cost = model_flops(model, backward=True, asked=self._loss.rate)
        self._model, self._tokens, self._seed, self._masks = model, texts.tokens, settings.seed, masks
        self._device = next(model.parameters()).device

    def of(self, batch: Rows, step: int) -> RowLosses:
        """Return what computes the losses of rows: each the sum over its hidden tokens.

        They are scaled so that their mean over the batch is the mean over all hidden tokens of the batch.
        """
        rng = generator(self._seed, "masked tokens", step)
        hidden = mask_tokens(self._tokens.select(batch), self._model.vocabulary, self._loss.rate, rng)
        scale = len(batch) / max(hidden.n_asked, 1)
        order = np.argsort(batch)

        def losses(rows: Rows) -> tuple[torch.Tensor, int]:
            part = hidden.select(order[np.searchsorted(batch, rows, sorter=order)])
            places = np.flatnonzero(part.targets.ids != NOT_ASKED)
            logits, computed = compute_token_logits(self._model, part.shown, places, self._masks)
            targets = torch.from_numpy(part.targets.ids[places].astype(np.int64))
            text_of = np.repeat(np.arange(len(rows)), part.shown.lengths)[places]
            of_tokens = self._loss(logits, on_device(self._device, targets), 0.0)
            of_rows = torch.zeros(len(rows), device=self._device)
            return of_rows.index_add(
                0, on_device(self._device, torch.from_numpy(text_of)), of_tokens * scale
            ), computed

        return losses
