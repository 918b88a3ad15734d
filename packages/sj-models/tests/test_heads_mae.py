from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_models.heads import MAEPretrainHead
from sj_models.losses import PixelReconstructionLoss


def head(**options) -> MAEPretrainHead:
    sizes = {"patch_size": 2, "in_channels": 3}
    return MAEPretrainHead(PixelReconstructionLoss("L2"), **(sizes | options))


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_patches_and_back(rows, columns, p, c):
    part = head(patch_size=p, in_channels=c)
    x = torch.rand(2, c, rows * p, columns * p)
    patches = part.patchify(x)
    assert patches.shape == (2, rows * columns, p * p * c)
    torch.testing.assert_close(part.unpatchify(patches, (rows, columns)), x, rtol=0, atol=0)


def test_place_of_each_value():
    x = torch.arange(2.0 * 3 * 4 * 6).view(2, 3, 4, 6)
    patches = head().patchify(x)
    for n, c, i, j, u, v in ((0, 0, 0, 0, 0, 0), (1, 2, 1, 2, 0, 1), (0, 1, 0, 2, 1, 0)):
        value = x[n, c, 2 * i + u, 2 * j + v]
        assert patches[n, i * 3 + j, (u * 2 + v) * 3 + c] == value


def test_time_and_other_axes_in_front_are_kept():
    part, x = head(), torch.rand(5, 2, 3, 4, 4)
    torch.testing.assert_close(part.patchify(x), torch.stack([part.patchify(f) for f in x]))
    torch.testing.assert_close(part.unpatchify(part.patchify(x)), x)


def test_normalised_patches_have_mean_0_and_variance_1():
    target = head(norm_pix=True).construct_target(torch.rand(2, 3, 4, 4))
    torch.testing.assert_close(target.mean(-1), torch.zeros(2, 4), rtol=0, atol=1e-6)
    torch.testing.assert_close(target.var(-1), torch.ones(2, 4), rtol=1e-3, atol=0)


def test_gradient_reaches_masked_patches_only():
    pred = torch.rand(1, 4, 12, requires_grad=True)
    mask = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    head().loss(pred, torch.rand(1, 3, 4, 4), mask).backward()
    assert (pred.grad.abs().sum(-1) > 0).tolist() == [[True, False, True, False]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 0}, "must be 1 or more, got 0 and 3"),
        ({"in_channels": 0}, "must be 1 or more, got 2 and 0"),
        ({"norm_pix": True, "patch_size": 1, "in_channels": 1}, "more than one value per patch"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        head(**options)


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 3, 5, 4), (2, 3, 4, 5), (4, 4)])
def test_images_that_do_not_divide(shape):
    with pytest.raises(ValueError, match=r"expected images \[\*, 3, H, W\]"):
        head().patchify(torch.rand(shape))


def test_patches_that_are_no_grid():
    for patches, grid in (
        (torch.rand(1, 3, 12), None), (torch.rand(1, 4, 11), None), (torch.rand(1, 4, 12), (1, 3)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="are not a grid of"):
            head().unpatchify(patches, grid)
