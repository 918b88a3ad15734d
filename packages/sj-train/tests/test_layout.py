from __future__ import annotations

import pytest
import torch

from sj_train.errors import DataError
from sj_train.layout import add_time, channels_last


def test_images_are_repeated_and_frames_transposed():
    images, frames = torch.rand(2, 3, 4, 4), torch.rand(2, 5, 3, 4, 4)
    assert torch.equal(add_time(images, 5), images.repeat(5, 1, 1, 1, 1))
    assert torch.equal(add_time(frames, 5), frames.transpose(0, 1))
    with pytest.raises(DataError, match="5 frames per sample, --T asks for 4"):
        add_time(frames, 4)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (5, 2, 3, 4, 4)])
def test_channels_last_keeps_values(shape):
    x = torch.rand(shape)
    y = channels_last(x)
    assert torch.equal(x, y)
    assert y.flatten(0, -4).is_contiguous(memory_format=torch.channels_last)


def test_other_shapes_stay():
    x = torch.rand(4, 6)
    assert channels_last(x) is x
