from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sj_datasets import simulate_image, simulate_spikes
from sj_datasets.spike_camera import iter_gray_frames, read_gray_image, write_gray_image


def write_image(path: Path, value: int, size: tuple[int, int] = (6, 4)) -> Path:
    Image.new("L", size, value).save(path)
    return path


def write_video(path: Path, values: list[int]) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for value in values:
            pixels = np.full((16, 32, 3), value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_grey_images_are_divided_by_their_range(tmp_path):
    image = read_gray_image(write_image(tmp_path / "a.png", 51))
    assert image.shape == (4, 6)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, np.float32(51) / np.float32(255))


def test_sixteen_bit_images_keep_their_depth(tmp_path):
    Image.fromarray(np.full((2, 2), 1000, np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_gray_image(tmp_path / "a.png"), 1000 / 65535, rtol=1e-6)


def test_written_images_are_read_back(tmp_path):
    image = np.arange(6.0).reshape(2, 3) / 255
    write_gray_image(tmp_path / "a.png", image)
    np.testing.assert_allclose(read_gray_image(tmp_path / "a.png"), image, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("a.png", np.zeros(3), r"\[H, W\]"),
        ("a.png", np.full((2, 2), 1.5), r"\[0, 1\], got 1\.5"),
        ("a.dat", np.zeros((2, 2)), "unknown file extension"),
    ],
)
def test_bad_images_are_not_written(tmp_path, name, image, message):
    with pytest.raises(ValueError, match=message):
        write_gray_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


def test_a_file_without_pictures_is_named(tmp_path):
    import av

    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"a\.wav has no video stream"):
        list(iter_gray_frames(tmp_path / "a.wav"))


def test_writing_images_needs_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ImportError, match=r"sj-datasets\[media\]"):
        write_gray_image(tmp_path / "a.png", np.zeros((2, 2)))


def test_colour_becomes_luma(tmp_path):
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_gray_image(tmp_path / "a.png"), 0.299, atol=1 / 255)


def test_a_folder_is_read_in_natural_order(tmp_path):
    for number in (10, 9, 100):
        write_image(tmp_path / f"frame{number}.png", number)
    (tmp_path / "notes.txt").write_text("not a frame")
    values = [round(float(frame[0, 0]) * 255) for frame in iter_gray_frames(tmp_path)]
    assert values == [9, 10, 100]


def test_a_video_is_read_frame_by_frame(tmp_path):
    path = write_video(tmp_path / "a.mp4", [20, 120, 220])
    values = [float(frame.mean()) * 255 for frame in iter_gray_frames(path)]
    np.testing.assert_allclose(values, [20, 120, 220], atol=4)


def test_files_are_simulated_like_their_arrays(tmp_path):
    path = write_image(tmp_path / "a.png", 128)
    image = read_gray_image(path)
    spikes = simulate_image(image, 8, rng=0)
    np.testing.assert_array_equal(simulate_image(path, 8, rng=0), spikes)
    np.testing.assert_array_equal(simulate_spikes(tmp_path, rng=0), spikes[:1])


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.png: no such file"):
        read_gray_image(tmp_path / "a.png")
    for name in ("a.png", "a.mp4"):
        (tmp_path / name).write_bytes(b"no picture")
        with pytest.raises(ValueError, match=rf"{name} is not a readable (image|video)"):
            list(iter_gray_frames(tmp_path / name))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no image"):
        list(iter_gray_frames(tmp_path / "empty"))


def test_a_truncated_image_is_named(tmp_path):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"a\.png is not a readable image"):
        read_gray_image(path)


def test_frames_of_different_sizes_are_refused(tmp_path):
    write_image(tmp_path / "1.png", 10)
    write_image(tmp_path / "2.png", 10, size=(8, 8))
    with pytest.raises(ValueError, match="change size"):
        simulate_spikes(tmp_path)


@pytest.mark.parametrize(("name", "missing"), [("a.png", "PIL"), ("a.mp4", "av")])
def test_a_missing_library_names_the_extra(tmp_path, monkeypatch, name, missing):
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(ImportError, match=r"sj-datasets\[media\]"):
        list(iter_gray_frames(tmp_path / name))
