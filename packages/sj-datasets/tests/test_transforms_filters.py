from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sj_datasets.events import Events
from sj_datasets.transforms import Denoise, RefractoryPeriod

H, W = 3, 4


@st.composite
def recordings(draw) -> Events:
    n = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Events.from_arrays(
        t=np.sort(rng.integers(-10, draw(st.sampled_from([5, 60, 400])), n)),
        x=rng.integers(0, W, n),
        y=rng.integers(0, H, n),
        p=rng.integers(0, 2, n),
        sensor_size=(H, W),
    )


@given(events=recordings(), within=st.integers(1, 30))
def test_denoising_keeps_events_with_a_recent_neighbour(events, within):
    last = np.full((H + 2, W + 2), -np.inf)
    keep = []
    for t, x, y, _ in events.array.tolist():
        around = last[y : y + 3, x : x + 3].copy()
        around[1, 1] = -np.inf
        keep.append(t - around.max() <= within)
        last[y + 1, x + 1] = t
    assert Denoise(within)(events) == Events(events.array[np.array(keep, bool)], (H, W))


@given(events=recordings(), period=st.integers(1, 40))
def test_a_pixel_rests_after_each_kept_event(events, period):
    last = np.full((H, W), -np.inf)
    keep = []
    for t, x, y, _ in events.array.tolist():
        keep.append(t - last[y, x] >= period)
        if keep[-1]:
            last[y, x] = t
    assert RefractoryPeriod(period)(events) == Events(events.array[np.array(keep, bool)], (H, W))


def test_spike_trains_have_no_rows():
    train = {"t": np.array([0, 0.1, 0.3], np.float32), "x": np.array([5, 5, 5], np.uint16)}
    assert RefractoryPeriod(0.2)(train)["t"].tolist() == train["t"][[0, 2]].tolist()


@pytest.mark.parametrize("kind", [Denoise, RefractoryPeriod])
def test_wrong_arguments_are_named(kind):
    with pytest.raises(ValueError, match="must be positive"):
        kind(0)
    back = {name: np.array([3, 1]) for name in "txyp"}
    with pytest.raises(ValueError, match="event 1 is earlier"):
        kind(5)(back)
    with pytest.raises(TypeError, match="not on frames"):
        kind(5)(np.zeros((2, 2, 3, 3)))
