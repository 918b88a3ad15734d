"""Feature maps as one grid of small images."""

from __future__ import annotations

from typing import Any

import torch

from ._pyplot import as_cpu_tensor, new_or_given, require_pyplot

__all__ = ["plot_2d_feature_map"]


def plot_2d_feature_map(
    x3d: Any,
    nrows: int,
    ncols: int,
    space: int,
    title: str,
    figsize: tuple[float, float] = (12, 8),
    dpi: int = 200,
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw `C` feature maps as a grid.

    Args:
        x3d: maps `[C, H, W]`; each is scaled by the extremes of all of them.
        nrows: rows of the grid.
        ncols: columns of the grid; `nrows * ncols` must be `C`.
        space: gap between two maps in pixels.
        title: title of the figure.
        figsize: size in inches.
        dpi: dots per inch.
        ax: axes to draw on, instead of those of a new figure.

    Returns:
        `(fig, ax)` of matplotlib.

    Raises:
        ValueError: wrong rank, or a grid that does not hold all maps.
    """
    maps = as_cpu_tensor(x3d, "C, H, W")
    channels, height, width = maps.shape
    if nrows * ncols != channels:
        raise ValueError(f"a {nrows} x {ncols} grid does not hold {channels} maps")
    low, high = maps.min(), maps.max()
    scaled = (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)

    grid = torch.full(
        (nrows * (height + space) - space, ncols * (width + space) - space), torch.nan
    )
    for index, image in enumerate(scaled):
        top, left = (index // ncols) * (height + space), (index % ncols) * (width + space)
        grid[top : top + height, left : left + width] = image

    fig, ax = new_or_given(ax, figsize, dpi)
    colours = require_pyplot().get_cmap("gray").with_extremes(bad="tab:blue")
    ax.imshow(grid.numpy(), cmap=colours, vmin=0.0, vmax=1.0, interpolation="nearest")
    ax.set_title(title)
    ax.axis("off")
    return fig, ax
