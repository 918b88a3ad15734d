"""Light reconstruction network of SpikeCLIP: five 3x3 convolutions on counts of spikes.

counts [B, inDim, H, W] -> 64 -> 128 -> 64 -> 16 -> image [B, outDim, H, W]

Chen et al., "Rethinking high-speed image reconstruction framework with spike camera", AAAI 2025.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from .._names import unknown_name

__all__ = ["LRN"]

_NORMS = ("none", "instance", "batch")


class LRN(nn.Sequential):
    """Light reconstruction network, about 0.19 M parameters.

    Args:
        inDim: input channels, each the number of spikes in a few successive frames.
        outDim: output channels.
        norm: normalisation in the blocks 2 to 4: ``none`` (released weights), ``instance``,
            ``batch``.

    Raises:
        ValueError: unknown ``norm``.

    Example:
        >>> import torch
        >>> LRN()(torch.zeros(1, 50, 8, 8)).shape
        torch.Size([1, 1, 8, 8])
    """

    def __init__(self, inDim: int = 50, outDim: int = 1, norm: str = "none") -> None:
        if norm not in _NORMS:
            raise ValueError(unknown_name("norm", norm, _NORMS))
        widths = (inDim, 64, 128, 64, 16)
        norms = ("none", norm, norm, norm)
        blocks = [
            _block(before, after, chosen)
            for (before, after), chosen in zip(pairwise(widths), norms, strict=True)
        ]
        super().__init__(*blocks, nn.Conv2d(widths[-1], outDim, 3, padding=1))


def _block(before: int, after: int, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(before, after, 3, padding=1)]
    if norm == "instance":
        layers.append(nn.InstanceNorm2d(after))
    elif norm == "batch":
        layers.append(nn.BatchNorm2d(after))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))
