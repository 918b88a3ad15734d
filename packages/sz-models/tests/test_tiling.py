"""Images made tile by tile."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import sz_models as sz
from sz_models import tiling
from sz_models.tiling import check_tile, tiled, told_out_of_memory

TILED = ("base", "spikeclip", "wgse", "ssir")
WHOLE = ("ssml", "stir", "bsf", "spk2imgnet")


def model(name: str, mode: str = "debug", **changes: object) -> sz.BaseModel:
    torch.manual_seed(0)
    built = sz.build_model_name(name)
    built.device = torch.device("cpu")
    built.cfg.load_state = False
    for key, value in changes.items():
        setattr(built.cfg, key, value)
    built.build_network(mode)
    for key, parameter in built.network().named_parameters():
        if name == "ssir" and parameter.ndim == 1 and "pred3" not in key:
            parameter.data.uniform_(0.5, 4)  # normalisation: fresh networks hardly fire
    return built


def spikes(n_frames: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(1, n_frames, height, width, generator=generator) < 0.3).to(torch.uint8)


@given(
    size=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    tile=st.tuples(st.integers(1, 15), st.integers(1, 15)),
    radius=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_tiles_of_sums_are_the_sums(
    size: tuple[int, int], tile: tuple[int, int], radius: int
) -> None:
    x = torch.arange(2.0 * size[0] * size[1]).view(1, 2, *size)
    ones = torch.ones(1, 2, 2 * radius + 1, 2 * radius + 1)

    def call(part: torch.Tensor) -> torch.Tensor:
        assert part.shape[-2] <= tile[0] + 2 * radius
        assert part.shape[-1] <= tile[1] + 2 * radius
        return nn.functional.conv2d(part, ones, padding=radius)

    whole = nn.functional.conv2d(x, ones, padding=radius)
    assert torch.equal(tiled(call, x, tile=tile, halo=radius), whole)


def test_tiles_begin_at_multiples() -> None:
    seen: list[tuple[int, int]] = []

    def call(part: torch.Tensor) -> torch.Tensor:
        seen.append((int(part[0, 0, 0, 0]), part.shape[-1]))
        return part

    x = torch.arange(20.0).view(1, 1, 1, 20).expand(1, 1, 4, 20)
    out = tiled(call, x, tile=(3, 5), halo=1, multiple=4)
    assert torch.equal(out, x)
    assert seen == [(0, 12), (4, 16), (12, 8)]


@pytest.mark.parametrize("name", TILED)
@pytest.mark.parametrize(("size", "tile"), [((29, 35), (8, 11)), ((13, 40), (64, 7))])
def test_tiles_equal_the_whole(name: str, size: tuple[int, int], tile: tuple[int, int]) -> None:
    net = model(name)
    spike = spikes(net.model_length, *size)
    with torch.inference_mode():
        whole = net.spk2img(spike)
        net.cfg.tile = tile
        image = net.spk2img(spike)
    assert image.shape == (1, 1, *size)
    assert whole.std() > 0
    torch.testing.assert_close(image, whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", TILED)
def test_the_radius_is_how_far_the_network_looks(name: str) -> None:
    net = model(name)
    radius = net.receptive_radius()
    network = net.network().double()
    for parameter in network.parameters():  # all positive, so that no path is blocked or cancelled
        if parameter.ndim > 1:
            parameter.data.abs_()
    channels = net.model_length // 4 if name == "spikeclip" else net.model_length
    side, centre = 2 * radius + 8, radius + 4
    x = spikes(channels, side, side).double().requires_grad_()
    reached = torch.zeros(side, side, dtype=torch.bool)
    for row in (centre - 1, centre):  # both phases of a grid with stride 2
        (grad,) = torch.autograd.grad(network(x)[0, 0, row, centre], x)
        if name == "ssir":
            net.reset_state()  # type: ignore[attr-defined]
        reached = grad[0].ne(0).any(0)
        rows = reached.any(1).nonzero().flatten()
        assert rows[0] >= row - radius
        assert rows[-1] <= row + radius
    assert (centre - reached.any(1).nonzero().flatten()[0]) in (radius, radius - 1)


@pytest.mark.parametrize("name", ["tfp", "tfi", "gtfp", "isi"])
def test_classical_methods_look_at_single_pixels(name: str) -> None:
    net = model(name)
    spike = spikes(61, 9, 7)
    whole = net.spk2img(spike)
    net.cfg.tile = (4, 3)
    assert torch.equal(net.spk2img(spike), whole)


def test_a_stream_is_reconstructed_in_tiles() -> None:
    net = model("base", tile=(6, 6))
    stream = spikes(50, 10, 17)[0]
    with torch.inference_mode():
        image = net.image_at(stream, 25)
        net.cfg.tile = None
        torch.testing.assert_close(image, net.image_at(stream, 25), rtol=1e-6, atol=1e-6)


def test_tiles_leave_no_state() -> None:
    net = model("ssir", tile=(8, 8))
    spike = spikes(41, 10, 12)
    with torch.inference_mode():
        assert torch.equal(net.spk2img(spike), net.spk2img(spike))


@pytest.mark.parametrize("name", WHOLE)
def test_networks_that_need_whole_images_say_why(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} cannot make images in tiles: its .*tile=None"):
        model(name, tile=(8, 8))


def test_instance_normalisation_needs_whole_images() -> None:
    with pytest.raises(ValueError, match="instance normalisation averages"):
        model("spikeclip", tile=(8, 8), model_params={"norm": "instance"})
    model("spikeclip", tile=(8, 8), model_params={"norm": "batch"})


def test_a_network_of_ones_own_declares_its_radius() -> None:
    class Blur(nn.Module):
        def forward(self, spike: torch.Tensor) -> torch.Tensor:
            return nn.functional.avg_pool2d(spike.float().mean(1, keepdim=True), 3, 1, 1)

    class KnownBlur(Blur):
        receptive_radius = 1

    with pytest.raises(ValueError, match="no attribute receptive_radius"):
        model("base", arch_cls_local=Blur, tile=(4, 4))
    net = model("base", arch_cls_local=KnownBlur, tile=(4, 4))
    spike = spikes(41, 11, 9)
    image = net.spk2img(spike)
    net.cfg.tile = None
    torch.testing.assert_close(image, net.spk2img(spike), rtol=1e-6, atol=1e-6)


def test_training_and_kept_state_are_refused() -> None:
    with pytest.raises(ValueError, match="tiles are for inference"):
        model("base", "train", tile=(8, 8))
    with pytest.raises(ValueError, match="keep_state"):
        model("ssir", tile=(8, 8), keep_state=True)


@pytest.mark.parametrize("tile", [8, (8,), (8, 8.0), (True, 8), "8x8"])
def test_a_tile_is_two_whole_numbers(tile: object) -> None:
    with pytest.raises(TypeError, match=r"tile must be \(rows, columns\)"):
        check_tile(tile)


def test_a_tile_has_pixels() -> None:
    with pytest.raises(ValueError, match="at least 1 row"):
        check_tile((0, 8))


def test_a_network_that_changes_the_size_is_refused() -> None:
    with pytest.raises(ValueError, match="keeps the size"):
        tiled(lambda part: part[..., 1:], torch.zeros(1, 1, 4, 4), tile=(2, 2), halo=1)


def test_out_of_memory_is_told_in_one_line() -> None:
    message = r"base ran out of memory on an input of 1 x 41 x 8 x 8: make it in tiles"
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ):
        with (
            pytest.raises(MemoryError, match=message),
            told_out_of_memory("base", (1, 41, 8, 8), "make it in tiles"),
        ):
            raise error
    with pytest.raises(RuntimeError, match="shape"), told_out_of_memory("base", (1,), ""):
        raise RuntimeError("shape mismatch")


def test_a_model_tells_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    net = model("base")

    def fail(spike: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(net.network(), "forward", fail)
    with pytest.raises(MemoryError, match="tile of its config"):
        net.spk2img(spikes(41, 8, 8))


def test_nothing_is_left_of_an_empty_image() -> None:
    x = torch.zeros(1, 2, 0, 4)
    assert tiling.tiled(lambda part: part[:, :1], x, tile=(2, 2), halo=1).shape == (1, 1, 0, 4)
