from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.losses import PixelReconstructionLoss


@given(st.integers(1, 3), st.integers(1, 6))
def test_only_masked_patches_count(n, length):
    pred, target = torch.rand(n, length, 4), torch.rand(n, length, 4)
    mask = (torch.rand(n, length) > 0.5).float()
    mask[0, 0] = 1
    loss = PixelReconstructionLoss("L2")
    chosen = (pred - target).square()[mask.bool()]
    torch.testing.assert_close(loss(pred, target, mask), chosen.mean())
    noisy = pred + (1 - mask).unsqueeze(-1)
    torch.testing.assert_close(loss(noisy, target, mask), loss(pred, target, mask))


def test_no_masked_patch_gives_0_with_a_graph():
    pred = torch.rand(2, 3, 4, requires_grad=True)
    loss = PixelReconstructionLoss("L1")(pred, torch.zeros(2, 3, 4), torch.zeros(2, 3))
    assert loss.item() == 0
    loss.backward()
    assert not pred.grad.any()


def test_one_mask_for_all_channels_divides_by_channel():
    pred, target = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    mask = (torch.rand(2, 1, 4, 4) > 0.5).float()
    full = PixelReconstructionLoss("L1")(pred, target, mask.expand(2, 3, 4, 4))
    torch.testing.assert_close(PixelReconstructionLoss("L1", 3)(pred, target, mask), full)


def test_gradient():
    pred = torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True)
    target, mask = torch.rand(2, 3, 4, dtype=torch.float64), torch.tensor([[1, 0, 1], [0, 0, 1]])
    loss = PixelReconstructionLoss("L2")
    assert torch.autograd.gradcheck(lambda x: loss(x, target, mask), pred)


def test_errors():
    with pytest.raises(ValueError, match="criterion must be 'L1' or 'L2', got 'L3'"):
        PixelReconstructionLoss("L3")
    with pytest.raises(ValueError, match="channel must be 1 or more, got 0"):
        PixelReconstructionLoss("L1", 0)
    loss, pred = PixelReconstructionLoss("L1"), torch.rand(2, 3, 4)
    with pytest.raises(ValueError, match=r"different shapes \(2, 3, 4\) and \(2, 3\)"):
        loss(pred, pred[..., 0])
    for mask in (torch.ones(2, 4), torch.ones(2, 3, 4), torch.ones(3)):
        with pytest.raises(ValueError, match="does not fit losses of shape"):
            loss(pred, pred, mask)


def test_repr():
    assert repr(PixelReconstructionLoss("L1")) == (
        "PixelReconstructionLoss(criterion='L1', channel=None)"
    )
