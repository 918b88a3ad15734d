"""Convolution blocks of the network; the nesting follows the published key names."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

__all__ = ["Cascade", "DimReduce", "conv3", "conv_unit", "deconv"]


class ConvUnit(nn.Module):
    """``net``: a convolution and what follows it."""

    def __init__(self, conv: nn.Conv2d, *following: nn.Module) -> None:
        super().__init__()
        nn.init.xavier_uniform_(conv.weight)
        nn.init.zeros_(cast(Tensor, conv.bias))
        self.net = nn.Sequential(conv, *following)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def conv3(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution that keeps the size, divided by ``stride``."""
    return nn.Conv2d(before, after, 3, stride, padding=1)


def conv_unit(before: int, after: int, kernel: int = 3, stride: int = 1) -> ConvUnit:
    """Convolution and PReLU with one slope."""
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2)
    return ConvUnit(conv, nn.PReLU())


def deconv(before: int, after: int) -> nn.ConvTranspose2d:
    """Learned upsampling by two."""
    return nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)


class ResUnit(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            ConvUnit(conv3(channels, channels), nn.ReLU(inplace=True)),
            ConvUnit(conv3(channels, channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Cascade(nn.Module):
    """One residual unit."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(ResUnit(channels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class DimReduce(nn.Module):
    """Two convolutions, the second to fewer channels, each with a PReLU per channel."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(conv3(before, before), nn.PReLU(before))
        self.conv2 = nn.Sequential(conv3(before, after), nn.PReLU(after))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))
