"""Hugging Face's Trainer as the reference of :mod:`benchmarks.training`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import (
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)
from transformers.trainer_pt_utils import get_length_grouped_indices

from trainables.model.encoder import resolve_precision
from trainables.settings import EncoderSettings
from trainables.texts.tokens import TokenisedTexts

SETTINGS = ("example", "best")


def settings_of(program: str, device: torch.device) -> dict[str, Any]:
    """Return a program's settings on a device. Neither program evaluates, logs or saves in the timed part.

    ``best`` takes bfloat16 autocast where the device multiplies bfloat16; elsewhere that takes several times as long as
    float32.
    """
    if program == "example":
        return {"padding": "max_length", "bf16": False, "train_sampling_strategy": "random"}
    fast = resolve_precision(EncoderSettings(device=str(device))) == torch.bfloat16
    return {"padding": "longest", "bf16": fast, "train_sampling_strategy": "group_by_length"}


class _Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """Rows as ``datasets.map(tokenizer)`` leaves them, held in memory."""

    def __init__(
        self, tokens: TokenisedTexts, labels: npt.NDArray[np.int64], pad_to: int | None, pad_id: int
    ) -> None:
        self._rows = []
        for row, label in enumerate(labels.tolist()):
            ids = tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]].tolist()
            padding = (pad_to or len(ids)) - len(ids)
            mask = [1] * len(ids) + [0] * padding
            ids += [pad_id] * padding
            self._rows.append({"input_ids": ids, "attention_mask": mask, "labels": label})

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self._rows[row]


class _Clock(TrainerCallback):  # type: ignore[misc]
    """Times the steps after the first one."""

    def __init__(self, after_step: Callable[[], None]) -> None:
        self._after_step = after_step
        self.started = self.ended = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.ended = time.perf_counter()
        if state.global_step == 1:
            self.started = self.ended
        self._after_step()


def trainers_batches(
    lengths: npt.NDArray[np.int64], batch_size: int, steps: int, seed: int, window: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield ``steps`` batches as Trainer groups them by length, ignoring the window of our own order."""
    randomness = torch.Generator().manual_seed(seed % 2**31)
    while steps > 0:
        order = np.array(get_length_grouped_indices(lengths.tolist(), batch_size, generator=randomness))
        for start in range(0, min(len(order), steps * batch_size), batch_size):
            yield order[start : start + batch_size]
        steps -= -(-len(order) // batch_size)


def train(
    program: str,
    model: Any,
    tokenizer: Any,
    tokens: TokenisedTexts,
    labels: npt.NDArray[np.int64],
    *,
    epochs: float,
    learning_rate: float,
    batch_size: int,
    max_length: int,
    seed: int,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Train a classifier in place and return rows a second, without the first step.

    Parameters
    ----------
    program
        ``example``: as in the text classification example of transformers; ``best``: with dynamic padding, batches of
        similar length and, where the device multiplies it, bfloat16 autocast.
    after_step
        Called after each step.
    """
    device = next(model.parameters()).device
    settings = settings_of(program, device)
    fixed = settings["padding"] == "max_length"
    rows = _Rows(tokens, labels, max_length if fixed else None, tokenizer.pad_token_id)
    clock = _Clock(after_step)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder,
                per_device_train_batch_size=batch_size,
                num_train_epochs=epochs,
                learning_rate=learning_rate,
                lr_scheduler_type="linear",
                warmup_steps=0,
                weight_decay=0.01,
                max_grad_norm=1.0,
                bf16=settings["bf16"],
                train_sampling_strategy=settings["train_sampling_strategy"],
                use_cpu=device.type == "cpu",
                seed=seed,
                eval_strategy="no",
                logging_strategy="no",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=rows,
            data_collator=default_data_collator
            if fixed
            else DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
            processing_class=tokenizer,
            callbacks=[clock],
        )
        trainer.train()
        if device.type == "cuda":
            torch.cuda.synchronize()
            clock.ended = time.perf_counter()
        steps = int(trainer.state.global_step)
    model.eval()
    per_epoch = -(-len(labels) // batch_size)
    first = min(batch_size, len(labels))
    rows_after_first = len(labels) * steps / per_epoch - first
    return rows_after_first / (clock.ended - clock.started)
