from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sz_models.dsft import dsft

NAMES = ["dsft11", "dsft12", "dsft21", "dsft22"]


def by_definition(spikes: list[int]) -> list[list[int]]:
    """The four maps of one pixel, scanned from either end frame by frame."""
    n = len(spikes)
    last = [max((u for u in range(t + 1) if spikes[u]), default=0) for t in range(n)]
    upcoming = [min((u for u in range(t + 1, n) if spikes[u]), default=n) for t in range(n)]
    current = [r - before for r, before in zip(upcoming, last, strict=True)]
    following, preceding = list(current), list(current)
    for t in range(n - 2, -1, -1):
        if sum(spikes[t:]) >= 2:
            following[t] = current[t + 1] if spikes[t + 1] else following[t + 1]
    for t in range(1, n):
        if sum(spikes[: t + 1]) >= 2:
            preceding[t] = current[t - 1] if spikes[t] else preceding[t - 1]
    forward = [c + f for c, f in zip(current, following, strict=True)]
    backward = [c + p for c, p in zip(current, preceding, strict=True)]
    both = [f + p for f, p in zip(forward, preceding, strict=True)]
    return [current, forward, backward, both]


@given(st.lists(st.integers(0, 1), min_size=1, max_size=24))
def test_maps_follow_the_definition(spikes):
    maps = dsft(torch.tensor(spikes).view(-1, 1, 1))
    assert [maps[name].flatten().tolist() for name in NAMES] == by_definition(spikes)


def test_regular_spikes_give_multiples_of_their_interval():
    spikes = torch.zeros(40, 1, 1)
    spikes[2::5] = 1
    maps = dsft(spikes)
    middle = slice(8, 30)
    for name, multiple in zip(NAMES, (1, 2, 2, 3), strict=True):
        assert (maps[name][middle] == 5 * multiple).all()


def test_pixels_and_streams_do_not_mix():
    spikes = torch.from_numpy(np.random.default_rng(0).random((2, 3, 9, 4, 5)) < 0.3)
    maps = dsft(spikes)
    one = dsft(spikes[1, 2, :, 3:, 4:])
    for name in NAMES:
        assert maps[name].shape == spikes.shape
        assert torch.equal(maps[name][1, 2, :, 3:, 4:], one[name])


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32, torch.bfloat16])
def test_any_element_type_is_taken(dtype):
    spikes = torch.tensor([0, 1, 0, 0, 1, 1]).view(-1, 1, 1).to(dtype)
    assert dsft(spikes)["dsft11"].flatten().tolist() == [1, 3, 3, 3, 1, 1]


def test_long_streams_do_not_overflow():
    spikes = torch.zeros(20_000, 1, 1, dtype=torch.bool)
    assert int(dsft(spikes)["dsft22"][0]) == 60_000


@pytest.mark.parametrize("shape", [(4, 4), (0, 4, 4)])
def test_streams_without_frames_are_refused(shape):
    with pytest.raises(ValueError, match=r"\[\.\., T, H, W\]"):
        dsft(torch.zeros(shape))
