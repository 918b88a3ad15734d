"""Costs by hand: one convolution, one layer of neurons, one attention product."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import sj_layers as layer
from sj_models.cost import cost_table, costs, without_memory
from sj_neurons.neuron import LIFNode

T, N, C, H, W = 3, 1, 2, 4, 4


class Net(nn.Module):
    def __init__(self, step_mode: str = "m") -> None:
        super().__init__()
        self.features = nn.Sequential(
            layer.Conv2d(C, 5, 3, padding=1, bias=False, step_mode=step_mode),
            LIFNode(step_mode=step_mode),
        )
        self.fc = nn.Linear(W, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x @ x.transpose(-1, -2)


def test_parts_are_counted_for_all_steps_and_neurons_for_one():
    features, fc, total = costs(Net(), torch.zeros(T, N, C, H, W))
    assert (features.name, features.kind, features.parameters) == ("features", "Sequential", 90)
    assert features.neurons == 5 * H * W
    assert features.macs == T * 5 * H * W * C * 9
    assert (fc.parameters, fc.neurons, fc.macs) == (35, 0, T * 5 * H * W * 7)
    assert total.name == "" and total.macs == features.macs + fc.macs
    assert (total.parameters, total.neurons) == (125, features.neurons)


def test_single_steps_and_products_count_too():
    features, _, _ = costs(Net("s"), torch.zeros(N, C, H, W))
    assert features.neurons == 5 * H * W
    assert costs(nn.Sequential(Attention()), torch.zeros(1, 3, 8))[0].macs == 3 * 3 * 8


def test_nothing_is_computed_without_memory():
    net = without_memory(Net)
    assert {p.device.type for p in net.parameters()} == {"meta"}
    on_meta = costs(net, torch.zeros(T, N, C, H, W, device="meta"))
    assert on_meta == costs(Net(), torch.zeros(T, N, C, H, W))


def test_constructors_may_compute_with_small_tensors_without_memory():
    class Graded(nn.Linear):
        def __init__(self) -> None:
            super().__init__(1, 1)
            self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
            self.register_buffer("scale", torch.ones(1))
            self.own = nn.Parameter(torch.empty(2, device="cpu"))

    graded = without_memory(Graded)
    assert graded.rates == [0, 0.5, 1]
    assert {t.device.type for t in graded.state_dict().values()} == {"meta"}


def test_the_model_is_left_as_it_was():
    net = Net()
    net.features.eval()
    net(torch.ones(T, N, C, H, W))
    v = net.features[1].v.clone()
    costs(net, torch.zeros(T, N, C, H, W))
    assert torch.equal(net.features[1].v, v)
    assert net.training and not net.features.training
    with pytest.raises(RuntimeError):
        costs(net, torch.zeros(T, N, C + 1, H, W))
    assert not net.features[1]._forward_hooks


def test_the_table_has_a_line_per_part():
    lines = cost_table(costs(Net(), torch.zeros(T, N, C, H, W))).splitlines()
    assert lines[0].split() == ["part", "kind", "parameters", "neurons", "MACs"]
    assert lines[-1].split() == ["total", "Net", "125", "80", "6,000"]
