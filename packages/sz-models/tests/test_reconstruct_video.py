from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

import sj_datasets
import sz_models
from sj_datasets import SpikeStream
from sz_models import classical
from sz_models.reconstruct_video import reconstruct_video


def random_stream(n_frames: int = 120, shape=(4, 8)) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy((rng.random((n_frames, *shape)) < 0.2).astype(np.uint8))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(sys.modules["sz_models.reconstruct_video"], "_BLOCK_PIXELS", 1)


@pytest.mark.parametrize("method", ["tfp", "tfi", "isi", "gtfp"])
@pytest.mark.parametrize("options", [{}, {"start": 30, "stop": 77, "step": 3}, {"step": 25}])
def test_images_are_those_of_reconstruct(small_blocks, method, options):
    stream = random_stream()
    video = list(reconstruct_video(stream, method, window=21, rate=0.4, **options))
    keys = range(options.get("start", 10), options.get("stop", 110), options.get("step", 1))
    assert len(video) == len(keys)
    for key, image in zip(keys, video, strict=True):
        expected = sz_models.reconstruct(stream, method=method, key_frame=key, window=21, rate=0.4)
        assert torch.equal(image, expected)


@pytest.mark.parametrize(
    ("method", "whole"),
    [
        ("isi", classical.isi_video),
        ("gtfp", classical.gtfp_video),
        ("tfstp", classical.tfstp_video),
    ],
)
def test_streaming_equals_the_whole(small_blocks, method, whole):
    stream = random_stream(150)
    video = torch.stack(list(reconstruct_video(SpikeStream.from_array(stream), method)))
    assert torch.equal(video, whole(stream).clamp(0, 1))


def test_plasticity_sees_the_frames_before_the_first_key(small_blocks):
    stream = random_stream()
    video = list(reconstruct_video(stream, "tfstp", start=50, stop=60, step=4))
    for key, image in zip((50, 54, 58), video, strict=True):
        assert torch.equal(image, classical.tfstp(stream, key))


def test_networks_go_one_by_one():
    stream = random_stream(45)
    sz_models.register("first", sz_models.BaseModel, _first_config)
    video = list(reconstruct_video(stream, "first"))
    assert torch.equal(torch.stack(video), stream[:41].float())


@pytest.mark.parametrize("name", ["tfp", "tfstp"])
def test_a_registered_method_shadows_the_built_in_one(monkeypatch, name):
    monkeypatch.setattr("sz_models.registry._registered", {})
    monkeypatch.setattr("sz_models.registry.METHODS", list(sz_models.METHODS))
    sz_models.register(name, sz_models.BaseModel, _first_config, _First, replace=True)
    stream = random_stream(45)
    video = list(reconstruct_video(stream, name))
    assert torch.equal(torch.stack(video), stream[:41].float())
    image = sz_models.reconstruct(stream, method=name, key_frame=7)
    assert torch.equal(image, stream[5].float())


@pytest.mark.parametrize("method", ["tfp", "tfi", "gtfp", "isi", "first"])
def test_tiles_change_nothing(method):
    stream = random_stream(60)
    sz_models.register("first", sz_models.BaseModel, _first_config)
    video = list(reconstruct_video(stream, method, tile=(3, 5), step=7))
    for image, whole in zip(video, reconstruct_video(stream, method, step=7), strict=True):
        assert torch.equal(image, whole)


def test_the_rate_changes_no_image_whose_brightness_has_no_scale():
    stream = random_stream()
    dark = list(reconstruct_video(stream, "tfstp", start=30, stop=40, rate=0.2))
    for key, image in enumerate(dark, 30):
        assert torch.equal(image, classical.tfstp(stream, key))
    sz_models.register("steps", _Free, _steps_config)
    for image in reconstruct_video(stream, "steps", rate=0.2, step=50):
        torch.testing.assert_close(image, torch.arange(32.0).view(4, 8) / 31)


class _Free(sz_models.BaseModel):
    free_brightness = True


class _Steps(torch.nn.Module):
    receptive_radius = 0

    def forward(self, spike: torch.Tensor) -> torch.Tensor:
        _, _, height, width = spike.shape
        return 7 + 3 * torch.arange(height * width).view(1, 1, height, width)


def _steps_config() -> sz_models.BaseModelConfig:
    return sz_models.BaseModelConfig(
        model_name="steps", model_length=5, require_params=False, arch_cls_local=_Steps
    )


class _First(torch.nn.Module):
    receptive_radius = 0

    def forward(self, spike: torch.Tensor) -> torch.Tensor:
        return spike[:, :1]


def _first_config() -> sz_models.BaseModelConfig:
    return sz_models.BaseModelConfig(
        model_name="first", model_length=5, require_params=False, arch_cls_local=_First
    )


def test_out_receives_the_images(tmp_path):
    stream = random_stream()
    out = np.lib.format.open_memmap(
        tmp_path / "video.npy", mode="w+", dtype=np.float32, shape=(100, 4, 8)
    )
    images = list(reconstruct_video(stream, window=21, out=out))
    assert images[3].data_ptr() == out[3].ctypes.data
    np.testing.assert_array_equal(out, classical.tfp_video(stream, 21))


def test_a_file_is_read(tmp_path):
    stream = random_stream()
    sj_datasets.save_vidar_dat(tmp_path / "a.dat", stream.numpy())
    video = list(reconstruct_video(tmp_path / "a.dat", "isi", height=4, width=8, window=9))
    assert torch.equal(torch.stack(video), classical.isi_video(stream, 9))
    with pytest.raises(ValueError, match="give height and width"):
        reconstruct_video(tmp_path / "a.dat")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0}, "step must be at least 1"),
        ({"start": 3}, r"leave 20\.\.99"),
        ({"stop": 101}, r"leave 20\.\.99"),
        ({"start": 50, "stop": 50}, "no key frames"),
        ({"window": 121}, "needs 121 frames, but the stream has 120"),
        ({"window": 0}, "window must be at least"),
        ({"rate": 0.0}, "rate must be a positive"),
        ({"sigma": 1.0}, "no option 'sigma'"),
        ({"method": "gtfp", "sigma": -1.0}, "sigma must be a positive"),
        ({"method": "tfstp", "window": 5}, "no option 'window'"),
        ({"method": "nothing"}, "nothing"),
        ({"version": "v023"}, "has no weights"),
        ({"tile": (0, 4)}, "at least 1 row"),
        ({"method": "tfstp", "tile": (2, 4)}, "tfstp cannot make images in tiles"),
        ({"out": np.empty((3, 4, 8), np.float32)}, "out must be float32"),
    ],
)
def test_errors_come_at_the_call(options, message):
    with pytest.raises(ValueError, match=message):
        reconstruct_video(random_stream(), **options)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\[T, H, W\]"):
        reconstruct_video(torch.zeros(2, 50, 4, 8))


MEMORY = """
    import resource, sys
    import sj_datasets, torch
    from sz_models.reconstruct_video import reconstruct_video
    torch.set_num_threads(1)

    def run(stop):
        total = 0
        video = reconstruct_video(sys.argv[1], "tfi", height=250, width=400, stop=stop)
        for image in video:
            total += 1
        return total

    run(400)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(None) == 1960
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory as Linux counts it")
def test_memory_does_not_grow_with_the_recording(tmp_path):
    """2000 frames are 200 MB decoded and 800 MB as float32 images."""
    path = tmp_path / "long.dat"
    with path.open("wb") as file:
        file.truncate(2000 * 250 * 400 // 8)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY), str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20_000, "kB more at the peak"
