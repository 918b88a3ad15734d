"""Laws of the surrogate functions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sj_neurons import surrogate

SURROGATES = [surrogate.ATan, surrogate.Sigmoid]
alphas = st.floats(0.5, 8.0)


@pytest.fixture
def x() -> torch.Tensor:
    grid = torch.linspace(-3, 3, 61, dtype=torch.float64)
    return grid.requires_grad_(True)


@pytest.mark.parametrize("cls", SURROGATES)
@given(alpha=alphas)
def test_backward_of_the_spike_is_the_gradient_of_the_primitive(cls, alpha):
    x = torch.linspace(-3, 3, 61, dtype=torch.float64, requires_grad=True)
    (of_spike,) = torch.autograd.grad(cls(alpha)(x).sum(), x)
    (of_primitive,) = torch.autograd.grad(cls(alpha, spiking=False)(x).sum(), x)
    torch.testing.assert_close(of_spike, of_primitive)


@pytest.mark.parametrize("cls", SURROGATES)
def test_primitive_passes_gradcheck_and_second_order_exists(cls, x):
    assert torch.autograd.gradcheck(cls(spiking=False), (x,))
    (first,) = torch.autograd.grad(cls()(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    reference = cls(spiking=False)
    (r1,) = torch.autograd.grad(reference(x).sum(), x, create_graph=True)
    (r2,) = torch.autograd.grad(r1.sum(), x)
    torch.testing.assert_close(second, r2)


@pytest.mark.parametrize("cls", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_fires_at_equality_never_on_nan_and_keeps_the_dtype(cls, dtype):
    u = torch.tensor([-1.0, -0.0, 0.0, 1.0, math.nan, math.inf, -math.inf], dtype=dtype)
    spike = cls()(u)
    assert spike.dtype == dtype
    assert spike.tolist() == [0, 1, 1, 1, 0, 1, 0]


@pytest.mark.parametrize("cls", SURROGATES)
def test_primitive_rises_from_zero_to_one_through_a_half(cls):
    g = cls(alpha=4.0, spiking=False)
    values = g(torch.linspace(-50, 50, 1001, dtype=torch.float64))
    assert (values.diff() >= 0).all()
    assert values[0] < 0.01 and values[-1] > 0.99
    assert g(torch.zeros(1)).item() == pytest.approx(0.5)


def test_derivative_at_the_threshold_has_its_closed_form():
    zero = torch.zeros(1, requires_grad=True)
    for alpha in (1.0, 2.0, 5.0):
        (atan,) = torch.autograd.grad(surrogate.ATan(alpha)(zero), zero)
        (sigmoid,) = torch.autograd.grad(surrogate.Sigmoid(alpha)(zero), zero)
        assert atan.item() == pytest.approx(alpha / 2)
        assert sigmoid.item() == pytest.approx(alpha / 4)


@pytest.mark.parametrize("cls", SURROGATES)
def test_three_spellings_agree(cls, x):
    module = cls(alpha=3.0)
    function = getattr(surrogate, cls.__name__.lower())
    (by_module,) = torch.autograd.grad(module(x).sum(), x)
    (by_function,) = torch.autograd.grad(function.apply(x, 3.0).sum(), x)
    by_hand = cls.backward(torch.ones_like(x), x, 3.0)
    torch.testing.assert_close(by_function, by_module)
    torch.testing.assert_close(by_hand, by_module)


def test_spiking_mode_switches_and_shows_in_the_repr():
    module = surrogate.ATan()
    assert repr(module) == "ATan(alpha=2.0, spiking=True)"
    module.set_spiking_mode(False)
    assert repr(module) == "ATan(alpha=2.0, spiking=False)"
    assert module(torch.zeros(1)).item() == 0.5


@pytest.mark.parametrize("cls", SURROGATES)
def test_works_under_function_transforms(cls):
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    per_row = torch.func.vmap(torch.func.grad(lambda row: cls()(row).sum()))(x)
    torch.testing.assert_close(per_row, cls.derivative(x, *cls().parameter_values))
