from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from sz_models.archs import deform_conv
from sz_models.archs.deform_conv import deform_conv2d


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def randn(rng: torch.Generator, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=rng, dtype=dtype)


def by_definition(x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor, padding: int) -> Tensor:
    """The sum over taps and the four pixels around each position, pixel by pixel."""
    n_groups = offset.shape[1] // (2 * weight.shape[2] * weight.shape[3])
    n, channels, height, width = x.shape
    out = x.new_zeros(n, weight.shape[0], *offset.shape[2:])
    for b, i, j in torch.cartesian_prod(*(torch.arange(s) for s in (n, *offset.shape[2:]))):
        for c in range(channels):
            for ky, kx in torch.cartesian_prod(*(torch.arange(s) for s in weight.shape[2:])):
                group = c // (channels // n_groups)
                tap = group * weight.shape[2] * weight.shape[3] + ky * weight.shape[3] + kx
                y = i + ky - padding + offset[b, 2 * tap, i, j]
                z = j + kx - padding + offset[b, 2 * tap + 1, i, j]
                value = x.new_zeros(())
                for row in (y.floor(), y.floor() + 1):
                    for column in (z.floor(), z.floor() + 1):
                        if 0 <= row < height and 0 <= column < width:
                            near = (1 - (y - row).abs()) * (1 - (z - column).abs())
                            value = value + near * x[b, c, int(row), int(column)]
                out[b, :, i, j] += weight[:, c, ky, kx] * mask[b, tap, i, j] * value
    return out


def test_equals_its_definition(rng):
    x, weight = randn(rng, 2, 4, 3, 5), randn(rng, 3, 4, 3, 3)
    offset, mask = 2 * randn(rng, 2, 36, 3, 5), randn(rng, 2, 18, 3, 5)
    out = deform_conv2d(x, offset, weight, mask=mask, padding=1)
    torch.testing.assert_close(out, by_definition(x, offset, weight, mask, 1))


@settings(max_examples=20, deadline=None)
@given(
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    n_offset_groups=st.sampled_from([1, 2, 4]),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
)
def test_zero_offsets_make_a_convolution(stride, padding, dilation, groups, n_offset_groups, size):
    rng = torch.Generator().manual_seed(0)
    x = randn(rng, 2, 4, *size)
    weight, bias = randn(rng, 8, 4 // groups, 2, 3), randn(rng, 8)
    steps = {"stride": stride, "padding": padding, "dilation": dilation}
    expected = F.conv2d(x, weight, bias, groups=groups, **steps)
    offset = x.new_zeros(2, n_offset_groups * 12, *expected.shape[2:])
    torch.testing.assert_close(deform_conv2d(x, offset, weight, bias, **steps), expected)


def test_whole_offsets_move_the_image(rng):
    x, weight = randn(rng, 1, 2, 6, 7), randn(rng, 3, 2, 1, 1)
    offset = x.new_zeros(1, 2, 6, 7)
    offset[:, 0], offset[:, 1] = 1.0, -2.0
    moved = F.pad(x, (2, 0, 0, 1))[:, :, 1:, :7]
    torch.testing.assert_close(deform_conv2d(x, offset, weight), F.conv2d(moved, weight))


def test_gradients(rng):
    x, weight, bias = randn(rng, 1, 2, 3, 4), randn(rng, 2, 2, 2, 2), randn(rng, 2)
    # Not near whole pixels, where the derivative jumps.
    offset = (4 * randn(rng, 1, 16, 2, 3)).floor() + 0.3
    arguments = [t.requires_grad_() for t in (x, offset, weight, bias, randn(rng, 1, 8, 2, 3))]
    assert torch.autograd.gradcheck(deform_conv2d, arguments)


@pytest.mark.parametrize("size", [(5, 7), (33, 100), (8, 64)])
def test_at_whole_pixels_the_derivative_is_the_one_to_the_right(rng, size):
    x = randn(rng, 1, 1, *size, dtype=torch.float32)
    offset = torch.zeros(1, 2, *size, requires_grad=True)
    deform_conv2d(x, offset, torch.ones(1, 1, 1, 1)).sum().backward()
    below, right = F.pad(x, (0, 0, 0, 1))[:, 0, 1:], F.pad(x, (0, 1))[:, 0, :, 1:]
    expected = torch.stack((below - x[:, 0], right - x[:, 0]), 1)
    torch.testing.assert_close(offset.grad, expected)


def test_blocks_of_rows_change_nothing(rng, monkeypatch):
    x, weight, offset = randn(rng, 2, 4, 7, 5), randn(rng, 3, 4, 3, 3), randn(rng, 2, 36, 7, 5)
    expected = deform_conv2d(x, offset, weight, padding=1)
    monkeypatch.setattr(deform_conv, "_CPU_COLUMNS", 2 * 2 * 4 * 9 * 5)
    torch.testing.assert_close(deform_conv2d(x, offset, weight, padding=1), expected)
    monkeypatch.setattr(deform_conv, "_CPU_COLUMNS", 1)
    torch.testing.assert_close(deform_conv2d(x, offset, weight, padding=1), expected)


@pytest.mark.parametrize("value", [1e9, -1e9, 1e30, -1e30])
def test_positions_far_outside_read_zero(rng, value):
    x, weight = randn(rng, 1, 1, 4, 4, dtype=torch.float32), torch.ones(1, 1, 1, 1)
    offset = torch.full((1, 2, 4, 4), value)
    assert torch.equal(deform_conv2d(x, offset, weight), torch.zeros(1, 1, 4, 4))


def test_half_precision_keeps_positions(rng):
    x, weight = randn(rng, 1, 2, 4, 300, dtype=torch.bfloat16), torch.ones(1, 2, 1, 1).bfloat16()
    offset = torch.zeros(1, 2, 4, 300, dtype=torch.bfloat16)
    out = deform_conv2d(x, offset, weight)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, F.conv2d(x, weight))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": torch.zeros(2, 5, 5)}, r"x must be \[N, C, H, W\]"),
        ({"x": torch.zeros(1, 3, 5, 5)}, "does not fit the 3 channels"),
        ({"x": torch.zeros(1, 2, 1, 5)}, "smaller than the kernel"),
        ({"offset": torch.zeros(1, 20, 3, 3)}, r"offset must be \[1, D \* 18, 3, 3\]"),
        ({"offset": torch.zeros(1, 54, 3, 3)}, "D a divisor of 2"),
        ({"offset": torch.zeros(1, 18, 5, 5)}, r"offset must be"),
        ({"offset": torch.zeros(18, 3, 3)}, r"offset must be"),
        ({"mask": torch.zeros(1, 18, 3, 3)}, r"mask must be \[1, 9, 3, 3\]"),
        ({"bias": torch.zeros(3)}, r"bias must be \[4\]"),
    ],
)
def test_shapes_that_do_not_fit_are_named(wrong, message):
    arguments = {
        "x": torch.zeros(1, 2, 5, 5),
        "offset": torch.zeros(1, 18, 3, 3),
        "weight": torch.zeros(4, 2, 3, 3),
        **wrong,
    }
    with pytest.raises(ValueError, match=message):
        deform_conv2d(**arguments)
