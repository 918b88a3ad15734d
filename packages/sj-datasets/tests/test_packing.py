from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sj_datasets.spike_camera import frame_nbytes, pack_frames, unpack_frames

sizes = st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 40)).filter(
    lambda s: s[1] * s[2] % 8 == 0
)


def slowly(packed: np.ndarray, height: int, width: int, flipud: bool) -> np.ndarray:
    """The definition of the format, pixel by pixel."""
    spikes = np.zeros((len(packed), height, width), np.uint8)
    for t, y, x in np.ndindex(*spikes.shape):
        row = height - 1 - y if flipud else y
        byte, bit = divmod(row * width + x, 8)
        spikes[t, y, x] = packed[t, byte] >> bit & 1
    return spikes


@settings(deadline=None, max_examples=60)
@given(size=sizes, flipud=st.booleans(), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_unpacking_follows_the_definition_and_packing_undoes_it(size, flipud, seed, data):
    n_frames, height, width = size
    shape = n_frames, frame_nbytes(height, width)
    packed = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    spikes = unpack_frames(packed, height, width, flipud=flipud)
    np.testing.assert_array_equal(spikes, slowly(packed, height, width, flipud))
    assert spikes.flags.c_contiguous
    columns = data.draw(st.integers(1, width))
    part = unpack_frames(packed, height, width, flipud=flipud, columns=columns)
    np.testing.assert_array_equal(part, spikes[:, :, :columns])
    assert part.flags.c_contiguous
    np.testing.assert_array_equal(pack_frames(spikes, flipud=flipud), packed)


def test_packed_frames_may_be_a_view():
    packed = np.random.default_rng(0).integers(0, 256, (6, 8), dtype=np.uint8)
    expected = unpack_frames(packed, 4, 16)
    np.testing.assert_array_equal(unpack_frames(packed[::-2], 4, 16), expected[::-2])


def test_only_frames_are_packed():
    with pytest.raises(ValueError, match=r"\[T, H, W\]"):
        pack_frames(np.zeros((4, 8)))
