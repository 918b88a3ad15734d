from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sj_datasets import SpikeStream
from sj_datasets.spike_camera import iter_gray_frames, visual_vidar_dat

SPIKES = np.zeros((4, 16, 24), np.uint8)
for t in range(4):
    SPIKES[t, 4 * t : 4 * t + 4] = 1


def test_gif_files_hold_the_spikes(tmp_path):
    visual_vidar_dat(tmp_path / "a.gif", SPIKES, fps=10)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 4
        assert (image.info["loop"], image.info["duration"]) == (0, 100)
        for t in range(4):
            image.seek(t)
            np.testing.assert_array_equal(np.asarray(image.convert("L")), 255 * SPIKES[t])


@pytest.mark.parametrize("width", [24, 23])
def test_mp4_files_show_the_spikes(tmp_path, width):
    spikes = SPIKES[:, :, :width]
    visual_vidar_dat(tmp_path / "a.mp4", iter([spikes[:3], spikes[3:]]), "mp4", fps=12.5)
    frames = np.stack(list(iter_gray_frames(tmp_path / "a.mp4")))
    assert frames.shape == (4, 16, 24)
    np.testing.assert_array_equal(frames[:, :, :width] > 0.5, spikes)


def test_streams_are_shown_as_they_are_decoded(tmp_path):
    visual_vidar_dat(tmp_path / "a.gif", SpikeStream.from_array(SPIKES))
    visual_vidar_dat(tmp_path / "b.gif", SPIKES.astype(np.float32))
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


@pytest.mark.parametrize(
    ("spikes", "options", "message"),
    [
        (SPIKES, {"out_format": "avi"}, "'gif' or 'mp4'"),
        (SPIKES, {"fps": 0}, "positive"),
        (SPIKES[:0], {}, "no frames"),
        (2 * SPIKES, {}, "0 or 1"),
        (SPIKES[0], {}, r"\[T, H, W\]"),
    ],
)
def test_bad_input_is_refused(tmp_path, spikes, options, message):
    with pytest.raises(ValueError, match=message):
        visual_vidar_dat(tmp_path / "a.gif", spikes, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("out_format", "missing"), [("gif", "PIL"), ("mp4", "av")])
def test_a_missing_library_names_the_extra(tmp_path, monkeypatch, out_format, missing):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(ImportError, match=r"sj-datasets\[media\]"):
        visual_vidar_dat(tmp_path / "a", SPIKES, out_format)
