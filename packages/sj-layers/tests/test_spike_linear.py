"""The sparse map is the dense one, whatever the density."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sj_layers import spike_linear
from sj_layers.spike_linear import SpikeLinear


def pair(max_density: float = 1.0, bias: bool = True) -> tuple[SpikeLinear, nn.Linear]:
    torch.manual_seed(0)
    ours = SpikeLinear(7, 5, bias, dtype=torch.float64, max_density=max_density)
    twin = nn.Linear(7, 5, bias, dtype=torch.float64)
    twin.load_state_dict(ours.state_dict())
    return ours, twin


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.booleans(), st.booleans())
def test_values_and_gradients_are_those_of_the_dense_map(seed, density, counts, bias):
    generator = torch.Generator().manual_seed(seed)
    x = (torch.rand(3, 2, 7, generator=generator) < density).double()
    if counts:
        x = x * torch.randint(-2, 4, x.shape, generator=generator)
    grad = torch.randn(3, 2, 5, generator=generator, dtype=torch.float64)
    results = []
    for module in pair(bias=bias):
        given_x = x.clone().requires_grad_(True)
        y = module(given_x)
        y.backward(grad)
        results.append((y, given_x.grad, *(p.grad for p in module.parameters())))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_density_decides(monkeypatch):
    taken = []
    gather = spike_linear._gather_add
    monkeypatch.setattr(
        spike_linear, "_gather_add", lambda s, w: taken.append(s.shape) or gather(s, w)
    )
    ours, twin = pair(max_density=0.2)
    few = torch.zeros(10, 7, dtype=torch.float64)
    few[:, 0] = 1.0
    torch.testing.assert_close(ours(few), twin(few))
    assert taken == [(10, 7)]
    torch.testing.assert_close(ours(1 - few), twin(1 - few))
    ours.float()(few.bfloat16().float().to(torch.float32))
    assert len(taken) == 2
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(few.float()).dtype == torch.bfloat16
    assert len(taken) == 2


def test_rows_of_the_weight_stay_contiguous():
    ours, _ = pair()
    for module in (ours, copy.deepcopy(ours), copy.deepcopy(ours).float()):
        assert module.weight.t().is_contiguous()
    assert ours.state_dict()["weight"].shape == (5, 7)
    torch.optim.SGD(ours.parameters(), 0.1)
    with pytest.raises(ValueError, match="max_density"):
        SpikeLinear(2, 2, max_density=1.5)


def test_second_derivatives():
    ours, _ = pair()
    x = torch.eye(7, dtype=torch.float64)[:3].requires_grad_(True)
    assert torch.autograd.gradgradcheck(ours, (x,))


def test_compiles_as_one_graph():
    ours, twin = pair()
    x = torch.eye(7, dtype=torch.float64)
    torch.testing.assert_close(torch.compile(ours, fullgraph=True, backend="eager")(x), twin(x))
