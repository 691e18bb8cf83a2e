from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from trainables.dropout import FastDropout, MaskGenerator

N = 1 << 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.02])
def test_masks_drop_the_right_share_and_keep_the_mean(dtype, p):
    mask = MaskGenerator(7).mask((N,), p, dtype).double()
    dropped = (mask == 0).double().mean().item()
    scale = mask.max().item()
    deviation = (p * (1 - p) / N) ** 0.5
    assert mask.unique().numel() == 2
    assert abs(dropped - (1 - 1 / scale)) < 5 * deviation
    assert abs(mask.mean().item() - 1) < 5 * deviation * scale
    assert abs(dropped - p) < (5e-3 if dtype == torch.bfloat16 else 5 * deviation)


def test_masks_are_uncorrelated_within_and_between():
    generator = MaskGenerator(7)
    first, second = (generator.mask((N,), 0.1, torch.float32) for _ in range(2))
    for a, b in ((first, second), (first[:-1], first[1:]), (first[:-4], first[4:])):
        assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1].item()) < 5 / N**0.5


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
