"""The one place that imports matplotlib, lazily."""

from __future__ import annotations

from typing import Any

import torch


def require_pyplot() -> Any:
    """`matplotlib.pyplot`, or an error that names the extra."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "sj_layers.visualizing needs matplotlib: pip install 'sj-layers[plot]'"
        ) from error
    return plt


def as_cpu_tensor(data: Any, layout: str) -> torch.Tensor:
    """`data` (tensor, array or nested lists) as a float tensor with the axes of `layout`."""
    tensor = torch.as_tensor(data).detach().cpu().float()
    if tensor.dim() != layout.count(",") + 1:
        raise ValueError(f"expected data with shape [{layout}], got {tuple(tensor.shape)}")
    return tensor


def new_or_given(
    ax: Any, figsize: tuple[float, float], dpi: int, **options: Any
) -> tuple[Any, Any]:
    """Figure and axes to draw on: those of `ax`, or new ones made through pyplot."""
    if ax is not None:
        return ax.figure, ax
    plt = require_pyplot()
    return plt.subplots(figsize=figsize, dpi=dpi, **options)


def integer_ticks(*axes: Any) -> None:
    """Let ticks stand at whole numbers only."""
    for axis in axes:
        axis.get_major_locator().set_params(integer=True)
