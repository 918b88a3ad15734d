from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sz_models.classical import isi


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), half=st.integers(1, 12), rate=st.floats(0, 1))
def test_it_is_the_inverse_of_the_mean_difference(seed, half, rate):
    rng = np.random.default_rng(seed)
    spikes = (rng.random((2 * half + 1, 6)) < rate).astype(np.uint8)
    image = isi(torch.from_numpy(spikes)[:, None], window=2 * half + 1)[0]
    for pixel, value in zip(spikes.T, image.tolist(), strict=True):
        times = np.flatnonzero(pixel)
        expected = 1 / np.diff(times).mean() if len(times) > 1 else 1 / (2 * half)
        assert value == pytest.approx(expected, rel=1e-6)


def test_where_the_window_cuts_an_interval_does_not_matter():
    spikes = torch.zeros(60, 1, 1)
    spikes[::4] = 1
    assert {isi(spikes, key, window=21).item() for key in range(10, 50)} == {0.25}


def test_a_batch_and_its_type():
    streams = (torch.rand(2, 21, 3, 4) < 0.3).double()
    images = isi(streams, window=21)
    assert images.shape == (2, 1, 3, 4)
    assert images.dtype == torch.float64
    torch.testing.assert_close(images[1, 0], isi(streams[1], window=21))


@pytest.mark.parametrize(("window", "message"), [(1, "at least 2"), (23, "has frames")])
def test_windows_that_do_not_fit(window, message):
    with pytest.raises(ValueError, match=message):
        isi(torch.zeros(21, 1, 1), window=window)
