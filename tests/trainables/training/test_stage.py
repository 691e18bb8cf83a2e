from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tests.trainables.conftest import states_equal, without_dropout
from tests.trainables.trained import train_with
from trainables.errors import TrialFailed
from trainables.model.encoder import build_classifier
from trainables.model.forward import pad, predict
from trainables.seeds import derive_seed
from trainables.texts.batching import PADDED_WINDOW, steps_of, training_batches
from trainables.texts.tokens import TokenisedTexts
from trainables.training.losses import cross_entropy
from trainables.training.stage_settings import learning_rate_at


def reference_training(model, tokens, labels, *, steps, rate, seed, decay, clip):
    """Train by the book: torch's AdamW and clip_grad_norm_ on the whole float32 model, no dropout."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    warmup = round(0.1 * steps)
    batches = training_batches(tokens.lengths, 16, steps, derive_seed(seed, "batches"), window=1)
    for step, rows in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, steps, rate, "linear", warmup)
        ids, mask = pad(tokens.select(rows), 0)
        loss = cross_entropy(
            model(input_ids=ids, attention_mask=mask).logits, torch.tensor(labels[rows])
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    return model


@pytest.mark.parametrize("clip", [0.5, 1e6])
def test_equals_a_plain_loop_with_torch_adamw(encoder, toy, clip):
    tokens, labels = toy
    ours = without_dropout(build_classifier(encoder, 3, seed=1))
    plain = without_dropout(build_classifier(encoder, 3, seed=1))
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    train_with(
        ours, tokens, labels, steps=12, learning_rate=1e-3, seed=5, weight_decay=0.1, max_grad_norm=clip
    )
    reference_training(plain, tokens, labels, steps=12, rate=1e-3, seed=5, decay=0.1, clip=clip)
    used = np.unique(tokens.ids)
    unused = np.setdiff1d(np.arange(100), np.append(used, 0))
    for name, value in plain.state_dict().items():
        own = ours.state_dict()[name]
        if name.endswith("key.bias"):
            continue  # softmax cancels it: its gradient is rounding noise, which Adam scales up to full steps
        if name.endswith("word_embeddings.weight"):
            assert torch.equal(own[unused], before[name][unused])
            own, value = own[used], value[used]
        torch.testing.assert_close(own, value, rtol=1e-3, atol=1e-4)
    assert not states_equal(ours, build_classifier(encoder, 3, seed=1))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_same_seed_same_weights_other_seed_other_weights(encoder, toy, precision):
    def run(seed):
        model = build_classifier(encoder, 3, seed=1)
        train_with(model, *toy, steps=4, learning_rate=1e-3, seed=seed, precision=precision)
        return model

    assert states_equal(run(1), run(1))
    assert not states_equal(run(1), run(2))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_learns_a_separable_toy(encoder, toy, precision):
    tokens, labels = toy
    model = build_classifier(encoder, 3, seed=1)
    first = train_with(model, tokens, labels, epochs=2, learning_rate=1e-3, precision=precision)
    last = train_with(model, tokens, labels, epochs=25, learning_rate=1e-3, precision=precision)
    assert last.mean_loss < first.mean_loss
    assert (predict(model, tokens, precision=precision).argmax(1) == labels).mean() > 0.95


def test_half_precision_follows_full_precision(encoder, toy):
    tokens, labels = toy
    models = [without_dropout(build_classifier(encoder, 3, seed=1)) for _ in range(2)]
    before = predict(models[0], tokens)
    reports = [
        train_with(m, tokens, labels, epochs=2, learning_rate=5e-4, precision=p)
        for m, p in zip(models, (torch.float32, torch.bfloat16), strict=True)
    ]
    full, half = (predict(m, tokens) for m in models)
    assert reports[1].mean_loss == pytest.approx(reports[0].mean_loss, rel=0.03)
    assert np.abs(full - half).max() < 0.3 * np.abs(full - before).max()


def test_model_is_float32_trainable_and_in_evaluation_mode_afterwards(encoder, toy):
    model = build_classifier(encoder, 3, seed=1)
    embedding = model.get_input_embeddings()
    train_with(model, *toy, steps=2, learning_rate=1e-3, precision=torch.bfloat16, trainable="head")
    assert model.get_input_embeddings() is embedding
    assert not model.training
    for parameter in model.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.requires_grad
        assert parameter.grad is None


@pytest.mark.parametrize(
    ("trainable", "changed"),
    [
        ("head", {"classifier"}),
        ("last_block", {"classifier", "bert.pooler", "bert.encoder.layer.1"}),
        ("last_2", {"classifier", "bert.pooler", "bert.encoder.layer.0", "bert.encoder.layer.1"}),
        # An encoder with fewer layers trains all of them, but not the embeddings.
        ("last_4", {"classifier", "bert.pooler", "bert.encoder.layer.0", "bert.encoder.layer.1"}),
        (
            "all",
            {"classifier", "bert.pooler", "bert.encoder.layer.0", "bert.encoder.layer.1", "bert.embeddings"},
        ),
    ],
)
def test_only_the_chosen_part_changes(encoder, toy, trainable, changed):
    model, before = build_classifier(encoder, 3, seed=1), build_classifier(encoder, 3, seed=1)
    train_with(model, *toy, steps=3, learning_rate=1e-3, trainable=trainable)
    moved = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, before.state_dict()[name])
    }
    assert {part for part in changed if any(name.startswith(part) for name in moved)} == changed
    assert all(name.startswith(tuple(changed)) for name in moved)


def test_longer_constant_stage_begins_with_the_shorter_one(encoder, toy):
    tokens, labels = toy
    seen = []

    def recording(logits, labels, progress):
        losses = cross_entropy(logits, labels)
        seen[-1].append(losses.sum().item())
        return losses

    for steps in (3, 9):
        seen.append([])
        model = build_classifier(encoder, 3, seed=1)
        train_with(
            model,
            tokens,
            labels,
            steps=steps,
            learning_rate=1e-3,
            schedule="constant",
            warmup=0.5,
            loss=recording,
        )
    assert seen[0] == seen[1][:3]


def test_divergence_fails_the_trial_and_names_step_and_rate(encoder, toy):
    model = build_classifier(encoder, 3, seed=1)
    with pytest.raises(TrialFailed, match=r"step 3 .*learning rate 0\.5"):
        calls = iter(range(100))
        train_with(
            model,
            *toy,
            steps=9,
            learning_rate=0.5,
            schedule="constant",
            warmup=0.0,
            loss=lambda z, y, progress: cross_entropy(z, y) * (float("inf") if next(calls) == 2 else 1.0),
        )
    assert not model.training
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_report_counts_rows_steps_and_tokens(encoder, toy):
    tokens, labels = toy
    model = build_classifier(encoder, 3, seed=1)
    report = train_with(model, tokens, labels, epochs=2, learning_rate=1e-4)
    assert report.steps == steps_of(len(tokens), 16, 2) == 12
    assert report.rows == 2 * len(tokens)
    assert report.real_tokens == 2 * tokens.lengths.sum() <= report.padded_tokens


def test_predict_keeps_row_order_and_ignores_batching(encoder, toy):
    tokens, _ = toy
    model = build_classifier(encoder, 3, seed=1)
    together = predict(model, tokens)
    alone = np.concatenate([predict(model, tokens.select([i])) for i in range(len(tokens))])
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(predict(model, tokens, max_tokens=40), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_learning_rate_rises_to_the_peak_and_never_above(schedule):
    rates = [learning_rate_at(step, 50, 2.0, schedule, 5) for step in range(50)]
    assert max(rates) == rates[5] == 2.0
    assert all(a < b for a, b in itertools.pairwise(rates[:6]))
    assert rates[-1] == pytest.approx(2.0 / 45 if schedule == "linear" else 2.0)
    assert min(rates) > 0


def test_unknown_schedule_and_part_name_the_choices(encoder, toy):
    model = build_classifier(encoder, 3, seed=1)
    with pytest.raises(ValueError, match="'constant' or 'linear'"):
        train_with(model, *toy, steps=1, learning_rate=1.0, schedule="cosine", warmup=0.0)
    with pytest.raises(ValueError, match="'last_block'"):
        train_with(model, *toy, steps=1, learning_rate=1.0, trainable="first")


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_other_architectures_learn_and_repeat(distilbert, toy, precision):
    tokens, labels = toy

    def run():
        model = build_classifier(distilbert, 3, seed=1)
        report = train_with(model, tokens, labels, epochs=25, learning_rate=1e-3, precision=precision)
        return report, predict(model, tokens, precision=precision)

    (report, logits), (_, again) = run(), run()
    assert report.last_loss < report.mean_loss
    assert (logits.argmax(1) == labels).mean() > 0.9
    np.testing.assert_array_equal(logits, again)


def test_texts_without_padding_need_no_mask(distilbert, toy):
    tokens, _ = toy
    model = build_classifier(distilbert, 3, seed=1)
    even = TokenisedTexts(tokens.ids[:48], np.array([0, 16, 32, 48]))
    alone = np.concatenate([predict(model, even.select([i])) for i in range(3)])
    ids, mask = pad(even, 0)
    with torch.no_grad():
        masked = model(input_ids=ids, attention_mask=mask).logits.numpy()
    np.testing.assert_allclose(predict(model, even), masked, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(predict(model, even), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("architecture", "window"), [("encoder", 1), ("distilbert", PADDED_WINDOW)])
def test_batches_are_sorted_by_length_only_where_they_are_padded(
    request, toy, monkeypatch, architecture, window
):
    windows = []

    def spy(*arguments):
        windows.append(arguments[-1])
        return training_batches(*arguments)

    monkeypatch.setattr("trainables.training.stage.training_batches", spy)
    model = build_classifier(request.getfixturevalue(architecture), 3, seed=1)
    train_with(model, *toy, steps=1, learning_rate=1e-3)
    assert windows == [window]
