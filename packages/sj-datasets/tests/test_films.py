from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sj_datasets.films import write_animation, write_video
from sj_datasets.spike_camera import iter_gray_frames

GREY = np.zeros((3, 15, 21), np.uint8)
for t in range(3):
    GREY[t, :, 7 * t : 7 * t + 7] = 255
COLOUR = np.repeat(GREY[..., None], 3, axis=3)


@pytest.mark.parametrize("pictures", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("form", ["GIF", "PNG"])
def test_animations_hold_the_pictures(pictures, form):
    film = io.BytesIO()
    write_animation(film, iter(pictures), form, fps=10)
    with Image.open(film) as image:
        assert image.format == form
        for t in range(3):
            image.seek(t)
            np.testing.assert_array_equal(np.asarray(image.convert("L")), GREY[t])


@pytest.mark.parametrize("pictures", [GREY, COLOUR], ids=["grey", "colour"])
def test_videos_of_odd_size_repeat_their_border(tmp_path, pictures):
    write_video(tmp_path / "a.mp4", iter(pictures), fps=12.5)
    frames = np.stack(list(iter_gray_frames(tmp_path / "a.mp4")))
    even = np.pad(GREY, ((0, 0), (0, 1), (0, 1)), "edge")
    np.testing.assert_array_equal(frames > 0.5, even > 0)
