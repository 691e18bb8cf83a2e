"""Hugging Face's Trainer on the same batches gives the same weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from benchmarks import naive
from tests.trainables.conftest import without_dropout
from tests.trainables.trained import train_with
from trainables.model.encoder import build_classifier, load_tokenizer
from trainables.seeds import derive_seed
from trainables.settings import TrialSettings
from trainables.texts.batching import training_batches


class _OurOrder(Trainer):
    """Takes the rows in the order of our batches; 80 rows are five full batches an epoch."""

    order: list[int]

    def _get_train_sampler(self, *args, **kwargs):
        return self.order


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_stage_equals_trainer_step_for_step(encoder, toy, tmp_path, decay):
    tokens, labels = toy[0].select(range(80)), toy[1][:80]
    ours, theirs = (without_dropout(build_classifier(encoder, 3, seed=1)) for _ in range(2))
    before = {name: value.clone() for name, value in theirs.state_dict().items()}
    report = train_with(
        ours, tokens, labels, epochs=1, learning_rate=1e-3, warmup=0.0, seed=5, weight_decay=decay
    )
    rows = [
        {"input_ids": tokens.ids[start:stop].tolist(), "labels": int(label)}
        for start, stop, label in zip(tokens.offsets[:-1], tokens.offsets[1:], labels, strict=True)
    ]
    arguments = TrainingArguments(
        str(tmp_path),
        per_device_train_batch_size=16,
        num_train_epochs=1,
        learning_rate=1e-3,
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=decay,
        max_grad_norm=1.0,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = _OurOrder(
        theirs, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(load_tokenizer(encoder))
    )
    batches = training_batches(tokens.lengths, 16, report.steps, derive_seed(5, "batches"), window=1)
    trainer.order = [int(row) for batch in batches for row in batch]
    found = trainer.train()
    assert found.global_step == report.steps == 5
    assert found.training_loss == pytest.approx(report.mean_loss, rel=1e-4)
    for name, value in theirs.state_dict().items():
        if name.endswith("key.bias"):
            continue  # softmax cancels it: its gradient is rounding noise, which Adam scales up to full steps
        own = ours.state_dict()[name]
        if name.endswith("word_embeddings.weight"):  # a stage leaves the tokens that do not occur as they are
            used = tokens.ids
            own, value, start = own[used], value[used], before[name][used]
        else:
            start = before[name]
        assert (own - value).norm() <= 1e-2 * (value - start).norm(), name
        torch.testing.assert_close(own, value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_a_stage_of_the_naive_program_equals_the_platforms(encoder, toy, monkeypatch, schedule):
    """Step for step, warm-up included: in float32, without dropout, on the same batches."""
    tokens, labels = toy[0].select(range(80)), toy[1][:80]
    settings = dataclasses.replace(
        TrialSettings(), stage2_schedule=schedule, stage2_epochs=2.0, stage2_learning_rate=1e-3, warmup=0.4
    )
    ours, theirs = (without_dropout(build_classifier(encoder, 3, seed=1)) for _ in range(2))
    start = {name: value.clone() for name, value in ours.state_dict().items()}
    train_with(
        ours,
        tokens,
        labels,
        epochs=2.0,
        learning_rate=1e-3,
        schedule=schedule,
        warmup=0.4,
        seed=5,
    )
    batches = training_batches(tokens.lengths, 16, 10, derive_seed(5, "batches"), window=1)
    order = [int(row) for batch in batches for row in batch]
    in_order = [order[:80], order[80:]]
    monkeypatch.setattr(Trainer, "_get_train_sampler", lambda self, *args, **kwargs: _Epochs(in_order))
    naive._train(theirs, naive.padded_rows(tokens, labels, 32, 0), settings, "stage2", 0)
    for name, value in theirs.state_dict().items():
        if name.endswith(("key.bias", "word_embeddings.weight")):
            continue  # rounding noise that Adam scales up; rows that do not occur decay in Trainer alone
        own = ours.state_dict()[name]
        assert (own - value).norm() <= 2e-2 * (value - start[name]).norm(), name


class _Epochs(torch.utils.data.Sampler):
    """Gives the rows of one epoch after the other."""

    def __init__(self, epochs):
        self._epochs = epochs
        self._next = iter(epochs)

    def __len__(self):
        return len(self._epochs[0])

    def __iter__(self):
        return iter(next(self._next))
