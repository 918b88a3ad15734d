"""Pairs of convolutions, and the fusion of several interval maps by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "FEATURES",
    "FeatureEncoder",
    "IntervalFusion",
    "TwoConv",
    "double_size",
]

FEATURES = 64


class TwoConv(nn.Sequential):
    """3x3 convolution, ReLU, 3x3 convolution; ``stride`` belongs to the first."""

    def __init__(self, before: int, hidden: int, after: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(before, hidden, 3, stride, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, after, 3, padding=1),
        )

    def prepared(self, rest: Tensor) -> Tensor:
        """What :meth:`joined` needs of the last input channels: their share of the hidden ones.

        While gradients are recorded these are the channels themselves, concatenated as in the
        published network: other rounding would move activations and sampling positions across
        kinks, where gradients jump.
        """
        if torch.is_grad_enabled():
            return rest
        weight = cast(Tensor, self[0].weight)
        return F.conv2d(rest, weight[:, -rest.shape[1] :], padding=1)

    def joined(self, x: Tensor, prepared: Tensor) -> Tensor:
        """Result for the first channels ``x`` and the last ones, from :meth:`prepared`."""
        if torch.is_grad_enabled():
            return self(torch.cat([x, prepared], 1))
        weight, bias = cast(Tensor, self[0].weight), cast(Tensor, self[0].bias)
        hidden = F.conv2d(x, weight[:, : x.shape[1]], bias, padding=1)
        return self[2](self[1](hidden.add_(prepared)))


def double_size(x: Tensor) -> Tensor:
    """Bilinear upsampling by two."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class IntervalFusion(nn.Module):
    """Four rates ``[B, n, H, W]``, the plain one first -> features ``[B, 64, H, W]``."""

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.conv1 = TwoConv(n_frames, FEATURES, FEATURES)
        self.conv_for_others = nn.ModuleList(
            TwoConv(FEATURES, FEATURES, FEATURES) for _ in range(3)
        )
        self.conv_fuse = TwoConv(3 * FEATURES, FEATURES, FEATURES)

    def forward(self, rates: Sequence[Tensor]) -> Tensor:
        plain, *others = (self.conv1(rate) for rate in rates)
        others = [conv(x) for conv, x in zip(self.conv_for_others, others, strict=True)]
        return plain + self.conv_fuse(torch.cat(others, 1))


class FeatureEncoder(nn.Module):
    """Four times x = relu(conv(x) + x)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_list = nn.ModuleList(TwoConv(FEATURES, FEATURES, FEATURES) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.conv_list:
            x = torch.relu(conv(x) + x)
        return x
