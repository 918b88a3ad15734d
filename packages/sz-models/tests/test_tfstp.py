from __future__ import annotations

import math

import pytest
import torch

from sz_models.classical import ShortTermPlasticity, equalize, tfstp, tfstp_video


def random_stream(n_frames: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    brightness = torch.linspace(0.02, 0.6, 48).view(6, 8)
    return (torch.rand(n_frames, 6, 8, generator=generator) < brightness).to(torch.uint8)


def test_one_pixel_step_by_step():
    u0, tau_d, tau_f, f = 0.2, 2.0, 8.0, 0.1
    synapse = ShortTermPlasticity(u0, tau_d, tau_f, f, time_unit=2.0)
    spikes, resources, used, last = [0, 1, 1, 0, 0, 1, 0], 1.0, u0, 0
    for time, spike in enumerate(spikes, 1):
        synapse.update(torch.tensor([spike]))
        if spike:
            elapsed, last = (time - last) / 2, time
            resources, used = (
                1 - (1 - resources * (1 - used)) * math.exp(-elapsed / tau_d),
                u0 + (used + f * (1 - used) - u0) * math.exp(-elapsed / tau_f),
            )
        assert synapse.resources.item() == pytest.approx(resources, rel=1e-6)
        assert synapse.utilization.item() == pytest.approx(used, rel=1e-6)
    rate = -1 / (tau_d * math.log((1 - resources) / (1 - resources * (1 - used))))
    rate -= 1 / (tau_f * math.log((used - u0) / (tau_f - u0 + used * (1 - f))))
    assert synapse.rate().item() == pytest.approx(rate, rel=1e-5)


def test_no_spikes_no_light():
    assert tfstp(torch.zeros(9, 2, 2), equalized=False).abs().max() == 0
    assert tfstp(torch.zeros(9, 2, 2)).abs().max() == 0


def test_more_spikes_more_light():
    rates = []
    for interval in (12, 6, 3, 1):
        spikes = torch.zeros(121, 1, 1)
        spikes[::interval] = 1
        rates.append(tfstp(spikes, 120, equalized=False).item())
    assert rates == sorted(rates)


@pytest.mark.parametrize("equalized", [True, False])
def test_every_image_is_the_single_one(equalized):
    stream = random_stream()
    video = tfstp_video(stream, equalized=equalized)
    for key in (0, 7, 39):
        assert torch.equal(video[key], tfstp(stream, key, equalized=equalized))
    out = torch.empty_like(video)
    assert torch.equal(tfstp_video(stream, equalized=equalized, out=out), video)
    assert torch.equal(out, video)


def test_a_stream_in_parts_is_the_stream():
    stream, synapse = random_stream(), ShortTermPlasticity()
    parts = [tfstp_video(stream[i : i + 16], synapse=synapse) for i in (0, 16, 32)]
    assert torch.equal(torch.cat(parts), tfstp_video(stream))


def test_equalized_images_use_all_levels_evenly():
    image = torch.rand(64, 64, generator=torch.Generator().manual_seed(0)).sqrt()
    flat = equalize(image)
    assert (flat.min(), flat.max()) == (0, 1)
    assert flat.median() == pytest.approx(0.5, abs=0.1)
    order = image.flatten().argsort()
    assert (flat.flatten()[order].diff() >= 0).all()
    assert equalize(torch.full((3, 3), 7.0)).abs().max() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"u0": 0.0}, "u0 must be a positive"),
        ({"u0": 1.0}, "u0 must be below 1"),
        ({"f": 1.5}, "f must be below 1"),
        ({"tau_d": math.nan}, "tau_d must be a positive"),
        ({"time_unit": -1.0}, "time_unit must be a positive"),
    ],
)
def test_parameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        ShortTermPlasticity(**options)


def test_bad_streams():
    with pytest.raises(ValueError, match="leaves the stream of 40 frames"):
        tfstp(random_stream(), 40)
    with pytest.raises(ValueError, match="0 or 1"):
        tfstp(torch.full((4, 2, 2), 2))
    with pytest.raises(ValueError, match=r"\[T, H, W\]"):
        tfstp(torch.zeros(4, 2))
