from __future__ import annotations

import numpy as np
import pytest
import torch

from sj_datasets import SpikeStream
from sz_models.classical.sweep import count_dtype, key_count, spike_frames, sweep, video_buffer


def test_spikes_are_shared_where_they_can_be():
    spikes = torch.ones(3, 2, 4, dtype=torch.uint8)
    assert spike_frames(spikes).ctypes.data == spikes.data_ptr()
    assert spike_frames(spikes.bool()).dtype == np.uint8
    assert spike_frames(SpikeStream.from_array(spikes)).sum() == 24


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4, 4), ()])
def test_other_axes_are_refused(shape):
    with pytest.raises(ValueError, match=r"spikes must be \[T, H, W\]"):
        spike_frames(torch.zeros(shape))


def test_empty_streams_are_refused():
    with pytest.raises(ValueError, match="spikes are empty"):
        spike_frames(torch.zeros(0, 3, 4))


@pytest.mark.parametrize("value", [2, 255, -1, 0.5, np.nan, np.inf])
def test_other_values_are_refused(value):
    with pytest.raises(ValueError, match="spikes must be 0 or 1"):
        spike_frames(np.full((2, 2, 2), value))


def test_buffers():
    assert video_buffer(None, (2, 3), torch.uint8).shape == (2, 3)
    array = np.empty((2, 3), np.float32)
    assert video_buffer(array, (2, 3), torch.float32).data_ptr() == array.ctypes.data
    for bad in (np.empty((2, 3)), np.empty((3, 2), np.float32), torch.empty(2, 3).half()):
        with pytest.raises(ValueError, match=r"out must be float32 \[2, 3\]"):
            video_buffer(bad, (2, 3), torch.float32)
    with pytest.raises(TypeError, match="out must be a tensor or an array, got list"):
        video_buffer([0.0] * 6, (2, 3), torch.float32)
    with pytest.raises(ValueError, match="contiguous"):
        video_buffer(torch.empty(3, 2).T, (2, 3), torch.float32)
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        video_buffer(array, (2, 3), torch.float32)


def test_kernels_see_their_windows():
    spikes = np.arange(7 * 6, dtype=np.uint8).reshape(7, 2, 3)
    seen = []

    def kernel(frames, target):
        seen.append((frames.shape, target.shape))
        target[:] = frames[1:-1]

    images = sweep(spikes, torch.zeros(5, 2, 3, dtype=torch.uint8), kernel, pixels=4, keys=3)
    np.testing.assert_array_equal(images, spikes[1:-1])
    assert seen == [((5, 4), (3, 4)), ((4, 4), (2, 4)), ((5, 2), (3, 2)), ((4, 2), (2, 2))]


def test_counting():
    assert [count_dtype(n) for n in (255, 256)] == [torch.uint8, torch.int32]
    assert key_count(torch.zeros(41, 1, 1), 20, 41) == 1
    with pytest.raises(ValueError, match="needs 41 frames, but the stream has 40"):
        key_count(torch.zeros(40, 1, 1), 20, 41)
