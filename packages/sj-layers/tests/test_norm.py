"""Normalisations made for spiking networks, against their equations."""

import copy

import pytest
import torch
from torch import nn

from sj_layers import norm, torch_layers
from sj_neurons import functional

T, N, C, H, W = 4, 3, 2, 5, 4
DIMS = pytest.mark.parametrize("dims", [1, 2, 3])
SPACE = {1: (6,), 2: (H, W), 3: (3, 2, 2)}


def sequence(dims=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(T, N, C, *SPACE[dims], generator=generator, dtype=dtype)


@pytest.mark.parametrize("shared", [False, True])
def test_neunorm_follows_its_equations(shared):
    node = norm.NeuNorm(C, H, W, 0.8, shared, step_mode="m").double()
    x_seq = sequence().requires_grad_(True)
    y = node(x_seq)
    trace, expected = 0.0, []
    for s in x_seq:
        trace = 0.8 * trace + 0.2 / C**2 * s.sum(1, keepdim=True)
        expected.append(s - node.w * trace)
    torch.testing.assert_close(y, torch.stack(expected))
    torch.testing.assert_close(node.x, trace)
    single = copy.deepcopy(node)
    single.reset()
    single.step_mode = "s"
    torch.testing.assert_close(torch.stack([single(s) for s in x_seq]), y)
    assert node.w.shape == (1 if shared else C, H, W)
    y.sum().backward()
    assert x_seq.grad is not None and node.w.grad is not None
    assert "k=0.8" in repr(node)


@DIMS
def test_threshold_dependent_norm_starts_at_alpha_times_threshold(dims):
    cls = getattr(norm, f"ThresholdDependentBatchNorm{dims}d")
    node = cls(0.7, 1.5, C).double()
    assert node.step_mode == "m"
    torch.testing.assert_close(node.weight.data, torch.full((C,), 1.05, dtype=torch.float64))
    twin = getattr(nn, f"BatchNorm{dims}d")(C).double()
    x_seq = sequence(dims)
    expected = 1.05 * twin(x_seq.flatten(0, 1)).unflatten(0, (T, N))
    torch.testing.assert_close(node(x_seq), expected)
    torch.testing.assert_close(node.running_var, twin.running_var)
    with pytest.raises(ValueError, match="needs affine=True"):
        cls(0.7, 1.5, C, affine=False)


@DIMS
def test_temporal_effective_norm_scales_each_step(dims):
    cls = getattr(norm, f"TemporalEffectiveBatchNorm{dims}d")
    node = cls(T, C).double()
    with torch.no_grad():
        node.scale.copy_(torch.arange(1.0, T + 1))
    twin = getattr(torch_layers, f"BatchNorm{dims}d")(C, step_mode="m").double()
    x_seq = sequence(dims)
    expected = torch.stack([(t + 1) * y for t, y in enumerate(twin(x_seq))])
    torch.testing.assert_close(node(x_seq), expected)
    with pytest.raises(ValueError, match=f"built for T={T} steps"):
        node(x_seq[:2])
    with pytest.raises(ValueError, match="step_mode"):
        node.step_mode = "s"


@DIMS
def test_each_step_has_a_norm_of_its_own(dims):
    node = getattr(norm, f"BatchNormThroughTime{dims}d")(T, C, step_mode="m").double()
    x_seq = sequence(dims)
    expected = [getattr(nn, f"BatchNorm{dims}d")(C).double()(x) for x in x_seq]
    torch.testing.assert_close(node(x_seq), torch.stack(expected))
    assert node.t == T - 1
    assert all(bn.bias is None for bn in node.bn_list)
    with pytest.raises(ValueError, match=r"built for 4 steps.*reset\(\)"):
        node(x_seq)
    node.reset()
    node.step_mode = "s"
    torch.testing.assert_close(torch.stack([node(x) for x in x_seq]), torch.stack(expected))


@pytest.mark.parametrize("name", norm.__all__)
def test_state_dict_round_trips(name):
    cls, dims = getattr(norm, name), int(name[-2]) if name[-1] == "d" else 2
    if name == "NeuNorm":
        args = (C, H, W)
    else:
        args = (0.7, 1.5, C) if name.startswith("Threshold") else (T, C)
    node, twin = cls(*args), cls(*args)
    node.step_mode = twin.step_mode = "m"
    x_seq = sequence(dims, torch.float32)
    node(x_seq)
    functional.reset_net(node)
    twin.load_state_dict(node.state_dict())
    assert torch.equal(twin.eval()(x_seq), node.eval()(x_seq))
    functional.reset_net(node)
    assert node.to(torch.bfloat16)(x_seq.bfloat16()).dtype == torch.bfloat16
