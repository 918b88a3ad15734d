from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sz_models import build_model_name
from sz_models.archs import wgse
from sz_models.archs.wgse import Dwt1dResnetX_TCN
from sz_models.models import WGSE, WGSEConfig


@pytest.fixture(scope="module")
def net() -> Dwt1dResnetX_TCN:
    torch.manual_seed(0)
    return Dwt1dResnetX_TCN(num_residual_blocks=1).eval()


def spikes(frames: int, height: int, width: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(batch, frames, height, width, generator=generator) < 0.3).float()


def test_network_has_the_published_size():
    assert sum(value.numel() for value in Dwt1dResnetX_TCN().parameters()) == 3_805_575


def test_keys_of_a_branch_and_of_the_filters(net):
    state = net.state_dict()
    branch = ["0.tcn0.0", "0.tcn1.0", "1"]
    expected = [f"{name}.{kind}" for name in branch for kind in ("weight", "bias")]
    assert [k.removeprefix("wvl.yl_block.") for k in state if k.startswith("wvl.yl_block.")] == (
        expected
    )
    assert [k for k in state if k.startswith(("wvl.dwt", "wvl.idwt"))] == [
        "wvl.dwt.h0",
        "wvl.dwt.h1",
        "wvl.idwt.g0",
        "wvl.idwt.g1",
    ]


def test_a_branch_is_two_convolutions_beside_a_shortcut_and_a_third(net):
    block = net.wvl.yh_blocks[2]
    x = torch.rand(5, 1, 18, generator=torch.Generator().manual_seed(0))
    p = {name: value.detach() for name, value in block.named_parameters()}

    def convolve(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.conv1d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)

    y = (convolve(convolve(x, "0.tcn0.0").relu(), "0.tcn1.0") + x).relu()
    expected = convolve(y, "1").relu()
    # pixels [5, 1, L] -> one image of 5 pixels [1, 1, L, 5]
    ours = block(x.permute(1, 2, 0).unsqueeze(1))
    torch.testing.assert_close(ours[0, 0].T, expected[:, 0])


@pytest.mark.parametrize("pixels", [1, 7, 1000])
def test_pixels_at_a_time_do_not_matter(net, monkeypatch, pixels):
    x = spikes(41, 5, 6, batch=2)
    expected = net(x)
    monkeypatch.setattr(wgse, "_PIXELS_PER_THREAD", pixels)
    torch.testing.assert_close(net(x), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [(1, 1), (3, 8)])
def test_any_size_and_no_negative_values(net, size):
    image = net(spikes(41, *size, batch=2))
    assert image.shape == (2, 1, *size)
    assert (image >= 0).all()


@pytest.mark.parametrize("inc", [20, 21])
def test_other_numbers_of_frames(inc):
    small = Dwt1dResnetX_TCN(J=2, yh_size=[1, 1], num_residual_blocks=0, inc=inc, ks=5)
    assert small(spikes(inc, 3, 4)).shape == (1, 1, 3, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wvlname": "haar"}, "wvlname must be 'db8'"),
        ({"norm": "BN"}, "norm must be None"),
        ({"ks": 4}, "ks must be a positive odd number, got 4"),
        ({"J": 3}, "one entry per level, J=3"),
    ],
)
def test_variants_that_do_not_exist_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Dwt1dResnetX_TCN(**arguments)


def test_every_parameter_is_trained(net):
    net(spikes(41, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()


def test_bfloat16_stays_close_to_float32():
    torch.manual_seed(0)
    net = Dwt1dResnetX_TCN(num_residual_blocks=1)
    x = spikes(41, 6, 6)
    expected = net(x)
    image = net.bfloat16()(x.bfloat16())
    assert image.dtype is torch.bfloat16
    torch.testing.assert_close(image.float(), expected, rtol=0.1, atol=0.02)


def test_wrapper_crops_the_stream_in_time():
    cfg = WGSEConfig(model_params={"num_residual_blocks": 1})
    model = WGSE(cfg).build_network("debug")
    stream = spikes(60, 4, 6).to(model.device)
    torch.testing.assert_close(model(stream), model.net(stream[:, 10:51]))
    assert cfg.length_for("v010") == cfg.length_for("v023") == 41


def test_name():
    assert isinstance(build_model_name("WGSE"), WGSE)
