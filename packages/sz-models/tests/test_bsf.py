from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sz_models import build_model_name
from sz_models.archs.bsf import BSF as Network
from sz_models.archs.bsf import attention as attention_module
from sz_models.archs.bsf.attention import BlockAttention
from sz_models.dsft import dsft
from sz_models.models import BSF


def stream(frames: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, frames, height, width, generator=generator) < 0.3


@pytest.mark.parametrize(("frames", "parameters"), [(61, 2_476_870), (41, 2_472_262)])
def test_network_has_the_published_size(frames, parameters):
    assert sum(p.numel() for p in Network(frames).parameters()) == parameters


@pytest.mark.parametrize(("version", "frames"), [("local", 61), ("v010", 61), ("v023", 41)])
def test_versions_take_their_number_of_frames(version, frames):
    model = build_model_name("bsf").build_network("debug", version)
    assert model.model_length == frames
    assert model(stream(65, 9, 14).to(model.device)).shape == (1, 1, 9, 14)


def test_input_is_the_interval_maps_of_the_padded_frames():
    model = build_model_name("bsf").build_network("debug", "v023")
    assert isinstance(model, BSF)
    spikes = stream(43, 6, 8)
    given = model.preprocess_spike(spikes)
    frames = torch.cat([spikes[:, 1:42], spikes[:, 1:42, -2:]], 2)
    assert torch.equal(given["spikes"], frames)
    for name, counts in dsft(frames).items():
        assert torch.equal(given["dsft_dict"][name], counts)


def test_inputs_the_network_does_not_take_are_refused():
    with pytest.raises(ValueError, match="spike_dim 61 or 41, got 21"):
        Network(21)
    net, maps = Network(41), dsft(torch.zeros(1, 41, 8, 8))
    with pytest.raises(ValueError, match=r"missing.*dsft11"):
        net({})
    with pytest.raises(ValueError, match=r"four maps \[B, 41, H, W\]"):
        net({"dsft_dict": dsft(torch.zeros(1, 61, 8, 8))})
    with pytest.raises(ValueError, match=r"four maps \[B, 41, H, W\]"):
        net({"dsft_dict": maps | {"dsft12": maps["dsft12"][..., :4]}})
    with pytest.raises(ValueError, match=r"multiples of 4.*pads any size"):
        net({"dsft_dict": dsft(torch.zeros(1, 41, 8, 6))})


def attention(channels: int) -> BlockAttention:
    torch.manual_seed(0)
    layer = BlockAttention(channels).double()
    with torch.no_grad():
        layer.gamma.fill_(0.7)
    return layer


def pixel_by_pixel(layer: BlockAttention, key: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
    """Each pixel attends to the pixels of the image that its block's 9x9 window covers."""
    q, k, v = layer.to_q(key)[0], layer.to_k(ref)[0], layer.to_v(ref)[0]
    out = ref[0].clone()
    for y in range(ref.shape[2]):
        for x in range(ref.shape[3]):
            top, left = y // 3 * 3 - 3, x // 3 * 3 - 3
            rows, columns = slice(max(top, 0), top + 9), slice(max(left, 0), left + 9)
            keys, values = (m[:, rows, columns].flatten(1) for m in (k, v))
            weights = (q[:, y, x] @ keys / len(q) ** 0.5).softmax(0)
            out[:, y, x] += layer.gamma[0] * (values @ weights)
    return out[None]


@pytest.mark.parametrize("size", [(3, 3), (1, 2), (6, 9), (10, 11)])
@torch.no_grad()
def test_attention_covers_the_window_inside_the_image(size):
    layer = attention(4)
    key, ref = torch.randn(2, 1, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(layer(key, ref), pixel_by_pixel(layer, key, ref))


def test_attention_in_strips_changes_nothing(monkeypatch):
    layer = attention(4)
    key, ref = torch.randn(2, 2, 4, 13, 10, dtype=torch.float64)
    whole = layer(key, ref)
    assert whole.requires_grad
    monkeypatch.setattr(attention_module, "_CPU_STRIP", 1)
    with torch.no_grad():
        torch.testing.assert_close(layer(key, ref), whole.detach())


def test_gradients_of_the_attention():
    layer = attention(2)
    key = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    ref = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (key, ref), fast_mode=True)


@torch.no_grad()
def test_inference_and_training_agree():
    torch.manual_seed(0)
    net = Network(41)
    torch.nn.init.constant_(net.align.kpa.gamma, 0.5)
    maps = {"dsft_dict": dsft(stream(41, 12, 20))}
    with torch.enable_grad():
        recorded = net(maps)
    recorded.square().sum()
    torch.testing.assert_close(net(maps), recorded, rtol=0, atol=1e-5)


def test_every_parameter_gets_a_gradient():
    model = build_model_name("bsf").build_network("train", "v023")
    image = model(stream(41, 8, 8).to(model.device))
    F.l1_loss(image, torch.full_like(image, 0.5)).backward()
    assert [name for name, p in model.net.named_parameters() if p.grad is None] == []


@torch.no_grad()
def test_half_precision_follows_single_precision():
    torch.manual_seed(0)
    model = build_model_name("bsf").build_network("debug", "v023")
    spikes = stream(41, 12, 16).to(model.device)
    exact = model(spikes)
    model.net.bfloat16()
    image = model(spikes)
    assert image.dtype is torch.bfloat16
    torch.testing.assert_close(image.float(), exact, rtol=0, atol=0.03)
