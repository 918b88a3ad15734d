"""Images to tokens.

    ANN      one convolution with stride = kernel = patch
    spiking  4 x [conv 3x3, norm, neuron, (max-pool 2x2)], conv 3x3, norm: currents

Pooling halves the size in the last log2(patch) stages; its windows never cross a patch. Where some
patches are masked, the currents there are set to zero after every convolution, so no later layer
sees anything of the pixels below, as in a sparse convolution.

Source: Zhou et al., "Spikformer: when spiking neural network meets transformer", ICLR 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, fx, nn

import sj_layers as layer

from ..layers_from_config import Config, build_norm_layer
from ..transformer_parts import Neurons, conv_norm
from .position import pair

__all__ = ["PatchEmbed", "SpikingPatchEmbed"]


class PatchEmbed(nn.Module):
    """`[N, C, H, W]` to tokens `[N, L, D]` in row-major order, and their grid (height, width).

    Args:
        in_channels: C.
        embed_dims: D.
        img_size: usual height and width of the images in pixels.
        patch_size: side of a patch in pixels.
        stride: distance of patches; their size if None.
        padding: pixels of zeros around the image.
        bias: whether the convolution has a bias.
        norm_cfg: norm of the tokens; none if None.

    Raises:
        ValueError: images smaller than a patch.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        img_size: int | Sequence[int],
        patch_size: int | Sequence[int] = 16,
        *,
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        bias: bool = True,
        norm_cfg: Config | None = None,
    ) -> None:
        super().__init__()
        kernel, gap = pair(patch_size), pair(padding)
        step = kernel if stride is None else pair(stride)
        self.projection = nn.Conv2d(in_channels, embed_dims, kernel, step, gap, bias=bias)
        self.norm = nn.Identity() if norm_cfg is None else build_norm_layer(norm_cfg, embed_dims)[1]
        self.init_out_size = self.resolution(pair(img_size))

    def resolution(self, size: tuple[int, int]) -> tuple[int, int]:
        """Grid of tokens of an image of this height and width."""
        conv = self.projection
        shape = zip(size, conv.padding, conv.kernel_size, conv.stride, strict=True)
        height, width = ((n + 2 * int(pad) - k) // s + 1 for n, pad, k, s in shape)
        if min(height, width) < 1:
            raise ValueError(f"images must be at least one patch, {conv.kernel_size}, got {size}")
        return height, width

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        x = self.projection(x)
        return self.norm(x.flatten(2).transpose(1, 2)), (x.shape[2], x.shape[3])


class SpikingPatchEmbed(nn.Module):
    """`[T, N, C, H, W]` to currents `[T, N, L, D]` of tokens, and their grid (height, width).

    Args:
        in_channels: C.
        embed_dims: D, a multiple of 8.
        img_size: usual height and width of the images in pixels.
        patch_size: side of a patch in pixels: 1, 2, 4, 8 or 16.
        neurons: makes the neurons.

    Raises:
        ValueError: another patch size, another D, or images smaller than a patch.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        img_size: int | Sequence[int],
        patch_size: int | Sequence[int],
        neurons: Neurons,
    ) -> None:
        super().__init__()
        sides = pair(patch_size)
        if sides[0] != sides[1] or sides[0] not in (1, 2, 4, 8, 16) or embed_dims % 8:
            raise ValueError(
                "a spiking patch embedding needs patch_size 1, 2, 4, 8 or 16 and embed_dims a "
                f"multiple of 8, got {patch_size} and {embed_dims}"
            )
        self.patch_size = sides[0]
        widths = [in_channels, *(embed_dims // divisor for divisor in (8, 4, 2, 1))]
        first_pooled = 4 - (self.patch_size.bit_length() - 1)
        self.stages = nn.ModuleList()
        for stage, (cin, cout) in enumerate(pairwise(widths)):
            parts = {"conv_bn": nn.Sequential(*conv_norm(cin, cout)), "sn": neurons()}
            if stage >= first_pooled:
                parts["pool"] = layer.MaxPool2d(2)
            self.stages.append(nn.ModuleDict(parts))
        self.projection = nn.Sequential(*conv_norm(embed_dims, embed_dims))
        self.init_out_size = self.resolution(pair(img_size))

    def resolution(self, size: tuple[int, int]) -> tuple[int, int]:
        """Grid of tokens of an image of this height and width."""
        return _grid(size[0], size[1], self.patch_size)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> tuple[Tensor, tuple[int, int]]:
        """`visible` `[N, h, w]` is 1 at the tokens to be seen, at all time steps, and else 0."""
        height, width = self.resolution((x.shape[3], x.shape[4]))
        x = x[..., : height * self.patch_size, : width * self.patch_size]
        x = _masked(x, visible)
        for stage in self.stages.children():
            parts: nn.ModuleDict = stage  # pyright: ignore[reportAssignmentType]
            x = parts["sn"](_masked(parts["conv_bn"](x), visible))
            if "pool" in parts:
                x = parts["pool"](x)
        x = _masked(self.projection(x), visible)
        return x.flatten(3).transpose(2, 3), (height, width)


@fx.wrap
def _grid(height: int, width: int, patch_size: int) -> tuple[int, int]:
    if min(height, width) < patch_size:
        raise ValueError(f"images must be at least one patch, {patch_size}, got {(height, width)}")
    return height // patch_size, width // patch_size


def _masked(x: Tensor, visible: Tensor | None) -> Tensor:
    """`x` `[T, N, C, H, W]` with zeros where the patch is not visible."""
    if visible is None:
        return x
    if x.shape[0] > 1 and x.stride(0) == 0:  # equal steps stay one in memory
        return _masked(x[:1], visible).expand_as(x)
    scale = x.shape[-1] // visible.shape[-1]
    seen = visible.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    return x * seen[:, None].to(x.dtype)
