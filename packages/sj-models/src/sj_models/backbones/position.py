"""Position embeddings of image tokens, in row-major order.

    w_j = temperature^(-4 j / D)
    sincos   [sin(row w), cos(row w), sin(col w), cos(col w)]     D / 4 values each

Source: Chen, Xie, He, "An empirical study of training self-supervised vision transformers", ICCV
2021; with D / 4 frequencies as in He et al., "Masked autoencoders are scalable vision learners",
CVPR 2022 (whose code puts the column first).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["pair", "resize_position_embedding", "sincos_position_embedding"]


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """`(height, width)` from both or from one number for both.

    Raises:
        ValueError: not one or two numbers.
    """
    sizes = (size, size) if isinstance(size, int) else tuple(size)
    if len(sizes) != 2:
        raise ValueError(f"expected one number or (height, width), got {size!r}")
    return sizes[0], sizes[1]


def sincos_position_embedding(
    resolution: int | Sequence[int],
    embed_dims: int,
    temperature: float = 10000.0,
    cls_token: bool = False,
    *,
    first: Literal["row", "col"] = "row",
) -> Tensor:
    """Fixed embedding `[1, L, D]` of a grid of L = height x width tokens.

    Args:
        resolution: height and width of the grid in tokens.
        embed_dims: D, a multiple of 4.
        temperature: ratio of the largest to the smallest wavelength.
        cls_token: put a row of zeros before the others, `[1, 1 + L, D]`.
        first: the axis that the first half of D encodes.

    Raises:
        ValueError: `embed_dims` is no multiple of 4, or another `first`.
    """
    if embed_dims < 4 or embed_dims % 4:
        raise ValueError(f"embed_dims must be a multiple of 4, got {embed_dims}")
    if first not in ("row", "col"):
        raise ValueError(f"first must be 'row' or 'col', got {first!r}")
    height, width = pair(resolution)
    quarter = embed_dims // 4
    frequency = temperature ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    rows = torch.arange(height, dtype=torch.float64).repeat_interleave(width)
    cols = torch.arange(width, dtype=torch.float64).repeat(height)
    axes = (rows, cols) if first == "row" else (cols, rows)
    phases = [axis[:, None] * frequency for axis in axes]
    waves = [wave for phase in phases for wave in (phase.sin(), phase.cos())]
    embedding = torch.cat(waves, 1)
    if cls_token:
        embedding = torch.cat((embedding.new_zeros(1, embed_dims), embedding))
    return embedding[None].float()


def resize_position_embedding(
    pos_embed: Tensor,
    src_shape: Sequence[int],
    dst_shape: Sequence[int],
    mode: str = "bicubic",
    num_extra_tokens: int = 1,
) -> Tensor:
    """Interpolate `[1, E + h w, D]` to another grid; the first E tokens are kept.

    Args:
        pos_embed: embedding of the grid `src_shape` and E extra tokens before it.
        src_shape: its height and width in tokens.
        dst_shape: those wanted.
        mode: of `torch.nn.functional.interpolate`, without aligned corners.
        num_extra_tokens: E.

    Raises:
        ValueError: `pos_embed` has another number of tokens.
    """
    (h, w), (height, width) = pair(src_shape), pair(dst_shape)
    if pos_embed.dim() != 3 or pos_embed.shape[1] != num_extra_tokens + h * w:
        raise ValueError(
            f"expected an embedding [1, {num_extra_tokens + h * w}, D] of a {h} x {w} grid and "
            f"{num_extra_tokens} extra tokens, got {tuple(pos_embed.shape)}"
        )
    if (h, w) == (height, width):
        return pos_embed
    extra, grid = pos_embed[:, :num_extra_tokens], pos_embed[:, num_extra_tokens:]
    image = grid.transpose(1, 2).unflatten(2, (h, w))
    corners = {"align_corners": False} if mode in ("bilinear", "bicubic") else {}
    resized = F.interpolate(image.float(), size=(height, width), mode=mode, **corners)
    return torch.cat((extra, resized.to(grid.dtype).flatten(2).transpose(1, 2)), 1)
