from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_models.targets import HOGGenerator


def stripes(angle: float, size: int = 16) -> torch.Tensor:
    """A ramp whose gradient points to `angle`."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    ramp = (x * math.cos(angle) + y * math.sin(angle)).float() / size
    return ramp.expand(1, 3, size, size)


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_orientation_is_found_in_its_bin(quarter):
    # bins of 45 degrees, gradients in the middle of one
    angle = (quarter + 0.5) * math.pi / 4
    hog = HOGGenerator(nbins=4, pool=8, gaussian_window=0, grid=2)
    inner = hog.cells(stripes(angle, 48))[:, :, :, 2:4, 2:4]  # away from the reflected border
    # atan2(g_x, g_y) turns the other way round and starts from the y axis
    assert inner[0, 0, :, 0, 0].argmax() == (1 - quarter) % 4
    torch.testing.assert_close(inner.amax(2), torch.ones(1, 3, 2, 2), rtol=1e-4, atol=0)


@settings(max_examples=10)
@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_brightness_and_contrast_do_not_matter(gain, offset):
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    hog = HOGGenerator(grid=2)
    torch.testing.assert_close(hog(gain * image + offset), hog(image), rtol=1e-6, atol=1e-6)


def test_shape_of_the_target_follows_grid_and_bins():
    image = torch.rand(2, 1, 32, 48)
    hog = HOGGenerator(nbins=6, pool=4, gaussian_window=16, grid=4, in_channels=1)
    target = hog(image)
    assert target.shape == (2, 4 * 6, 6 * 2 * 2)
    cells = hog.cells(image)
    first = cells[:, 0, :, :2, :2].flatten(1)  # [bin, row, column]
    torch.testing.assert_close(target[:, 0], first)


def test_frames_of_events_are_counted():
    events = torch.randint(0, 3, (5, 2, 2, 16, 16)).float()  # T=5, N=2, two polarities
    hog = HOGGenerator(grid=2, in_channels=2)
    torch.testing.assert_close(hog(events), hog(events.sum(0)))


def test_flat_images_give_0_and_no_gradient_flows():
    image = torch.ones(1, 3, 16, 16, requires_grad=True)
    target = HOGGenerator(grid=1)(image)
    assert not target.any()
    assert not target.requires_grad


def test_state_is_that_of_the_kernels():
    hog = HOGGenerator(gaussian_window=4)
    assert hog.gaussian_kernel.sum().item() == pytest.approx(1)
    assert "gaussian_kernel" not in HOGGenerator(gaussian_window=0).state_dict()
    assert "nbins=9, pool=8, gaussian_window=4, grid=14, in_channels=3" in repr(hog)


@pytest.mark.parametrize("name", ["nbins", "pool", "grid", "in_channels"])
def test_sizes_below_1(name):
    with pytest.raises(ValueError, match="must be 1 or more"):
        HOGGenerator(**{name: 0})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 16, 16), r"expected images \[N, 3, H, W\]"),
        ((3, 16, 16), r"expected images \[N, 3, H, W\]"),
        ((1, 3, 24, 16), "multiples of gaussian_window=16"),
        ((1, 3, 16, 16), "2 x 2 cells do not divide into patches for grid=14; set grid"),
        ((1, 3, 240, 240), "30 x 30 cells"),
    ],
)
def test_images_that_do_not_fit(shape, message):
    with pytest.raises(ValueError, match=message):
        HOGGenerator(**({"gaussian_window": 0, "grid": 7} if shape[-1] == 240 else {}))(
            torch.rand(shape)
        )


def test_pool_and_dtype_are_checked():
    with pytest.raises(ValueError, match="multiples of pool=8"):
        HOGGenerator(gaussian_window=4, grid=1)(torch.rand(1, 3, 12, 12))
    with pytest.raises(ValueError, match=r"floating-point.*torch.uint8"):
        HOGGenerator(grid=1)(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
