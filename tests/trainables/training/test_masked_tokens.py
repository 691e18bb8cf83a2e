"""A stage of masked-language training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.trainables.conftest import states_equal, without_dropout
from tests.trainables.trained import train_from_checkpoint, train_with
from trainables.model.forward import compute_token_logits, pad
from trainables.model.masked_lm import build_masked_lm
from trainables.model.token_budget import token_budget
from trainables.reuse.cache import ContentCache
from trainables.reuse.checkpoint import StageCheckpoint
from trainables.seeds import derive_seed, generator
from trainables.texts.batching import PADDED_WINDOW, shard, training_batches
from trainables.texts.labelled import LabelledTexts
from trainables.texts.masking import NOT_ASKED, mask_tokens
from trainables.texts.tokens import TokenisedTexts
from trainables.training.losses import MaskedTokenLoss
from trainables.training.objective import objective_of
from trainables.training.stage_settings import StageSettings
from trainables.world import World

LOSS = MaskedTokenLoss(0.15)
BOTH = pytest.mark.parametrize("architecture", ["masked_lm", "masked_distilbert"])


@pytest.fixture
def model(request, architecture):
    return without_dropout(build_masked_lm(request.getfixturevalue(architecture)))


def by_the_book(model, tokens, *, steps, rate, seed, window):
    """Train with torch's AdamW on transformers' own loss, which is given the labels of all positions."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    batches = training_batches(tokens.lengths, 16, steps, derive_seed(seed, "batches"), window=window)
    losses = []
    for step, rows in enumerate(batches):
        rng = generator(seed, "masked tokens", step)
        hidden = mask_tokens(tokens.select(rows), model.vocabulary, LOSS.rate, rng)
        ids, mask = pad(hidden.shown, 0)
        labels = torch.full_like(ids, -100)
        targets = torch.from_numpy(hidden.targets.ids.astype(np.int64))
        labels[mask.bool()] = torch.where(targets == NOT_ASKED, -100, targets)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@BOTH
def test_equals_a_plain_loop_with_the_loss_of_transformers(request, model, toy, architecture):
    plain = without_dropout(build_masked_lm(request.getfixturevalue(architecture)))
    how = {"schedule": "constant", "warmup": 0.0, "weight_decay": 0.1}
    report = train_with(model, *toy, steps=8, learning_rate=1e-3, seed=5, loss=LOSS, **how)
    window = 1 if architecture == "masked_lm" else PADDED_WINDOW
    losses = by_the_book(plain, toy[0], steps=8, rate=1e-3, seed=5, window=window)
    assert report.mean_loss == pytest.approx(np.mean(losses), rel=1e-4)
    assert report.last_loss == pytest.approx(losses[-1], rel=1e-3)
    for (name, expected), own in zip(plain.named_parameters(), model.parameters(), strict=True):
        if not name.endswith(("key.bias", "k_lin.bias")):  # its gradient is rounding noise
            torch.testing.assert_close(own, expected, rtol=1e-2, atol=1e-3, msg=name)


@BOTH
def test_the_loss_falls_where_a_text_tells_its_hidden_tokens(model):
    """Every text repeats one word."""
    ids = np.repeat(np.random.default_rng(0).integers(5, 25, 64), 12).reshape(64, 12).astype(np.int32)
    ids[:, 0], ids[:, -1] = 2, 3
    texts = TokenisedTexts(ids.ravel(), np.arange(65) * 12)
    how = {"learning_rate": 3e-3, "seed": 2, "loss": LOSS}
    short, long = (train_with(model, texts, np.zeros(64, np.int64), steps=n, **how) for n in (1, 50))
    assert long.last_loss < 0.5 * short.mean_loss


@BOTH
def test_only_hidden_tokens_count_and_labels_do_not(model, toy):
    tokens, labels = toy
    settings = StageSettings(steps=9, learning_rate=1e-3, loss=LOSS, seed=4)
    rows = np.array([5, 2, 40, 11])
    hidden = mask_tokens(tokens.select(rows), model.vocabulary, 0.15, generator(4, "masked tokens", 3))
    places = np.flatnonzero(hidden.targets.ids != NOT_ASKED)
    assert 0 < len(places) < len(hidden.targets.ids) / 2
    logits, _ = compute_token_logits(model, hidden.shown, places)
    expected = F.cross_entropy(logits, torch.from_numpy(hidden.targets.ids[places].astype(np.int64)))
    for given in (labels, np.zeros_like(labels)):
        of_rows, _ = objective_of(model, LabelledTexts(tokens, given), settings, None).of(rows, 3)(rows)
        torch.testing.assert_close(of_rows.mean(), expected)


@BOTH
def test_parts_of_a_batch_add_up_to_the_whole_whoever_computes_them(model, toy):
    """Workers and micro-batches see the tokens hidden that a single worker sees hidden."""
    objective = objective_of(
        model, LabelledTexts(*toy), StageSettings(steps=9, learning_rate=1e-3, loss=LOSS), None
    )
    batch = np.array([8, 3, 60, 25, 17, 2, 44])
    whole, _ = objective.of(batch, 2)(batch)
    for size in (2, 3):
        parts = [shard(batch, rank, size) for rank in range(size)]
        for rank, rows in enumerate(parts):
            part, _ = objective.of(batch, 2)(rows)
            torch.testing.assert_close(part, whole[rank::size])
    other, _ = objective.of(batch, 3)(batch)
    assert not torch.equal(whole, other)


@BOTH
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_goes_on_from_a_checkpoint_bit_for_bit(request, toy, tmp_path, architecture, precision):
    class Interrupted(Exception):
        pass

    def train(checkpoint, stop_at=None):
        def stop(stage):
            if stage.step == stop_at:
                raise Interrupted

        model = build_masked_lm(request.getfixturevalue(architecture))
        how = {"learning_rate": 1e-3, "steps": 7, "seed": 2, "loss": LOSS, "precision": precision}
        single = World.single()
        report = train_from_checkpoint(
            model, *toy, checkpoint=checkpoint, world=single, after_step=stop, **how
        )
        return model, report

    whole, whole_report = train(None)
    checkpoint = StageCheckpoint(ContentCache(tmp_path), "abcd-stage1", every_s=0.0)
    with pytest.raises(Interrupted):
        train(checkpoint, stop_at=5)
    resumed, report = train(checkpoint)
    assert report.resumed_at == 4
    assert states_equal(whole, resumed)
    assert (report.mean_loss, report.last_loss) == (whole_report.mean_loss, whole_report.last_loss)


@BOTH
def test_head_and_embeddings_stay_one_table_and_all_of_it_learns(model, toy):
    before = model.get_input_embeddings().weight.detach().clone()
    train_with(model, *toy, steps=2, learning_rate=1e-3, loss=LOSS, precision=torch.bfloat16)
    table = model.get_input_embeddings().weight
    assert table is model.get_output_embeddings().weight and table.dtype == torch.float32
    unused = np.setdiff1d(np.arange(100), toy[0].ids)
    assert len(unused) > 30 and (table[unused] != before[unused]).any(1).all()


@BOTH
def test_half_precision_stays_near_single_precision(request, toy, architecture):
    single, half = (
        train_with(
            without_dropout(build_masked_lm(request.getfixturevalue(architecture))),
            *toy,
            steps=5,
            learning_rate=1e-4,
            loss=LOSS,
            precision=precision,
        ).mean_loss
        for precision in (torch.float32, torch.bfloat16)
    )
    assert half == pytest.approx(single, rel=0.03)


@pytest.mark.parametrize("architecture", ["masked_lm"])
def test_operations_of_the_head_count_for_hidden_tokens_alone(model, toy):
    def flops(rate):
        report = train_with(model, *toy, steps=1, learning_rate=1e-4, loss=MaskedTokenLoss(rate))
        return report.flops, report.real_tokens

    (few, tokens), (all_of_them, _) = flops(0.25), flops(1.0)
    # A dense layer and the table, multiplied once forward and twice backward, at two operations each.
    assert all_of_them - few == pytest.approx(0.75 * tokens * 3 * 2 * (32 * 32 + 32 * 100))


@pytest.mark.parametrize("architecture", ["masked_lm"])
def test_a_batch_that_hides_nothing_changes_nothing_but_by_decay(model):
    bare = TokenisedTexts(np.array([2, 3, 2, 3], np.int32), np.array([0, 2, 4]))
    report = train_with(model, bare, np.zeros(2, np.int64), steps=1, learning_rate=1e-3, loss=LOSS)
    assert report.mean_loss == 0.0 and all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize("architecture", ["masked_lm"])
def test_a_batch_that_memory_does_not_hold_is_computed_in_parts(request, toy, monkeypatch, architecture):
    encoder = request.getfixturevalue(architecture)
    whole = without_dropout(build_masked_lm(encoder))
    how = {"steps": 3, "learning_rate": 1e-3, "loss": LOSS}
    train_with(whole, *toy, **how)
    parts = without_dropout(build_masked_lm(encoder))
    budget = token_budget("training", parts, torch.float32)
    monkeypatch.setattr(budget, "tokens", 60)
    report = train_with(parts, *toy, **how)
    assert report.micro_batch < 16
    for (name, own), expected in zip(parts.named_parameters(), whole.parameters(), strict=True):
        if not name.endswith("key.bias"):  # its gradient is rounding noise
            torch.testing.assert_close(own, expected, rtol=1e-2, atol=1e-3, msg=name)


def test_layers_are_cut_and_the_head_stays(masked_lm):
    model = build_masked_lm(dataclasses.replace(masked_lm, layers=1))
    assert len(model.bert.encoder.layer) == 1
    whole = build_masked_lm(masked_lm)
    assert torch.equal(model.cls.predictions.bias, whole.cls.predictions.bias)
    assert whole.vocabulary.mask_id == 4
    np.testing.assert_array_equal(np.flatnonzero(whole.vocabulary.is_ordinary), np.arange(5, 65))
