from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

import sz_models as sz
from sj_datasets import SpikeStream
from sz_models.viewer import frames as module
from sz_models.viewer.frames import MAX_VIDEO_FRAMES, VIEWS, Frames, View

T, H, W = 61, 6, 8


@pytest.fixture
def spikes() -> np.ndarray:
    return (np.random.default_rng(0).random((T, H, W)) < 0.4).astype(np.uint8)


@pytest.fixture
def frames(spikes) -> Frames:
    return Frames(SpikeStream.from_array(spikes), "a.dat")


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_spikes_of_a_frame_are_black_and_white(frames, spikes):
    assert np.array_equal(pixels(frames.png(View("spikes"), 0)), spikes[0] * 255)


@pytest.mark.parametrize("method", ["tfp", "tfi", "isi", "gtfp"])
def test_a_picture_is_what_reconstruct_makes(frames, spikes, method):
    option = {"sigma": 3.0} if method == "gtfp" else {"window": 21}
    image = sz.reconstruct(spikes, method=method, key_frame=30, rate=0.8, **option)
    png = frames.png(View(method, window=21, sigma=3.0, rate=0.8), 30)
    assert np.array_equal(pixels(png), sz.to_uint8(image))


def test_a_picture_asked_for_again_is_remembered(frames, monkeypatch):
    view = View(window=11)
    first = frames.png(view, 20)
    monkeypatch.setattr(module, "reconstruct_video", None)
    assert frames.png(view, 20) is first


def test_the_oldest_pictures_are_forgotten(frames, monkeypatch):
    monkeypatch.setattr(module, "_CACHE_BYTES", 300)
    for key in range(T):
        frames.png(View("spikes"), key)
    assert 0 < sum(map(len, frames._cache.values())) <= 300


def test_what_the_page_has_to_know(frames, spikes):
    info = frames.info()
    assert (info["frames"], info["height"], info["width"], info["name"]) == (T, H, W, "a.dat")
    assert [method["name"] for method in info["methods"]] == list(VIEWS)
    assert info["window"] == {"most": T, "default": 41}
    rates = spikes[10:51].mean(axis=0)
    assert info["rate"] == pytest.approx(np.quantile(rates, 0.995), abs=1e-3)


@pytest.mark.parametrize("n_frames", [1, 2, 7])
def test_of_a_short_recording_the_suggested_window_fits(spikes, n_frames):
    frames = Frames(SpikeStream.from_array(spikes[:n_frames]), "short")
    window = frames.info()["window"]["default"]
    assert pixels(frames.png(View(window=window), n_frames // 2)).shape == (H, W)


def test_a_pixel_shows_its_spikes_and_rate(frames, spikes):
    train = frames.pixel(3, 2, 30, 10)
    expected = spikes[20:41, 2, 3]
    assert train == {
        "first": 20,
        "spikes": "".join(map(str, expected)),
        "rate": pytest.approx(expected.mean()),
    }
    assert frames.pixel(0, 0, 2, 10)["first"] == 0


@pytest.mark.parametrize(
    ("view", "frame", "words"),
    [
        (View("nope"), 30, "unknown method"),
        (View("spikes"), T, "outside frames"),
        (View("spikes"), -1, "outside frames"),
        (View("tfp", window=41), 5, "leave"),
        (View("tfi", window=1), 30, "at least 2"),
        (View("tfp", window=403), 30, "at most 61"),
    ],
)
def test_what_cannot_be_shown_is_refused(frames, view, frame, words):
    with pytest.raises(ValueError, match=words):
        frames.png(view, frame)


@pytest.mark.parametrize(("x", "y", "frame"), [(W, 0, 0), (0, H, 0), (0, 0, T), (-1, 0, 0)])
def test_a_pixel_outside_is_refused(frames, x, y, frame):
    with pytest.raises(ValueError, match="outside"):
        frames.pixel(x, y, frame, 5)


def test_a_range_becomes_a_video(frames, tmp_path):
    av = pytest.importorskip("av", reason="pip install 'sz-models[video]'")
    body = frames.video(View(window=21), 20, 40, 5, 10.0)
    with av.open(io.BytesIO(body)) as container:
        decoded = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(decoded) == 4
    assert decoded[0].shape == (H, W)


@pytest.mark.parametrize(("start", "stop", "step"), [(5, 5, 1), (20, 30, 0), (0, 10, 1)])
def test_an_impossible_range_is_refused(frames, start, stop, step):
    pytest.importorskip("av", reason="pip install 'sz-models[video]'")
    with pytest.raises(ValueError, match="key frames"):
        frames.video(View(), start, stop, step, 25.0)


def test_a_video_has_an_end():
    pytest.importorskip("av", reason="pip install 'sz-models[video]'")
    stream = SpikeStream.from_array(np.zeros((MAX_VIDEO_FRAMES + 1, 2, 8), np.uint8))
    with pytest.raises(ValueError, match="at most"):
        Frames(stream, "long").video(View("spikes"), 0, MAX_VIDEO_FRAMES + 1, 1, 25.0)


def test_without_pyav_the_extra_is_named(frames, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"sz-models\[video\]"):
        frames.video(View("spikes"), 0, 5, 1, 25.0)
