"""Light reconstruction network of SpikeCLIP: five 3x3 convolutions on counts of spikes.

counts [B, inDim, H, W] -> 64 -> 128 -> 64 -> 16 -> image [B, outDim, H, W]

Chen et al., "Rethinking high-speed image reconstruction framework with spike camera", AAAI 2025.
"""

from __future__ import annotations

from torch import Tensor, nn

from .._names import unknown_name
from ..layout import cpu_layout

__all__ = ["LRN"]

_NORMS = ("none", "instance", "batch")


class LRN(nn.Module):
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
        super().__init__()
        if norm == "instance":
            self.needs_whole_image = "instance normalisation averages over the whole image"
        else:
            self.receptive_radius = 5
        widths = (inDim, 64, 128, 64, 16)
        norms = ("none", norm, norm, norm)
        # Published keys have no prefix, as if the object were a plain sequence of layers.
        for i, chosen in enumerate(norms):
            self.add_module(str(i), _block(widths[i], widths[i + 1], chosen))
        self.add_module("4", nn.Conv2d(widths[-1], outDim, 3, padding=1))

    def forward(self, counts: Tensor) -> Tensor:
        x = cpu_layout(counts)
        for layer in self.children():
            x = layer(x)
        return x


def _block(before: int, after: int, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(before, after, 3, padding=1)]
    if norm == "instance":
        layers.append(nn.InstanceNorm2d(after))
    elif norm == "batch":
        layers.append(nn.BatchNorm2d(after))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))
