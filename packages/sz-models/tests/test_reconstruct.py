from __future__ import annotations

import numpy as np
import pytest
import torch

import sz_models as sz
from sj_datasets import SpikeStream, save_vidar_dat


@pytest.fixture
def spikes() -> np.ndarray:
    return (np.random.default_rng(0).random((61, 12, 16)) < 0.3).astype(np.uint8)


def test_every_source_gives_the_same_image(tmp_path, spikes):
    save_vidar_dat(tmp_path / "a.dat", spikes)
    expected = (sz.tfp(torch.from_numpy(spikes), 25, window=21) / 0.6).clamp(0, 1)
    options = {"method": "tfp", "key_frame": 25, "window": 21, "rate": 0.6}
    images = [
        sz.reconstruct(tmp_path / "a.dat", 12, 16, **options),
        sz.reconstruct(str(tmp_path / "a.dat"), height=12, width=16, **options),
        sz.reconstruct(SpikeStream.from_array(spikes), **options),
        sz.reconstruct(spikes, **options),
        sz.reconstruct(torch.from_numpy(spikes).bool(), **options),
    ]
    for image in images:
        torch.testing.assert_close(image, expected)


def test_options_reach_their_method(spikes):
    stream = torch.from_numpy(spikes)
    torch.testing.assert_close(
        sz.reconstruct(spikes, method="tfi", window=30), sz.tfi(stream, window=30)
    )
    torch.testing.assert_close(
        sz.reconstruct(spikes, method="gtfp", sigma=2.0, rate=0.7),
        sz.gtfp(stream, sigma=2.0, rate=0.7),
    )


def test_networks_take_their_weights_from_a_file(tmp_path, spikes):
    model = sz.BaseModel(sz.BaseModelConfig()).build_network()
    model.save_network(tmp_path / "a.pth")
    image = sz.reconstruct(spikes, method="base", ckpt_path=tmp_path / "a.pth")
    expected = model.image_at(spikes).detach().cpu().clamp(0, 1)
    torch.testing.assert_close(image, expected)


@pytest.fixture
def clip(tmp_path):
    """Weights of spikeclip, whose brightness has no scale."""
    torch.manual_seed(0)
    sz.build_model_name("spikeclip").build_network().save_network(tmp_path / "clip.pth")
    return tmp_path / "clip.pth"


def test_a_brightness_without_scale_is_stretched_whatever_the_rate(clip):
    spikes = (np.random.default_rng(0).random((200, 12, 16)) < 0.3).astype(np.uint8)
    image = sz.reconstruct(spikes, method="spikeclip", ckpt_path=clip)
    assert image.min() == 0
    assert image.max() == 1
    darker = sz.reconstruct(spikes, method="spikeclip", ckpt_path=clip, rate=0.1)
    assert torch.equal(darker, image)
    (frame,) = sz.reconstruct_video(spikes, "spikeclip", ckpt_path=clip, rate=0.1, stop=101)
    assert torch.equal(frame, image)


def test_an_image_in_tiles_is_the_same_image(clip):
    spikes = (np.random.default_rng(0).random((200, 12, 16)) < 0.3).astype(np.uint8)
    whole = sz.reconstruct(spikes, method="spikeclip", ckpt_path=clip)
    image = sz.reconstruct(spikes, method="spikeclip", ckpt_path=clip, tile=(5, 7))
    torch.testing.assert_close(image, whole, rtol=0, atol=1e-5)
    for method in ("tfp", "tfi", "gtfp", "isi"):
        whole = sz.reconstruct(spikes, method=method)
        assert torch.equal(sz.reconstruct(spikes, method=method, tile=(5, 7)), whole)


def test_a_network_that_needs_the_whole_image_refuses_tiles(tmp_path, spikes):
    sz.build_model_name("ssml").build_network().save_network(tmp_path / "a.pth")
    options = {"ckpt_path": tmp_path / "a.pth", "tile": (8, 8)}
    with pytest.raises(ValueError, match="ssml cannot make images in tiles: its channel attention"):
        sz.reconstruct(spikes, method="ssml", **options)
    with pytest.raises(ValueError, match="ssml cannot make images in tiles: its channel attention"):
        sz.reconstruct_video(spikes, "ssml", **options)


def test_one_image_of_a_long_recording_is_read_in_part(spikes):
    class Counted(SpikeStream):
        decoded = 0

        def __getitem__(self, index):
            frames = super().__getitem__(index)
            Counted.decoded += len(frames)
            return frames

    stream = Counted.from_array(np.tile(spikes, (20, 1, 1)))
    sz.reconstruct(stream, method="tfp", window=21)
    assert Counted.decoded == 21
    sz.reconstruct(stream, method="gtfp", sigma=5)
    assert Counted.decoded == 21 + 91


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "tpf"}, "did you mean 'tfp'"),
        ({"method": "tfp", "sigma": 3.0}, "method 'tfp' has no option 'sigma'"),
        ({"window": 101}, "needs frames"),
        ({"window": 0}, "at least 1"),
        ({"method": "tfi", "window": 1}, "at least 2"),
        ({"key_frame": 61}, "leaves the stream"),
        ({"key_frame": 3}, "needs frames"),
        ({"rate": 0.0}, "rate must be a positive number"),
        ({"rate": float("nan")}, "rate must be a positive number"),
        ({"version": "v9"}, "unknown version"),
        ({"tile": (0, 8)}, "at least 1 row"),
        ({"ckpt_path": "a.pth"}, "method 'tfp' has no weights"),
    ],
    ids=str,
)
def test_bad_options_are_refused(spikes, options, message):
    with pytest.raises(ValueError, match=message):
        sz.reconstruct(spikes, **options)


def test_a_file_needs_its_size(tmp_path):
    with pytest.raises(ValueError, match="give height and width"):
        sz.reconstruct(tmp_path / "a.dat")
