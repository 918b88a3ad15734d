"""Operations counted one by one in tiny nets."""

import pytest
import torch
from torch import nn

import sj_layers as layer
from sj_layers.profile import profile
from sj_neurons import functional, neuron


def spikes(*shape):
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(shape, generator=generator) < 0.3).float()


def weights_met(conv: nn.Module, x: torch.Tensor) -> int:
    """By the gradient of the output with respect to each input: how many weights it meets."""
    twin = type(conv)(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding,
        dilation=conv.dilation, groups=conv.groups, bias=False,
    ).double()  # fmt: skip
    nn.init.ones_(twin.weight)
    x = x.double().requires_grad_(True)
    twin(x).sum().backward()
    return round((x.grad * x.detach()).sum().item())


CONVOLUTIONS = [
    nn.Conv1d(4, 6, 3, padding=1),
    nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), groups=2),
    nn.Conv2d(4, 4, 3, dilation=2, groups=4),
    nn.Conv3d(4, 2, 2),
    nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2),
]


@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=repr)
def test_a_convolution_counts_the_weights_that_spikes_meet(conv):
    x = spikes(2, 4, *(7,) * len(conv.kernel_size))
    cost = profile(nn.Sequential(conv), x)["0"]
    assert (cost.acs, cost.macs) == (weights_met(conv, x), 0)
    analog = profile(nn.Sequential(conv), x + 0.5)["0"]
    assert (analog.acs, analog.macs) == (0, weights_met(conv, torch.ones_like(x)))


def test_integer_spikes_count_as_many():
    cost = profile(nn.Sequential(nn.Linear(3, 5)), torch.tensor([[2.0, 0.0, -1.0]]))
    assert (cost.acs, cost.macs, cost.picojoule) == (15, 0, pytest.approx(13.5))


def net():
    made = nn.Sequential(
        layer.Linear(3, 4, bias=False), neuron.IFNode(), layer.Linear(4, 2), neuron.LIFNode()
    )
    with torch.no_grad():
        made[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]))
    functional.set_step_mode(made, "m")
    return made


def test_rates_and_shares_of_neurons():
    x = torch.tensor([[1.5, 0.4, 0.6]]).repeat(4, 1, 1)  # T=4, N=1
    cost = profile(net(), x)
    # the first fires at every step, the second at step 3, the third at 2 and 4, the last never
    assert cost["1"].spikes == 4 + 1 + 2
    assert (cost["1"].dead, cost["1"].saturated) == (0.25, 0.25)
    assert cost["1"].rate == pytest.approx(7 / 16)
    assert (cost["0"].macs, cost["2"].acs) == (4 * 3 * 4, 7 * 2)
    assert cost.picojoule == pytest.approx(48 * 4.6 + 14 * 0.9)
    assert profile(net(), x, mac_picojoule=1.0, ac_picojoule=0.0).picojoule == 48
    table = str(cost).splitlines()
    assert table[0].split()[:4] == ["layer", "kind", "MACs", "ACs"]
    assert table[-1].split() == ["total", "48", "14", str(cost.spikes), "0.233"]


def test_steps_of_a_loop_count_together():
    single = net()
    functional.set_step_mode(single, "s")
    looped = nn.Sequential(layer.MultiStepContainer(*single))
    x = torch.tensor([[1.5, 0.4, 0.6]]).repeat(4, 1, 1)
    whole, steps = profile(net(), x), profile(looped, x)
    for ours, theirs in zip(steps.layers, whole.layers, strict=True):
        assert (ours.spikes, ours.rate, ours.dead, ours.saturated) == (
            theirs.spikes, theirs.rate, theirs.dead, theirs.saturated
        )  # fmt: skip
    assert (steps.macs, steps.acs) == (whole.macs, whole.acs)


def test_the_net_is_left_as_it_was():
    model = nn.Sequential(layer.BatchNorm1d(3), neuron.IFNode(), layer.Dropout(0.5))
    x = torch.rand(2, 3)
    model(x)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    v = model[1].v.clone()
    profile(model, x)
    assert model.training and model[2].training
    assert torch.equal(model[1].v, v)
    assert all(torch.equal(before[k], value) for k, value in model.state_dict().items())
    with pytest.raises(RuntimeError, match="running_mean"):
        profile(model, torch.rand(2, 4))
    assert torch.equal(model[1].v, v) and not model[0]._forward_hooks
