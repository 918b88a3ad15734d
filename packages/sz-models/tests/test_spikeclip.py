from __future__ import annotations

import pytest
import torch
from torch import nn

from sz_models import build_model_name
from sz_models.archs.spikeclip import LRN
from sz_models.models import SpikeCLIP, SpikeCLIPConfig


@pytest.fixture
def model() -> SpikeCLIP:
    torch.manual_seed(0)
    model = build_model_name("SpikeCLIP").build_network("debug")
    assert isinstance(model, SpikeCLIP)
    return model


def stream(frames: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, frames, height, width, generator=generator) < 0.3


def test_network_has_the_published_keys_and_size():
    state = LRN().state_dict()
    keys = [f"{i}.0.{kind}" for i in range(4) for kind in ("weight", "bias")]
    assert list(state) == [*keys, "4.weight", "4.bias"]
    assert sum(value.numel() for value in state.values()) == 185_889


@pytest.mark.parametrize(
    ("norm", "layer"), [("instance", nn.InstanceNorm2d), ("batch", nn.BatchNorm2d)]
)
def test_normalisation_goes_into_the_blocks_two_to_four(norm, layer):
    net = LRN(inDim=3, outDim=2, norm=norm)
    assert sum(isinstance(module, layer) for module in net.modules()) == 3
    assert [len(list(block.children())) for block in net.children()] == [2, 3, 3, 3, 0]
    assert net(torch.zeros(2, 3, 6, 5)).shape == (2, 2, 6, 5)


def test_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match=r"unknown norm 'batsch'; did you mean 'batch'\?"):
        LRN(norm="batsch")


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_four_frames_make_one_count_with_a_mirrored_border(model, dtype):
    spike = stream(203, 24, 26).to(model.device)
    counts = model.preprocess_spike(spike.to(dtype))
    assert counts.shape == (2, 50, 64, 66)
    inner = counts[..., 20:-20, 20:-20].float()
    # 200 frames around frame 101
    torch.testing.assert_close(inner[:, 0], spike[:, 1:5].sum(1).float())
    torch.testing.assert_close(inner[:, 49], spike[:, 197:201].sum(1).float())
    torch.testing.assert_close(counts[..., 19, :], counts[..., 21, :])
    torch.testing.assert_close(counts[..., :, 19], counts[..., :, 21])


@pytest.mark.parametrize("size", [(24, 26), (3, 30), (1, 1)])
def test_every_size_comes_back(model, size):
    assert model(stream(200, *size).to(model.device)).shape == (2, 1, *size)


def test_the_element_type_of_the_spikes_does_not_matter(model):
    spike = stream(200, 21, 22).to(model.device)
    torch.testing.assert_close(model(spike), model(spike.float()), rtol=0, atol=0)


@pytest.mark.parametrize("version", ["v010", "v023"])
def test_released_versions_take_200_frames(version):
    assert SpikeCLIPConfig().length_for(version) == 200


def test_other_lengths_go_with_another_input_width():
    cfg = SpikeCLIPConfig(model_length=40, model_params={"inDim": 10})
    model = SpikeCLIP(cfg).build_network("debug")
    assert model(stream(41, 5, 6).to(model.device)).shape == (2, 1, 5, 6)


def test_a_length_that_does_not_split_into_fours_is_refused():
    model = SpikeCLIP(SpikeCLIPConfig(model_length=42)).build_network("debug")
    with pytest.raises(ValueError, match="multiple of 4 frames, got 42"):
        model(stream(60, 5, 6).to(model.device))


def test_a_short_stream_is_refused(model):
    with pytest.raises(ValueError, match="spikeclip takes 200 frames, but the stream has 199"):
        model(stream(199, 5, 6).to(model.device))


def test_bfloat16_stays_close_to_float32(model):
    spike = stream(200, 21, 22).to(model.device)
    expected = model(spike)
    image = model.bfloat16()(spike)
    assert image.dtype is torch.bfloat16
    torch.testing.assert_close(image.float(), expected, rtol=0.05, atol=0.02)
