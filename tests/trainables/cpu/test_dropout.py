from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from trainables.cpu.dropout import FastDropout, MaskGenerator, set_dropout
from trainables.model.encoder import build_classifier

N = 1 << 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.5, 0.2, 0.1, 0.02, 0.01, 0.005, 0.003])
def test_masks_drop_the_right_share_and_keep_the_mean(dtype, p):
    mask = MaskGenerator(7).mask((N,), p, dtype).double()
    dropped = (mask == 0).double().mean().item()
    scale = mask.max().item()
    deviation = (p * (1 - p) / N) ** 0.5 + 2**-16
    rounded = dtype == torch.bfloat16
    assert mask.unique().numel() == 2
    assert abs(dropped - p) < 5 * deviation + (0.05 * p if rounded else 0.0)
    assert abs(mask.mean().item() - 1) < 5 * deviation * scale + (2**-8 if rounded and p < 0.1 else 0.0)


def test_masks_are_uncorrelated_within_and_between():
    generator = MaskGenerator(7)
    first, second = (generator.mask((N,), 0.1, torch.float32) for _ in range(2))
    for a, b in ((first, second), (first[:-1], first[1:]), (first[:-4], first[4:])):
        assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1].item()) < 5 / N**0.5


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_every_text_position_and_step_drops_its_share(p):
    """Chi-square over texts (rows), positions (columns) and steps (masks), both tails."""
    generator = MaskGenerator(11)
    dropped = torch.stack([generator.mask((256, 128), p, torch.float32) == 0 for _ in range(64)])
    for dims in ((0, 2), (0, 1), (1, 2)):
        counts = dropped.sum(dims).double()
        size = dropped.numel() / len(counts)
        deviation = ((counts - size * p).square().sum() / (size * p * (1 - p))).item()
        assert 1e-4 < stats.chi2.sf(deviation, len(counts)) < 1 - 1e-4


def test_same_seed_same_masks():
    shape = (3, 5, 7)
    one, same, other = (MaskGenerator(s).mask(shape, 0.5, torch.float32) for s in (1, 1, 2))
    assert one.shape == shape
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_mode_replaces_dropout_everywhere_and_only_in_training():
    x = torch.ones(N)
    module = torch.nn.Dropout(0.25)
    with FastDropout(MaskGenerator(1)):
        by_module, by_function = module(x), F.dropout(x, 0.25)
        assert torch.equal(module.eval()(x), x)
        assert torch.equal(F.dropout(x, 0.0), x)
    assert torch.equal(by_module, MaskGenerator(1).mask((N,), 0.25, torch.float32))
    assert abs((by_function == 0).float().mean().item() - 0.25) < 5e-3


def test_gradient_uses_the_mask_of_the_forward_pass():
    x = torch.ones(1000, requires_grad=True)
    with FastDropout(MaskGenerator(1)):
        y = F.dropout(x, 0.3)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_goes_on_from_a_state_with_the_masks_that_followed_it():
    generator = MaskGenerator(3)
    generator.mask((5, 3), 0.1, torch.float32)
    state = generator.state()
    followed = [generator.mask((7, 11), 0.1, torch.bfloat16) for _ in range(3)]
    resumed = MaskGenerator(9)
    resumed.load_state(state)
    assert all(torch.equal(mask, resumed.mask((7, 11), 0.1, torch.bfloat16)) for mask in followed)


@pytest.mark.parametrize("which", ["encoder", "distilbert"])
def test_set_dropout_reaches_every_rate(which, request):
    model = build_classifier(request.getfixturevalue(which), 3, seed=1).train()
    ids = torch.arange(5, 15).view(1, -1)

    def varies():
        return not torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)

    set_dropout(model, None)
    assert varies()
    set_dropout(model, 0.0)
    assert not varies()
    set_dropout(model, 0.25)
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.25}
    assert varies()
    rates = {
        name: rate for name, rate in model.config.to_dict().items() if "dropout" in name and rate is not None
    }
    assert set(rates.values()) == {0.25}


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(encoder, rate):
    with pytest.raises(ValueError, match="expected a rate"):
        set_dropout(build_classifier(encoder, 3, seed=1), rate)
