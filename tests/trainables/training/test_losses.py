"""Every loss and weight against an independent computation: closed forms in NumPy, torch, and published values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from trainables.priors import adjust_logits, log_priors
from trainables.training.losses import (
    Focal,
    Ldam,
    LogitAdjusted,
    Weighted,
    cross_entropy,
    effective_number_weights,
    inverse_frequency_weights,
    ldam_margins,
    prior_offsets,
)

COUNTS = [1000, 60, 1]
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0.0, 3.0, (40, 3))
LABELS = RNG.integers(0, 3, 40)
ROWS = np.arange(40)
ONES = (1.0, 1.0, 1.0)


def losses(loss, logits=LOGITS, labels=LABELS, progress=0.0):
    return loss(torch.tensor(logits), torch.tensor(labels), progress).numpy()


def test_cross_entropy_is_the_negative_log_likelihood():
    expected = -log_softmax(LOGITS, axis=1)[ROWS, LABELS]
    np.testing.assert_allclose(losses(cross_entropy), expected)


@pytest.mark.parametrize(
    "loss",
    [
        LogitAdjusted((0.1, 0.2, 0.4)),
        Weighted((0.5, 1.0, 1.5)),
        Ldam((0.5, 0.3, 0.1), 30.0, (0.6, 1.0, 1.4), 0.0),
    ],
)
def test_what_a_loss_knows_of_the_classes_becomes_a_tensor_once(loss, monkeypatch):
    logits, labels = torch.tensor(LOGITS), torch.tensor(LABELS)
    with torch.inference_mode():
        first = loss(logits, labels, 0.5).clone()
    monkeypatch.setattr("trainables.training.losses.torch.tensor", lambda *given, **how: pytest.fail("again"))
    trained = logits.clone().requires_grad_()
    found = loss(trained, labels, 0.5)
    found.sum().backward()
    assert torch.equal(found.detach(), first) and trained.grad.abs().sum() > 0
    monkeypatch.undo()
    assert loss(logits.float(), labels, 0.5).dtype == torch.float32


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logit_adjustment_adds_the_log_prior(tau):
    prior = np.array(COUNTS) / sum(COUNTS)
    expected = -log_softmax(LOGITS + tau * np.log(prior), axis=1)[ROWS, LABELS]
    np.testing.assert_allclose(losses(LogitAdjusted(prior_offsets(COUNTS, tau))), expected)


def test_logit_adjustment_with_tau_one_is_balanced_softmax():
    """Ren et al. 2020, equation 4: -log(n_y·e^z_y / Σ n_c·e^z_c)."""
    terms = np.array(COUNTS) * np.exp(LOGITS)
    expected = -np.log(terms[ROWS, LABELS] / terms.sum(axis=1))
    np.testing.assert_allclose(losses(LogitAdjusted(prior_offsets(COUNTS))), expected)


def test_training_with_logit_adjustment_and_adjusting_posthoc_are_inverse():
    """Both aim at the balanced error: logits trained with the offset are posterior + log π when it is added."""
    adjusted = adjust_logits(LOGITS.astype(np.float32) + log_priors(COUNTS).astype(np.float32), COUNTS)
    np.testing.assert_allclose(adjusted, LOGITS, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weights", [(0.2, 0.8, 2.0), ONES])
def test_weighted_loss_is_torchs(weights):
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS), torch.tensor(LABELS), weight=torch.tensor(weights).double(), reduction="none"
    )
    np.testing.assert_allclose(losses(Weighted(weights)), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_inverse_frequency_weights(power):
    weights = np.array(inverse_frequency_weights(COUNTS, power))
    assert weights.sum() == pytest.approx(3.0)
    np.testing.assert_allclose(weights * np.array(COUNTS) ** power, weights[2])
    assert inverse_frequency_weights([4, 1]) == pytest.approx((0.4, 1.6))
    assert inverse_frequency_weights([4, 1], 0.5) == pytest.approx((2 / 3, 4 / 3))


@pytest.mark.parametrize("beta", [0.9, 0.99, 0.999, 0.9999])
def test_effective_number_by_its_recursion(beta):
    """Cui et al. 2019, proof of proposition 1: E_1 = 1 and E_n = 1 + β·E_(n-1)."""
    effective = [0.0]
    for _ in range(1000):
        effective.append(1.0 + beta * effective[-1])
    expected = 1.0 / np.array([effective[n] for n in COUNTS])
    np.testing.assert_allclose(
        effective_number_weights(COUNTS, beta), 3.0 * expected / expected.sum(), rtol=1e-9
    )


def test_effective_number_lies_between_no_weights_and_inverse_frequency():
    """Cui et al. 2019, section 3.2: β = 0 is no re-weighting, β → 1 is 1 / n_c."""
    assert effective_number_weights(COUNTS, 0.0) == ONES
    np.testing.assert_allclose(
        effective_number_weights(COUNTS, 1 - 1e-10), inverse_frequency_weights(COUNTS), rtol=1e-4
    )
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        effective_number_weights(COUNTS, 1.0)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_loss_in_closed_form(gamma):
    p = softmax(LOGITS, axis=1)[ROWS, LABELS]
    np.testing.assert_allclose(losses(Focal(gamma)), -((1 - p) ** gamma) * np.log(p), rtol=1e-5, atol=1e-12)


def test_focal_loss_has_the_published_reductions():
    """Lin et al. 2017, section 3.2: at γ = 2, p = .9 weighs 100 and p ≈ .968 weighs 1000 times less than under CE."""
    p = np.array([0.9, 0.968])
    logits, labels = np.log(np.stack([p, 1 - p], axis=1)), np.array([0, 0])
    ratio = losses(cross_entropy, logits, labels) / losses(Focal(2.0), logits, labels)
    np.testing.assert_allclose(ratio, [100, 1000], rtol=0.03)


def test_focal_loss_with_gamma_zero_is_cross_entropy():
    np.testing.assert_array_equal(losses(Focal(0.0)), losses(cross_entropy))


def test_ldam_margins():
    """Cao et al. 2019, section 3.2: for two classes Δ_1 / Δ_2 = (n_2 / n_1)^(1/4)."""
    assert ldam_margins([16, 1]) == pytest.approx((0.25, 0.5))
    assert ldam_margins([10_000, 1]) == pytest.approx((0.05, 0.5))
    assert ldam_margins([7, 7]) == (0.5, 0.5)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_ldam_in_closed_form(scale):
    """-log(e^(s·(c_y - Δ_y)) / (e^(s·(c_y - Δ_y)) + Σ_(j ≠ y) e^(s·c_j)))."""
    cosines, margins = np.tanh(LOGITS), ldam_margins(COUNTS)
    expected = []
    for c, y in zip(cosines, LABELS, strict=True):
        own = np.exp(scale * (c[y] - margins[y]))
        expected.append(-np.log(own / (own + sum(np.exp(scale * c[j]) for j in range(3) if j != y))))
    found = losses(Ldam(margins, scale, ONES, 0.0), scale * cosines)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_ldam_without_margins_is_cross_entropy():
    np.testing.assert_allclose(losses(Ldam((0.0, 0.0, 0.0), 30.0, ONES, 0.0)), losses(cross_entropy))


def test_deferred_weights_begin_where_they_should():
    weights = effective_number_weights(COUNTS, 0.9999)
    loss = Ldam(ldam_margins(COUNTS), 30.0, weights, 0.8)
    plain = losses(loss, progress=0.79)
    np.testing.assert_array_equal(plain, losses(loss, progress=0.0))
    np.testing.assert_allclose(losses(loss, progress=0.8), plain * np.array(weights)[LABELS])


@pytest.mark.parametrize("extreme", [1e2, 1e4, 1e30])
@pytest.mark.parametrize(
    "loss",
    [
        cross_entropy,
        LogitAdjusted(prior_offsets([1000, 1, 1], 2.0)),
        Weighted(inverse_frequency_weights([1_000_000, 1, 1])),
        Weighted(effective_number_weights([1_000_000, 1, 1], 0.9999)),
        Focal(2.0),
        Focal(0.5),
        Focal(0.0),
        Ldam(ldam_margins([1_000_000, 1, 1]), 30.0, effective_number_weights([1_000_000, 1, 1], 0.9999), 0.0),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value),
)
def test_losses_and_gradients_are_finite_at_extreme_logits_and_counts(loss, extreme):
    logits = torch.tensor([[extreme, -extreme, 0.0], [-extreme, extreme, 0.0], [0.0, 0.0, 0.0]])
    logits.requires_grad_()
    for label in range(3):
        value = loss(logits, torch.full((3,), label), 0.9)
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        assert torch.isfinite(value).all()
        assert (value >= 0).all()
        assert torch.isfinite(gradient).all()


def test_equal_counts_give_neutral_weights_exactly():
    for counts in ([1, 1, 1], [7, 7, 7], [333] * 5):
        neutral = np.ones(len(counts), np.float32)
        for weights in (inverse_frequency_weights(counts, 0.5), effective_number_weights(counts, 0.9999)):
            np.testing.assert_array_equal(np.float32(weights), neutral)
        assert set(prior_offsets(counts)) == {0.0}


@pytest.mark.parametrize("make", [log_priors, prior_offsets, inverse_frequency_weights, ldam_margins])
def test_a_class_without_rows_is_refused(make):
    with pytest.raises(ValueError, match=r"every class needs a row.*\[3.0, 0.0\]"):
        make([3, 0])


def test_a_loss_says_all_that_it_computes():
    """Cache keys are made of it."""
    assert repr(Focal(2.0)) == "Focal(gamma=2.0)"
    assert repr(Weighted((0.5, 1.5))) == "Weighted(weights=(0.5, 1.5))"
