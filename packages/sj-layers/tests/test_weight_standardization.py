"""Standardised weights against their equation."""

import pytest
import torch
from torch.nn import functional as F

from sj_layers.weight_standardization import WSConv2d, WSLinear


def standardised(weight, gain, eps=1e-4):
    flat = weight.flatten(1)
    fan_in = flat.shape[1]
    var = flat.var(1, keepdim=True)  # unbiased
    rows = (flat - flat.mean(1, keepdim=True)) / (var * fan_in + eps).sqrt()
    return (gain.flatten(1) * rows).view_as(weight)


@pytest.mark.parametrize("gain", [True, False])
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_convolution(gain, step_mode):
    torch.manual_seed(0)
    layer = WSConv2d(3, 4, 3, padding=1, gain=gain, step_mode=step_mode).double()
    factor = torch.ones(4, 1, 1, 1, dtype=torch.float64)
    if gain:
        with torch.no_grad():
            layer.gain.copy_(torch.rand(4, 1, 1, 1))
        factor = layer.gain
    x = torch.rand(2, 3, 5, 5, dtype=torch.float64)
    expected = F.conv2d(x, standardised(layer.weight, factor), layer.bias, padding=1)
    y = layer(x) if step_mode == "s" else layer(x.unsqueeze(0).repeat(2, 1, 1, 1, 1))[1]
    torch.testing.assert_close(y, expected)
    y.sum().backward()
    assert layer.weight.grad.isfinite().all()
    assert ("gain" in layer.state_dict()) == gain


@pytest.mark.parametrize("gain", [True, False])
def test_linear(gain):
    layer = WSLinear(5, 3, gain=gain, step_mode="m").double()
    x = torch.rand(4, 2, 5, dtype=torch.float64)
    weight = standardised(layer.weight, torch.ones(3, 1, dtype=torch.float64))
    torch.testing.assert_close(layer(x), F.linear(x, weight, layer.bias))
