from __future__ import annotations

import pytest
import torch

from sz_models import build_model_name
from sz_models.archs.stir import STIR as Network
from sz_models.archs.stir.representation import nested_means
from sz_models.archs.stir.warp import warp
from sz_models.models import STIR


def stream(frames: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, frames, height, width, generator=generator) < 0.3


def built(mode: str) -> STIR:
    torch.manual_seed(0)
    model = build_model_name("stir").build_network(mode, "v023")
    assert isinstance(model, STIR)
    return model


@pytest.mark.parametrize(("frames", "parameters"), [(61, 5_107_960), (41, 5_078_698)])
def test_network_has_the_published_size(frames, parameters):
    assert sum(p.numel() for p in Network(frames).parameters()) == parameters


@pytest.mark.parametrize(("version", "frames"), [("local", 61), ("v010", 61), ("v023", 41)])
def test_versions_take_their_number_of_frames(version, frames):
    model = build_model_name("stir").build_network("debug", version)
    assert model.model_length == frames
    assert model(stream(65, 17, 20).to(model.device)).shape == (2, 1, 17, 20)


def test_streams_the_network_does_not_take_are_refused():
    with pytest.raises(ValueError, match="spike_dim 61 or 41, got 21"):
        Network(21)
    with pytest.raises(ValueError, match=r"\[B, 41, H, W\]"):
        Network(41)(torch.zeros(1, 61, 16, 16))
    with pytest.raises(ValueError, match=r"multiples of 16.*pads any size"):
        Network(41)(torch.zeros(1, 41, 16, 20))


def test_means_are_taken_over_nested_windows():
    means = nested_means(torch.arange(15.0).square().view(1, 15, 1, 1)).flatten()
    expected = [sum(t * t for t in range(cut, 15 - cut)) / (15 - 2 * cut) for cut in (0, 2, 4, 6)]
    torch.testing.assert_close(means, torch.tensor(expected))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_warping_reads_where_the_flow_points(dtype):
    image = torch.arange(6.0).repeat(1, 1, 4, 1).to(dtype)
    flow = torch.zeros(1, 2, 4, 6, dtype=dtype)
    flow[:, 0] = 1.5
    expected = torch.tensor([1.5, 2.5, 3.5, 4.5, 5, 5], dtype=dtype).expand(1, 1, 4, 6)
    torch.testing.assert_close(warp(image, flow), expected)
    torch.testing.assert_close(warp(image.mT, flow.mT.flip(1)), expected.mT)


def test_training_and_evaluation_give_one_image_of_the_given_size():
    model = built("train")
    spikes = stream(50, 18, 33).to(model.device)
    assert model(spikes).shape == (2, 1, 18, 33)
    outputs = model.net(model.preprocess_spike(spikes).float())
    assert len(outputs) == 7
    assert [len(level) for level in outputs[1:]] == [3, 3, 3, 3, 1, 3]
    model.net.eval()
    torch.testing.assert_close(model(spikes), model(spikes), rtol=0, atol=0)


def batch_for(model: STIR) -> dict:
    return model.feed_to_device(
        {
            "spike": stream(41, 18, 20).float(),
            "gt_img": torch.full((2, 1, 18, 20), 0.5),
            "rate": torch.tensor([0.5, 1.0]),
        }
    )


def test_losses_of_all_scales():
    model = built("train")
    batch = batch_for(model)
    outputs = model.get_outputs_dict(batch)
    sizes = {name: tuple(image.shape[2:]) for name, image in outputs.items()}
    coarse = {f"coarse_img_{level}": (32 >> level, 32 >> level) for level in (1, 2, 3, 4)}
    assert sizes == {"recon_img": (18, 20), **coarse}
    losses, values = model.get_loss_dict(outputs, batch, {"l1": 1.0, "multiscale": 2.0})
    weights = {1: 0.5, 2: 0.25, 3: 0.25, 4: 0.25}
    expected = sum(
        2 * weight / 4 * (outputs[f"coarse_img_{level}"] - 0.5).abs().mean().item()
        for level, weight in weights.items()
    )
    assert values["multiscale"] == pytest.approx(expected, rel=1e-5)
    assert values["l1"] == pytest.approx((outputs["recon_img"] - 0.5).abs().mean().item())
    sum(losses.values()).backward()
    gradients = {name: p.grad for name, p in model.net.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []


def test_losses_of_all_scales_need_training_mode():
    model = built("debug")
    batch = batch_for(model)
    outputs = model.get_outputs_dict(batch)
    assert set(outputs) == {"recon_img"}
    assert set(model.get_loss_dict(outputs, batch, {"l2": 1.0})[1]) == {"l2"}
    with pytest.raises(ValueError, match="coarse images of training mode"):
        model.get_loss_dict(outputs, batch, {"multiscale": 1.0})


@torch.no_grad()
def test_half_precision_follows_single_precision():
    model = built("debug")
    spikes = stream(41, 32, 32).to(model.device)
    exact = model(spikes)
    model.net.bfloat16()
    image = model(spikes)
    assert image.dtype is torch.bfloat16
    torch.testing.assert_close(image.float(), exact, rtol=0, atol=0.03)
