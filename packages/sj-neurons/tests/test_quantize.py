"""Quantizers: closed forms forwards, straight through backwards."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_neurons import quantize


@pytest.fixture
def x() -> torch.Tensor:
    grid = torch.tensor([-2.5, -1.5, -0.5, -0.2, 0.0, 0.4, 0.5, 1.5, 1.7], dtype=torch.float64)
    return grid.requires_grad_(True)


def gradient(y: torch.Tensor, x: torch.Tensor) -> list[float]:
    (grad,) = torch.autograd.grad(y.sum(), x)
    return grad.tolist()


@pytest.mark.parametrize("name", ["round", "ceil", "floor"])
def test_rounding_is_exact_and_straight_through(name, x):
    y = getattr(quantize, name)(x)
    assert torch.equal(y, getattr(torch, name)(x))
    assert gradient(y, x) == [1] * len(x)


def test_clamp_passes_the_gradient_inside_ends_included(x):
    y = quantize.clamp(x, -0.5, 1.5)
    assert y.tolist() == [-0.5, -0.5, -0.5, -0.2, 0.0, 0.4, 0.5, 1.5, 1.5]
    assert gradient(y, x) == [0, 0, 1, 1, 1, 1, 1, 1, 0]


@given(step=st.floats(0.01, 10))
def test_step_quantize_gives_the_nearest_multiple(step):
    x = torch.linspace(-3, 3, 31, dtype=torch.float64, requires_grad=True)
    y = quantize.step_quantize(x, step)
    assert (y - x).abs().max().item() <= step / 2 + 1e-9
    multiples = y / step
    torch.testing.assert_close(multiples, multiples.round(), rtol=0, atol=1e-9)
    assert gradient(y, x) == pytest.approx([1] * 31)


@given(k=st.integers(1, 8))
def test_k_bits_give_two_to_the_k_levels(k):
    x = torch.linspace(0, 1, 2049, dtype=torch.float64, requires_grad=True)
    y = quantize.k_bit_quantize(x, k)
    assert len(y.unique()) == 2**k
    assert y[0] == 0 and y[-1] == 1
    assert gradient(y, x) == pytest.approx([1] * 2049)


def test_affine_quantizer_scales_shifts_and_learns(x):
    w = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    levels = quantize.k_bit_quantize(x, 2)
    y = quantize.affine_k_bit_quantize(x, 2, w, -1.0)
    torch.testing.assert_close(y, 3 * levels - 1)
    grad_x, grad_w = torch.autograd.grad(y.sum(), (x, w))
    assert grad_x.tolist() == [3] * len(x)
    assert grad_w.item() == pytest.approx(levels.sum().item())


def test_clamp_by_linear_fills_the_unit_interval(x):
    y = quantize.clamp_by_linear(x)
    assert y.min() == 0 and y.max().item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(y, (x + 2.5) / (4.2 + 1e-5))
    assert torch.equal(quantize.clamp_by_linear(torch.ones(3)), torch.zeros(3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_is_kept(dtype):
    x = torch.linspace(0, 1, 5, dtype=dtype)
    assert quantize.round(x).dtype == dtype
    assert quantize.k_bit_quantize(x, 3).dtype == dtype
    assert quantize.clamp_by_linear(x).dtype == dtype


def test_function_transforms():
    x = torch.linspace(-1, 1, 6).view(2, 3)
    per_row = torch.func.vmap(torch.func.grad(lambda r: quantize.k_bit_quantize(r, 2).sum()))(x)
    torch.testing.assert_close(per_row, torch.ones_like(x))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_as_one_graph(x):
    f = torch.compile(
        lambda x: quantize.affine_k_bit_quantize(quantize.clamp(x, 0, 1), 3, 2.0, 1.0),
        fullgraph=True,
        backend="aot_eager",
    )
    assert gradient(f(x), x) == [0, 0, 0, 0, 2, 2, 2, 0, 0]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: quantize.clamp(x, 1, 0), ValueError, "lo=1, hi=0"),
        (lambda x: quantize.step_quantize(x, 0), ValueError, "step .* got 0"),
        (lambda x: quantize.step_quantize(x, math.nan), ValueError, "got nan"),
        (lambda x: quantize.k_bit_quantize(x, 0), ValueError, "at least 1 bit, got 0"),
        (lambda x: quantize.k_bit_quantize(x, 2.0), TypeError, r"whole number of bits, got 2\.0"),
    ],
)
def test_bad_arguments_are_named(call, error, text, x):
    with pytest.raises(error, match=text):
        call(x)
