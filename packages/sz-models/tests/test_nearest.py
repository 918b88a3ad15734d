from __future__ import annotations

import numpy as np
import pytest

from sz_models.classical.nearest import Nearest, block_keys, position_dtype


def test_positions_of_the_nearest_spikes():
    frames = np.array([[0, 1, 0, 0, 1, 0]], np.uint8).T
    nearest = Nearest(1)
    assert nearest.last(frames, 0, 6).ravel().tolist() == [0, 2, 2, 2, 5, 5]
    assert nearest.last(frames, 2, 5).ravel().tolist() == [0, 0, 5]
    assert nearest.next(frames, 0).ravel().tolist() == [5, 5, 2, 2, 2, 0]
    assert nearest.next(frames, 3).ravel().tolist() == [2, 2, 0]


@pytest.mark.parametrize("half", [1, 20, 64, 95, 96, 127, 128, 1000, 32_735, 32_736, 40_000])
def test_positions_fit_their_type(half):
    keys, pixels = block_keys(half)
    assert keys >= 64
    assert pixels >= 1024
    assert keys + 2 * half < np.iinfo(position_dtype(half)).max


def test_missing_values_are_replaced():
    values = np.array([[3, 200, 7, 0]], np.uint8)
    missing = np.array([[False, True, False, True]])
    found = Nearest(5).select(values, missing, 10, np.empty_like(values))
    assert found.tolist() == [[3, 10, 7, 10]]
