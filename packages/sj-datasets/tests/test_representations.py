from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets import representations
from sj_datasets.representations import (
    to_bina_rep,
    to_binary_frames,
    to_bins,
    to_time_surface,
    to_voxel_grid,
)

H, W = 2, 3
PLACES = st.tuples(st.integers(0, W - 1), st.integers(0, H - 1), st.integers(0, 1))
rows = st.lists(st.tuples(st.integers(-100, 100), PLACES), max_size=25).map(sorted)


def columns(rows) -> dict[str, np.ndarray]:
    table = np.array([(t, *place) for t, place in rows], np.int64).reshape(-1, 4)
    return {name: table[:, k] for k, name in enumerate("txyp")}


@given(rows, st.integers(1, 6))
def test_voxel_grid_is_its_definition(rows, B):
    wanted = np.zeros((B, H, W))
    span = rows[-1][0] - rows[0][0] if rows else 0
    for t, (x, y, p) in rows:
        u = (B - 1) * (t - rows[0][0]) / span if span else 0.0
        for b in range(B):
            wanted[b, y, x] += (1 if p else -1) * max(0.0, 1 - abs(b - u))
    grid = to_voxel_grid(columns(rows), B, H, W)
    assert grid.dtype == np.float32
    np.testing.assert_allclose(grid, wanted, rtol=1e-6, atol=1e-6)


def test_voxel_grid_of_many_events_is_the_sum_of_its_parts(monkeypatch):
    events = columns([(t, (t % W, t % H, t % 2)) for t in range(50)])
    whole = to_voxel_grid(events, 4, H, W)
    monkeypatch.setattr(representations, "_TOGETHER", 1)
    np.testing.assert_allclose(to_voxel_grid(events, 4, H, W), whole, rtol=1e-6)


def test_polarity_minus_one_is_negative():
    events = columns([(0, (0, 0, 0))]) | {"p": np.array([-1])}
    assert to_voxel_grid(events, 2, H, W)[0, 0, 0] == -1


@given(rows, st.integers(1, 12))
def test_bins_are_of_equal_time(rows, B):
    wanted = np.zeros((B, 2, H, W), np.int64)
    span = rows[-1][0] - rows[0][0] if rows else 0
    for t, (x, y, p) in rows:
        b = min(B - 1, B * (t - rows[0][0]) // span) if span else 0
        wanted[b, p, y, x] += 1
    np.testing.assert_array_equal(to_bins(columns(rows), B, H, W, dtype=np.uint8), wanted)
    np.testing.assert_array_equal(to_binary_frames(columns(rows), B, H, W), wanted > 0)


@given(rows, st.integers(1, 3), st.integers(1, 5))
def test_bit_frames_read_binary_frames_as_numbers(rows, T, n):
    bits = to_binary_frames(columns(rows), T * n, H, W).reshape(T, n, 2, H, W)
    weights = 2.0 ** np.arange(n)[::-1]
    wanted = np.einsum("n,tncyx->tcyx", weights, bits.astype(float)) / (2**n - 1)
    found = to_bina_rep(columns(rows), T, n, H, W)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@given(rows, st.lists(st.integers(-150, 150), max_size=4))
def test_time_surface_is_its_definition(rows, at):
    wanted = np.zeros((len(at), 2, H, W))
    for k, moment in enumerate(at):
        for t, (x, y, p) in rows:  # later events overwrite earlier ones
            if t <= moment:
                wanted[k, p, y, x] = math.exp((t - moment) / 20.0)
    surfaces = to_time_surface(columns(rows), H, W, 20.0, at)
    assert surfaces.shape == (len(at), 2, H, W)
    np.testing.assert_allclose(surfaces, wanted, rtol=1e-6, atol=1e-30)


def test_time_surface_is_taken_at_the_last_event():
    events = columns([(2**60, (0, 1, 1)), (2**60 + 10, (2, 0, 0))])
    surface = to_time_surface(events, H, W, 10.0)
    assert surface.shape == (2, H, W)
    np.testing.assert_allclose(surface[[0, 1], [0, 1], [2, 0]], [1, math.exp(-1)], rtol=1e-6)
    np.testing.assert_array_equal(to_time_surface(events, H, W, 10.0, 2**60 + 10), surface)
    assert not to_time_surface(columns([]), H, W, 10.0).any()


@pytest.mark.parametrize(
    "make",
    [
        lambda e: to_voxel_grid(e, 2, H, W),
        lambda e: to_bins(e, 2, H, W),
        lambda e: to_time_surface(e, H, W, 1.0),
    ],
)
def test_events_that_make_no_sense_are_refused(make):
    with pytest.raises(ValueError, match="event 1 has x = 3"):
        make(columns([(0, (0, 0, 0)), (1, (W, 0, 0))]))
    with pytest.raises(ValueError, match="goes back"):
        make(columns([(1, (0, 0, 0)), (0, (0, 0, 0))]))


def test_arguments_that_make_no_sense_are_refused():
    events = columns([(0, (0, 0, 0))])
    with pytest.raises(ValueError, match="n_bins must be a positive"):
        to_voxel_grid(events, 0, H, W)
    with pytest.raises(ValueError, match="tau must be positive, got 0"):
        to_time_surface(events, H, W, 0)
    with pytest.raises(ValueError, match=r"n_bits must be in 1\.\.24"):
        to_bina_rep(events, 1, 25, H, W)


@pytest.mark.parametrize(
    "make",
    [
        lambda events: to_voxel_grid(events, 2, H, W),
        lambda events: to_bins(events, 2, H, W),
        lambda events: to_time_surface(events, H, W, 1.0),
    ],
)
def test_times_too_far_apart_are_refused(make):
    events = {name: np.zeros(3, np.int64) for name in "xyp"}
    with pytest.raises(ValueError, match="too far apart"):
        make({"t": np.array([-(2**63), 0, 2**63 - 1]), **events})
