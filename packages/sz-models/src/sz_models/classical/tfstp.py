"""Texture from short-term plasticity: spikes drive a model synapse, whose state shows the light.

The synapse has resources R and utilisation u.  A spike D frames after the one before makes them

    R' = 1 - (1 - R (1 - u)) exp(-D / tau_D)
    u' = u0 + (u + f (1 - u) - u0) exp(-D / tau_F)

and solving each for D at a steady state gives two estimates of the firing rate, which are added.
As in the published implementation the second one uses tau_F where its steady state has f.

Zheng et al., "Capture the moment: high-speed imaging with spiking cameras through short-term
plasticity", TPAMI 2023.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .._numbers import check_positive, whole
from ..streams import Spikes, check_axes
from .sweep import Out, spike_frames, video_buffer

__all__ = ["ShortTermPlasticity", "equalize", "tfstp", "tfstp_video"]

_LEVELS = 256


class ShortTermPlasticity:
    """State of one model synapse per pixel.

    Args:
        u0: utilisation at rest, in (0, 1).
        tau_d: time constant of the resources, in units of time.
        tau_f: time constant of the utilisation, in units of time.
        f: share of the unused part that a spike brings into use, in (0, 1).
        time_unit: frames per unit of time.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> import torch
        >>> synapse = ShortTermPlasticity()
        >>> for frame in torch.ones(60, 1, 1):
        ...     synapse.update(frame)
        >>> round(synapse.rate().item(), 2)
        1.03
    """

    def __init__(
        self,
        u0: float = 0.15,
        tau_d: float = 1.0,
        tau_f: float = 10.0,
        f: float = 0.15,
        time_unit: float = 1.0,
    ) -> None:
        check_positive(u0=u0, tau_d=tau_d, tau_f=tau_f, f=f, time_unit=time_unit)
        for name, value in (("u0", u0), ("f", f)):
            if value >= 1:
                raise ValueError(f"{name} must be below 1, got {value}")
        self.u0, self.tau_d, self.tau_f, self.f = u0, tau_d, tau_f, f
        self.time_unit = time_unit
        self.n_frames = 0
        self.resources = torch.empty(0)
        self.utilization = torch.empty(0)
        self._last = torch.empty(0)

    def update(self, frame: Tensor) -> None:
        """Take the spikes of the next frame, of any shape that stays the same."""
        if self.n_frames == 0:
            self.resources = torch.ones(frame.shape, device=frame.device)
            self.utilization = torch.full_like(self.resources, self.u0)
            self._last = torch.zeros_like(self.resources)
        self.n_frames += 1
        fired = frame == 1
        resources, used = self.resources[fired], self.utilization[fired]
        elapsed = (self.n_frames - self._last[fired]) / self.time_unit
        self._last[fired] = float(self.n_frames)
        unspent = 1 - resources * (1 - used)
        self.resources[fired] = 1 - unspent * torch.exp(-elapsed / self.tau_d)
        surplus = used + self.f * (1 - used) - self.u0
        self.utilization[fired] = self.u0 + surplus * torch.exp(-elapsed / self.tau_f)

    def rate(self) -> Tensor:
        """Sum of the two estimates of the firing rate, in spikes per unit of time; 0 at rest."""
        resources, used = self.resources, self.utilization
        by_resources = -1 / (self.tau_d * torch.log((1 - resources) / (1 - resources * (1 - used))))
        surplus = (used - self.u0) / (self.tau_f - self.u0 + used * (1 - self.f))
        return by_resources - 1 / (self.tau_f * torch.log(surplus))


def tfstp(
    stream: Tensor,
    key_frame: int | None = None,
    *,
    equalized: bool = True,
    synapse: ShortTermPlasticity | None = None,
) -> Tensor:
    """Texture from short-term plasticity after the spikes of frames 0 ... key frame.

    Args:
        stream: spikes ``[T, H, W]``.
        key_frame: frame index, by default ``T // 2``.
        equalized: spread the image over [0, 1] (see ``equalize``); otherwise the rate itself.
        synapse: parameters of the model, and what it has seen so far; the stream continues there.

    Returns:
        float32 ``[H, W]``.

    Raises:
        ValueError: wrong axes, key frame outside the stream, spikes other than 0 and 1.
    """
    check_axes(stream, "THW")
    n_frames = stream.shape[0]
    key = n_frames // 2 if key_frame is None else whole("key_frame", key_frame)
    if not 0 <= key < n_frames:
        raise ValueError(f"key frame {key} leaves the stream of {n_frames} frames")
    spikes = torch.from_numpy(spike_frames(stream[: key + 1]))
    synapse = ShortTermPlasticity() if synapse is None else synapse
    for frame in spikes:
        synapse.update(frame)
    return equalize(synapse.rate()) if equalized else synapse.rate()


def tfstp_video(
    stream: Spikes,
    *,
    equalized: bool = True,
    synapse: ShortTermPlasticity | None = None,
    out: Out | None = None,
) -> Tensor:
    """TFSTP after every frame; arguments as in ``tfstp``.

    Returns:
        float32 ``[T, H, W]``.
    """
    check_axes(stream, "THW")
    images = video_buffer(out, tuple(stream.shape), torch.float32)
    synapse = ShortTermPlasticity() if synapse is None else synapse
    for image, rate in zip(images, _rates(stream, synapse), strict=True):
        image.copy_(equalize(rate) if equalized else rate)
    return images


def _rates(stream: Spikes, synapse: ShortTermPlasticity) -> Iterator[Tensor]:
    for frame in torch.from_numpy(spike_frames(stream)):
        synapse.update(frame)
        yield synapse.rate()


def equalize(image: Tensor) -> Tensor:
    """Spread an image over [0, 1] so that its 256 grey levels are about equally frequent.

    A uniform image becomes 0.
    """
    low, high = image.min(), image.max()
    if not high > low:
        return torch.zeros_like(image)
    levels = ((image - low) / (high - low) * (_LEVELS - 1)).to(torch.uint8)
    histogram = np.bincount(levels.cpu().numpy().ravel(), minlength=_LEVELS)
    total = histogram.cumsum()
    rank = (total - histogram[0]) / max(1, image.numel() - int(histogram[0]))
    table = np.rint(rank.clip(0, 1) * (_LEVELS - 1)) / (_LEVELS - 1)
    return torch.from_numpy(table.astype(np.float32)).to(image.device)[levels.long()]
