from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sz_models import save_image, to_uint8

VALUES = [0, 0.001, 0.5, 0.999, 1, 1.2, -0.1, 127.9 / 255]


def test_values_go_to_the_nearest_level():
    assert to_uint8(torch.tensor(VALUES)).tolist() == [0, 0, 128, 255, 255, 255, 0, 128]


def test_zoo_compat_truncates():
    levels = to_uint8(torch.tensor(VALUES), zoo_compat=True)
    assert levels.tolist() == [0, 0, 127, 254, 255, 255, 0, 127]


def test_eight_bit_images_survive():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(levels / np.float32(255)), levels)


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6), (1, 1, 4, 6)])
def test_a_saved_image_reads_back(tmp_path, shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    save_image(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), to_uint8(image).reshape(4, 6))


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("a.xyz", torch.zeros(4, 4), r"\.xyz is not an image format"),
        ("a", torch.zeros(4, 4), "no suffix is not an image format"),
        ("a.png", torch.zeros(2, 4, 4), "one grey image"),
        ("a.png", torch.full((4, 4), torch.nan), "NaN"),
    ],
)
def test_refused_images_leave_nothing(tmp_path, name, image, message):
    with pytest.raises(ValueError, match=message):
        save_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []
