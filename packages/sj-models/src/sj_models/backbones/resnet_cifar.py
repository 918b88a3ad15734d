"""ResNet for images of some 32 pixels: a stem of one 3x3 convolution, and no max-pooling."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from .resnet import ResNet

__all__ = ["ResNet_CIFAR"]


class ResNet_CIFAR(ResNet):
    """:class:`ResNet` whose stem keeps the size of the image; same arguments and parameters.

    Raises:
        ValueError: `deep_stem=True`.
    """

    stem_stride: ClassVar[int] = 1

    def _make_stem_layer(self, in_channels: int, base_channels: int) -> None:
        if self.deep_stem:
            raise ValueError("ResNet_CIFAR has no deep_stem; use ResNet")
        self._make_plain_stem(in_channels, base_channels, 3, 1)
        self.maxpool = nn.Identity()
