"""Head of a masked autoencoder: images as patches, compared where they were hidden.

    patch[n, i w + j, (u p + v) C + c] = image[n, c, i p + u, j p + v]
    norm_pix   t' = (t - mean(t)) / sqrt(var(t) + 1e-6)     per patch, variance over p p C - 1

Source: He et al., "Masked autoencoders are scalable vision learners", CVPR 2022, arXiv:2111.06377.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..base_module import BaseModule
from ..build import build_part

__all__ = ["MAEPretrainHead"]


class MAEPretrainHead(BaseModule):
    """Compares predicted patches `[N, L, p p C]` with those of the images.

    Args:
        loss: module or config, called as `loss(pred, target, mask)`, such as
            `PixelReconstructionLoss`.
        norm_pix: the target is each patch with mean 0 and variance 1.
        patch_size: p, side of a patch in pixels.
        in_channels: C, channels of the images.
        init_cfg: see :class:`BaseModule`.

    Raises:
        ValueError: sizes below 1, `norm_pix` with patches of one value, or images that do not
            divide into patches.
    """

    def __init__(
        self,
        loss: nn.Module | Mapping[str, Any],
        norm_pix: bool = False,
        patch_size: int = 16,
        in_channels: int = 3,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if patch_size < 1 or in_channels < 1:
            raise ValueError(
                f"MAEPretrainHead: patch_size and in_channels must be 1 or more, got {patch_size} "
                f"and {in_channels}"
            )
        if norm_pix and patch_size**2 * in_channels == 1:
            raise ValueError("MAEPretrainHead: norm_pix needs more than one value per patch")
        self.norm_pix = norm_pix
        self.patch_size = patch_size
        self.in_channels = in_channels
        self.loss_module = build_part(loss, path="loss")

    def patchify(self, imgs: Tensor) -> Tensor:
        """Images `[*, C, H, W]` as patches `[*, L, p p C]`, row by row."""
        p, shape = self.patch_size, tuple(imgs.shape)
        if imgs.dim() < 3 or shape[-3] != self.in_channels or shape[-2] % p or shape[-1] % p:
            raise ValueError(
                f"MAEPretrainHead: expected images [*, {self.in_channels}, H, W] with sides that "
                f"are multiples of {p}, got shape {shape}"
            )
        grid = imgs.unflatten(-1, (-1, p)).unflatten(-3, (-1, p))  # [*, C, h, p, w, p]
        return grid.movedim(-5, -1).movedim(-4, -3).flatten(-3).flatten(-3, -2)

    def unpatchify(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Patches `[*, L, p p C]` as images `[*, C, H, W]`.

        Args:
            x: patches, row by row.
            grid: rows and columns of patches; a square by default.
        """
        p, width = self.patch_size, self.patch_size**2 * self.in_channels
        side = math.isqrt(x.shape[-2])
        rows, columns = (side, side) if grid is None else grid
        if rows * columns != x.shape[-2] or x.shape[-1] != width:
            raise ValueError(
                f"MAEPretrainHead: patches of shape {tuple(x.shape)} are not a grid of "
                f"{rows} x {columns} with {width} values each"
            )
        cells = x.unflatten(-1, (p, p, self.in_channels)).unflatten(-4, (rows, columns))
        return cells.movedim(-4, -3).movedim(-1, -5).flatten(-2).flatten(-3, -2)

    def construct_target(self, target: Tensor) -> Tensor:
        """Patches of the images `[*, C, H, W]`, normalised if asked for."""
        patches = self.patchify(target)
        if not self.norm_pix:
            return patches
        mean = patches.mean(-1, keepdim=True)
        return (patches - mean) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()

    def loss(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Loss of predicted patches.

        Args:
            pred: `[N, L, p p C]`.
            target: images `[N, C, H, W]`.
            mask: 1 where a patch was hidden, `[N, L]`.
        """
        return self.loss_module(pred, self.construct_target(target), mask)
