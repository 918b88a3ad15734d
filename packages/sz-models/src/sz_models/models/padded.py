"""Wrapper of networks that halve the image several times and so need sides of certain sizes."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import BaseModel

__all__ = ["PaddedModel", "repeat_last"]


class PaddedModel(BaseModel):
    """Pads the spikes to multiples of ``size_multiple`` and cuts the image back.

    Rows are appended at the bottom and columns on the right, see :func:`repeat_last`.
    """

    def preprocess_spike(self, spike: Tensor) -> Tensor:
        spike = self.crop_spike_length(spike)
        height, width = spike.shape[-2:]
        spike = repeat_last(spike, -height % self.size_multiple, dim=-2)
        return repeat_last(spike, -width % self.size_multiple, dim=-1)

    def postprocess_img(self, image: Tensor) -> Tensor:
        if self.spike_size is None:
            return image
        height, width = self.spike_size
        return image[..., :height, :width]


def repeat_last(x: Tensor, n: int, dim: int) -> Tensor:
    """Append the last ``n`` entries of ``x`` along ``dim`` once more, in their order.

    The published weights were trained and measured with this rule. Where ``x`` has fewer than
    ``n`` entries, they are repeated again and again.
    """
    if n == 0:
        return x
    size = x.shape[dim]
    last = torch.arange(size - n, size, device=x.device).remainder(size)
    return torch.cat((x, x.index_select(dim, last)), dim)
