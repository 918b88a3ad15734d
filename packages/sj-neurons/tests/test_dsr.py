"""Rate-based gradients: the spikes of a written-out loop, the gradient of a clamped rate."""

import math

import pytest
import torch
from torch import Tensor

from sj_neurons import neuron

T, N, C = 6, 2, 3


def wide_input() -> Tensor:
    """Rates below 0, in range and above the threshold of 1."""
    noise = torch.rand(T, N, C, generator=torch.Generator().manual_seed(0)).double()
    return noise + torch.tensor([-1.5, 0.0, 1.5])


def test_if_fires_at_a_part_of_the_threshold_and_subtracts_all_of_it():
    node = neuron.DSRIFNode(T=4, v_threshold=2.0, alpha=0.5)
    # v: 1 -> fires, -1; 0; 1 -> fires, -1; 0
    assert node(torch.ones(4, 1)).flatten().tolist() == [2.0, 0.0, 2.0, 0.0]


def test_lif_spikes_equal_a_written_out_loop():
    node = neuron.DSRLIFNode(T=T, v_threshold=1.0, tau=0.5, delta_t=0.1, alpha=0.4).double()
    x = 4 * wide_input()
    keep, v, expected = math.exp(-0.1 / 0.5), torch.zeros(N, C, dtype=torch.float64), []
    for t in range(T):
        v = keep * v + (1 - keep) * x[t]
        spike = (v >= 0.4).double()
        v = v - spike
        expected.append(spike / 0.1)
    y = node(x)
    torch.testing.assert_close(y, torch.stack(expected))
    assert y.unique().tolist() == [0.0, 10.0]


def test_if_gradient_is_that_of_a_clamped_mean():
    node = neuron.DSRIFNode(T=T, v_threshold=1.0, v_threshold_grad_scaling=0.5).double()
    x = wide_input().requires_grad_(True)
    g = torch.rand(T, N, C, generator=torch.Generator().manual_seed(1)).double()
    ours = torch.autograd.grad((node(x) * g).sum(), (x, node.v_threshold))
    theta = torch.ones((), dtype=torch.float64, requires_grad=True)
    # output of every step = rate, clamped to [0, theta]
    rate = torch.minimum(x.mean(0).clamp(min=0), theta)
    grad_x, grad_theta = torch.autograd.grad((rate * g.sum(0)).sum(), (x, theta))
    torch.testing.assert_close(ours[0], grad_x)
    torch.testing.assert_close(ours[1], 0.5 * grad_theta)
    assert ours[1] != 0


def test_lif_gradient_is_that_of_a_clamped_weighted_mean():
    tau, dt = 0.5, 0.2
    node = neuron.DSRLIFNode(T=T, v_threshold=0.4, tau=tau, delta_t=dt).double()
    x = wide_input().requires_grad_(True)
    g = torch.rand(T, N, C, generator=torch.Generator().manual_seed(1)).double()
    ours = torch.autograd.grad((node(x) * g).sum(), (x, node.v_threshold))
    weights = torch.tensor([math.exp(-(T - t) * dt / tau) for t in range(1, T + 1)]).double()
    weights = (weights / weights.sum()).view(T, 1, 1)
    rate, mean_g = (weights * x).sum(0), (weights * g).sum(0)
    linear = (rate > 0) & (rate < 0.4 / dt * tau)
    assert linear.any() and (rate > 0.4 / dt * tau).any() and (rate < 0).any()
    for t in range(T):
        torch.testing.assert_close(ours[0][t], mean_g * linear / tau, rtol=1e-6, atol=1e-9)
    expected = T * dt * mean_g[rate > 0.4 / dt * tau].sum()
    torch.testing.assert_close(ours[1], expected.detach(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cls", [neuron.DSRIFNode, neuron.DSRLIFNode])
def test_threshold_is_lifted_to_its_bound_also_between_forward_and_backward(cls):
    node = cls(T=T, v_threshold=0.5, v_threshold_lower_bound=0.5)
    x = wide_input().float().requires_grad_(True)
    first = node(x)
    with torch.no_grad():
        node.v_threshold.fill_(0.1)
    second = node(x)
    assert node.v_threshold.item() == 0.5
    assert torch.equal(first, second)
    (first.sum() + second.sum()).backward()
    assert x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize("cls", [neuron.DSRIFNode, neuron.DSRLIFNode])
def test_threshold_is_learned_only_if_wanted_and_always_saved(cls):
    assert cls().v_threshold.requires_grad
    fixed = cls(v_threshold_training=False)
    assert not fixed.v_threshold.requires_grad
    assert set(fixed.state_dict()) == {"v_threshold"}
    assert fixed.supported_backends == ("torch",)


@pytest.mark.parametrize("cls", [neuron.DSRIFNode, neuron.DSRLIFNode])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"T": 0}, ValueError, "T must be at least 1"),
        ({"T": True}, TypeError, "T must be a whole number"),
        ({"alpha": 0}, ValueError, r"alpha must be in \(0, 1\], got 0"),
        ({"alpha": 1.5}, ValueError, "alpha must be in"),
        ({"v_threshold_lower_bound": 0}, ValueError, "v_threshold_lower_bound must be positive"),
        ({"v_threshold": 0.001}, ValueError, "v_threshold must be at least"),
        ({"v_threshold": "1"}, TypeError, "v_threshold must be a number"),
        ({"step_mode": "s"}, ValueError, "step_mode can only be"),
        ({"backend": "cupy"}, NotImplementedError, "not a supported backend"),
        ({"tau": -1.0}, (ValueError, TypeError), "tau"),
        ({"delta_t": 0}, (ValueError, TypeError), "delta_t"),
    ],
)
def test_bad_arguments_are_named(cls, arguments, error, message):
    with pytest.raises(error, match=message):
        cls(**arguments)


def test_another_number_of_steps_is_refused():
    with pytest.raises(ValueError, match="DSRIFNode: built for T = 20 steps, got 3"):
        neuron.DSRIFNode()(torch.ones(3, 1))
