from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sz_models import build_model_cfg
from sz_models.archs.spk2imgnet import SpikeNet
from sz_models.models import Spk2ImgNet, Spk2ImgNetConfig


def small_net() -> SpikeNet:
    torch.manual_seed(0)
    return SpikeNet(features=8)


def stream(*shape: int) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.3).float()


def test_the_image_has_the_size_of_the_spikes():
    net = small_net()
    assert net(stream(2, 41, 12, 8)).shape == (2, 1, 12, 8)
    assert SpikeNet(7, 8, 2, win_r=3, win_step=2)(stream(1, 15, 4, 8)).shape == (1, 2, 4, 8)


def test_windows_are_seven_frames_apart():
    frames = torch.arange(41.0).view(1, 41, 1, 1).expand(1, 41, 4, 4)
    first = [window[0, 0, 0, 0].item() for window in small_net().windows(frames)]
    assert first == [0, 7, 14, 21, 28]


def without_gradient(net: SpikeNet) -> set[str]:
    net.zero_grad()
    net(stream(1, 41, 8, 8)).square().sum().backward()
    return {
        name
        for name, parameter in net.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }


def test_a_fresh_network_moves_nothing_and_learns_to():
    net = small_net()
    offsets = {name for name, _ in net.named_parameters() if "conv_offset_mask" in name}
    assert not any(net.get_parameter(name).any() for name in offsets)
    # What leads to the offsets has no gradient as long as they are multiplied by 0.
    still = without_gradient(net)
    assert not still & offsets
    assert all("offset_conv" in name for name in still)
    for name in offsets:
        torch.nn.init.normal_(net.get_parameter(name), std=0.1)
    assert not without_gradient(net)


def test_images_of_a_batch_do_not_depend_on_each_other():
    net, spike = small_net(), stream(2, 41, 8, 12)
    with torch.no_grad():
        torch.testing.assert_close(net(spike)[1:], net(spike[1:]))


def test_bfloat16():
    net, spike = small_net(), stream(1, 41, 8, 8)
    with torch.no_grad():
        expected = net(spike)
        out = net.bfloat16()(spike.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected, rtol=0.1, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 11}, "in_channels must be 2 \\* win_r \\+ 1"),
        ({"in_channels": 5, "win_r": 2}, "win_r at least 3"),
        ({"features": 12}, "features must be a multiple of 8"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpikeNet(**arguments)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 40, 8, 8), r"\[B, 41, H, W\]"), ((1, 41, 6, 8), "multiples of 4")],
)
def test_streams_that_do_not_fit(shape, message):
    with pytest.raises(ValueError, match=message):
        small_net()(stream(*shape))


def wrapper(**options) -> Spk2ImgNet:
    torch.manual_seed(0)
    cfg = Spk2ImgNetConfig(model_params={"features": 8}, **options)
    model = build_model_cfg(cfg).build_network("debug")
    assert isinstance(model, Spk2ImgNet)
    return model


def test_wrapper_takes_any_size():
    model = wrapper()
    spike = stream(1, 45, 6, 9).to(model.device)
    padded = torch.cat((spike, spike[:, :, -2:]), 2)
    padded = torch.cat((padded, padded[..., -3:]), 3)[:, 2:43]
    torch.testing.assert_close(model(spike), model.net(padded)[..., :6, :9])


def test_light_correction_divides_and_clips():
    plain, corrected = wrapper(), wrapper(light_correction=True)
    spike = stream(1, 41, 8, 8).to(plain.device)
    for model in (plain, corrected):
        model.network().get_parameter("rec_conv2.bias").data.fill_(0.5)
    torch.testing.assert_close(corrected(spike), (plain(spike) / 0.6).clamp(0, 1))
