from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sj_neurons.functional import reset_net
from sz_models import build_model_cfg
from sz_models.archs.ssir import SSIR as SSIRNet
from sz_models.models import SSIR, SSIRConfig


def stream(*shape: int, seed: int = 0) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.3).float()


def make_it_fire(net: nn.Module) -> None:
    """Fresh neurons get too little to fire in every layer."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 2.0, 4.0)
            nn.init.normal_(module.bias)


@pytest.fixture
def net() -> SSIRNet:
    net = SSIRNet().eval()
    make_it_fire(net)
    return net


def wrapper(**options) -> SSIR:
    model = build_model_cfg(SSIRConfig(**options)).build_network("debug")
    assert isinstance(model, SSIR)
    make_it_fire(model.net)
    return model


def potentials(net: nn.Module) -> list:
    return [module.v for module in net.modules() if hasattr(module, "v")]


@torch.no_grad()
def test_maps_between_the_convolutions_are_spikes(net):
    seen = {}
    for name in ("static_conv", "enc1", "eres1.sn3", "eres1", "dec3"):
        net.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, out, name=name: seen.update({name: out})
        )
    assert net(stream(2, 41, 8, 12)).shape == (2, 1, 8, 12)
    total = seen.pop("eres1")
    assert list(total.shape) == [2, 128, 4, 6]
    assert torch.equal(total, seen["enc1"] + seen["eres1.sn3"])
    for name, spikes in seen.items():
        assert spikes.unique().tolist() == [0, 1], name


def test_weights_say_nothing_of_the_stream(net):
    before = list(net.state_dict())
    net(stream(1, 41, 8, 8))
    assert list(net.state_dict()) == before
    assert [key for key in before if key.endswith(".w")] == [
        f"{name}.w"
        for name in ("static_conv.layer.2", "enc1.layer.2", "eres1.sn1", "eres1.sn2", "eres1.sn3")
    ] + ["dec3.layer.2.w"]
    assert all(net.get_parameter(key).ndim == 0 for key in before if key.endswith(".w"))


@torch.no_grad()
def test_windows_build_on_each_other_until_reset(net):
    first, second = stream(1, 41, 8, 8), stream(1, 41, 8, 8, seed=1)
    alone = net(second)
    reset_net(net)
    net(first)
    assert not torch.equal(net(second), alone)
    reset_net(net)
    assert torch.equal(net(second), alone)


def test_every_parameter_learns(net):
    net.train()
    (net(stream(2, 41, 8, 8)).square().sum() + net(stream(2, 41, 8, 8)).square().sum()).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@torch.no_grad()
def test_bfloat16(net):
    out = net.bfloat16()(stream(1, 41, 8, 8).bfloat16())
    assert out.dtype == torch.bfloat16
    assert out.isfinite().all()


@pytest.mark.parametrize("shape", [(1, 40, 8, 8), (41, 8, 8)])
def test_streams_that_do_not_fit(net, shape):
    with pytest.raises(ValueError, match=r"\[B, 41, H, W\]"):
        net(stream(*shape))


@torch.no_grad()
def test_another_size_needs_a_reset(net):
    net(stream(1, 41, 8, 8))
    with pytest.raises(ValueError, match="reset"):
        net(stream(1, 41, 8, 10))


@torch.no_grad()
def test_wrapper_forgets_after_every_call():
    model = wrapper()
    spike = stream(1, 45, 8, 8).to(model.device)
    image = model(spike)
    assert torch.equal(model(spike), image)
    assert potentials(model.net) == [0.0] * 6
    assert model(stream(2, 41, 6, 4).to(model.device)).shape == (2, 1, 6, 4)


@torch.no_grad()
def test_wrapper_forgets_after_an_error():
    model = wrapper()
    model.net.pred3.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(stream(1, 41, 8, 8).to(model.device))
    assert potentials(model.net) == [0.0] * 6


@torch.no_grad()
def test_wrapper_keeps_the_state_where_asked_to():
    model = wrapper(keep_state=True)
    spike = stream(1, 41, 8, 8).to(model.device)
    image = model(spike)
    assert not torch.equal(model(spike), image)
    model.reset_state()
    assert torch.equal(model(spike), image)


def test_gradients_flow_after_the_reset():
    model = wrapper()
    model(stream(1, 41, 8, 8).to(model.device)).sum().backward()
    assert model.net.static_conv.layer[0].weight.grad.any()


@torch.no_grad()
def test_odd_sizes():
    model = wrapper()
    spike = stream(1, 41, 7, 9).to(model.device)
    padded = torch.cat((spike, spike[:, :, -1:]), 2)
    padded = torch.cat((padded, padded[..., -1:]), 3)
    assert torch.equal(model(spike), model(padded)[..., :7, :9])


def test_copies_of_the_network_cannot_keep_state():
    with pytest.raises(ValueError, match="keep_state does not work with multi_gpu"):
        build_model_cfg(SSIRConfig(keep_state=True, multi_gpu=True)).build_network("debug")
