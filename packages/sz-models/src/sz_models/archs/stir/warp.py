"""Backward warping along an optical flow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["warp"]


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Image ``[B, C, H, W]`` sampled bilinearly at (x + flow_x, y + flow_y), border repeated.

    Args:
        image: what is sampled.
        flow: ``[B, 2, H, W]`` in pixels, x before y.
    """
    height, width = flow.shape[-2:]
    # Eight bits of mantissa cannot address the pixels of a wide image.
    precise = torch.promote_types(flow.dtype, torch.float32)
    x = torch.linspace(-1, 1, width, dtype=precise, device=flow.device)
    y = torch.linspace(-1, 1, height, dtype=precise, device=flow.device)[:, None]
    flow = flow.to(precise)
    grid = torch.stack(
        [x + flow[:, 0] / ((width - 1) / 2), y + flow[:, 1] / ((height - 1) / 2)], dim=-1
    )
    sampled = F.grid_sample(image.to(precise), grid, padding_mode="border", align_corners=True)
    return sampled.to(image.dtype)
