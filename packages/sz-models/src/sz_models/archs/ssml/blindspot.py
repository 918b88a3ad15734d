"""Convolution and pooling that, in a blind network, see only the rows above a pixel.

Features of row i of a blind layer depend on the rows 0..i of its input. Run on four rotations of an
image, each shifted down by one row at the end, such a network sees everything but the pixel itself.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SLOPE", "EdgeConv", "EdgePool", "shift_down"]

SLOPE = 0.1
"""Slope of the leaky ReLUs below zero."""


def shift_down(x: Tensor) -> Tensor:
    """``[B, C, H, W]`` with a row of zeros on top and without its last row."""
    return functional.pad(x, (0, 0, 1, -1))


class EdgeConv(nn.Module):
    """3x3 convolution with repeated edges, no bias, leaky ReLU; keeps H and W.

    Args:
        inputs: input channels.
        outputs: output channels.
        blind: see only the rows up to the pixel's own; above the first row are zeros then.
    """

    def __init__(self, inputs: int, outputs: int, *, blind: bool) -> None:
        super().__init__()
        self.blind = blind
        self.conv = nn.Conv2d(inputs, outputs, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.blind:
            # A zero row on top, edges repeated on all sides, the last output row dropped: the same
            # as two zero rows on top and none below.
            x = functional.pad(functional.pad(x, (1, 1, 0, 0), mode="replicate"), (0, 0, 2, 0))
        else:
            x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        return functional.leaky_relu(self.conv(x), SLOPE, inplace=True)


class EdgePool(nn.Module):
    """Maximum over 2x2 pixels, rounding sizes down; a blind one shifts down by a row first."""

    def __init__(self, *, blind: bool) -> None:
        super().__init__()
        self.blind = blind

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool2d(shift_down(x) if self.blind else x, 2)
