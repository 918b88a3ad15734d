"""OTTT layers: the output of the spikes, the weight gradient of the trace."""

import torch
from torch import nn

import sj_layers as layer
from sj_layers import online
from sj_neurons import functional, neuron


def test_replacing_changes_the_value_and_shares_the_gradient():
    x, x_r = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([5.0], requires_grad=True)
    y = online.ReplaceforGrad.apply(x, x_r.expand(2))
    assert y.tolist() == [5.0, 5.0]
    (y * torch.tensor([1.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [1.0, 3.0] and x_r.grad.tolist() == [4.0]


def test_weights_learn_from_the_trace_and_inputs_from_the_weights():
    linear = nn.Linear(3, 2).double()
    spike = torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    trace = torch.tensor([[0.5, 2.0, 1.5]], dtype=torch.float64)
    grad = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    y = online.GradwithTrace(linear)([spike, trace])
    torch.testing.assert_close(y, linear(spike))
    y.backward(grad)
    torch.testing.assert_close(linear.weight.grad, grad.t() @ trace)
    torch.testing.assert_close(linear.bias.grad, grad[0])
    torch.testing.assert_close(spike.grad, grad @ linear.weight)


def test_layers_without_weights_pass_both_on():
    spike = torch.rand(1, 2, 4, 4, requires_grad=True)
    trace = torch.rand(1, 2, 4, 4, requires_grad=True)
    pooled, passed = online.SpikeTraceOp(nn.AvgPool2d(2))([spike, trace])
    torch.testing.assert_close(passed, nn.functional.avg_pool2d(trace, 2))
    assert pooled.requires_grad and not passed.requires_grad


def test_a_sequential_net_trains_online_and_evaluates_plainly():
    net = layer.OTTTSequential(
        nn.Conv2d(1, 4, 3, padding=1), neuron.OTTTLIFNode(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(4 * 16, 3), neuron.OTTTLIFNode(), nn.Linear(3, 2),
    )  # fmt: skip
    assert set(net.state_dict()) == {f"{i}.{p}" for i in (0, 4, 6) for p in ("weight", "bias")}
    x = 2 * torch.rand(2, 1, 8, 8)
    for _ in range(3):
        net(x).sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    functional.reset_net(net)
    net.eval()
    twin = nn.Sequential(*net)
    y = net(x)
    functional.reset_net(net)
    torch.testing.assert_close(twin(x), y)
