"""Spike intervals around every frame of every pixel: the input of BSF.

At frame t of a pixel let l be its last spike at or before t (0 if there is none) and r its first
spike after t (T if there is none). The maps count frames:

    dsft11 = r - l                          the interval that holds t
    dsft12 = dsft11 + following interval
    dsft21 = preceding interval + dsft11
    dsft22 = preceding interval + dsft11 + following interval

Where a neighbouring interval is not closed by two spikes, the one that holds t stands in for it.

Zhao et al., "Boosting spike camera image reconstruction from a perspective of dealing with spike
fluctuations", CVPR 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dsft"]

# The sum of three intervals has to fit.
_MOST_SHORT_FRAMES = torch.iinfo(torch.int16).max // 3


def dsft(spike: Tensor) -> dict[str, Tensor]:
    """Interval maps ``dsft11``, ``dsft12``, ``dsft21``, ``dsft22`` of spikes ``[.., T, H, W]``.

    One pass over time in each direction, so O(T H W) on any device.

    Args:
        spike: nonzero where a pixel spikes.

    Returns:
        Four integer tensors like ``spike``, in frames.

    Raises:
        ValueError: fewer than three axes, or no frames.
    """
    if spike.ndim < 3 or spike.shape[-3] == 0:
        raise ValueError(f"spikes must be [.., T, H, W] with T > 0, got {list(spike.shape)}")
    n_frames = spike.shape[-3]
    dtype = torch.int16 if n_frames <= _MOST_SHORT_FRAMES else torch.int32
    frames = (spike != 0).movedim(-3, 0).contiguous()
    last, preceding = _scan_forward(frames, dtype)
    current, following = _scan_backward(frames, last)
    preceding = torch.where(preceding == 0, current, preceding)
    forward = current + following
    maps = {"11": current, "12": forward, "21": current + preceding, "22": forward + preceding}
    return {f"dsft{name}": counts.movedim(0, -3).contiguous() for name, counts in maps.items()}


def _scan_forward(frames: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Last spike at or before each frame, and the interval that ends there (0: none does)."""
    lasts = torch.empty(frames.shape, dtype=dtype, device=frames.device)
    intervals = torch.empty_like(lasts)
    last, interval = torch.zeros_like(lasts[0]), torch.zeros_like(lasts[0])
    seen = torch.zeros_like(frames[0])
    for t, fired in enumerate(frames):
        interval = torch.where(fired, (t - last) * seen, interval)
        last = last.masked_fill(fired, t)
        seen = seen | fired
        lasts[t], intervals[t] = last, interval
    return lasts, intervals


def _scan_backward(frames: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """The interval that holds each frame, and the following one or what stands in for it."""
    n_frames = len(frames)
    currents, followings = torch.empty_like(last), torch.empty_like(last)
    upcoming = torch.full_like(last[0], n_frames)
    interval, closed = torch.zeros_like(upcoming), torch.zeros_like(frames[0])
    for t in range(n_frames - 1, -1, -1):
        fired = frames[t]
        current = upcoming - last[t]
        # Between two spikes in adjacent frames the following interval counts though it is open.
        adjacent = fired & (upcoming == t + 1) if t + 1 < n_frames else closed
        followings[t] = torch.where(closed | adjacent, interval, current)
        currents[t] = current
        interval = torch.where(fired, upcoming - t, interval)
        closed = torch.where(fired, upcoming < n_frames, closed)
        upcoming = upcoming.masked_fill(fired, t)
    return currents, followings
