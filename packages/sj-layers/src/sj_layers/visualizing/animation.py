"""Moving pictures of spike maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._pyplot import as_cpu_tensor, new_or_given, require_pyplot

__all__ = ["save_spikes_to_gif"]


def save_spikes_to_gif(
    spikes: Any,
    path: str | Path,
    title: str = "$S[{t}]$",
    fps: int = 10,
    figsize: tuple[float, float] = (4, 4),
    dpi: int = 100,
    ax: Any = None,
) -> tuple[Any, Any]:
    """Write spike maps `[T, H, W]` as an animated GIF, one picture per step.

    Args:
        spikes: maps over `T` steps, `[T, H, W]`.
        path: file to write; an existing one is replaced.
        title: title of each picture; `{t}` is the step.
        fps: pictures per second.
        figsize: size in inches.
        dpi: dots per inch.
        ax: axes to draw on, instead of those of a new figure.

    Returns:
        `(fig, ax)` of matplotlib, showing the last step.

    Raises:
        ValueError: wrong rank, or no step at all.
    """
    maps = as_cpu_tensor(spikes, "T, H, W")
    if not len(maps):
        raise ValueError("there is no step to show: T = 0")
    require_pyplot()
    from matplotlib.animation import FuncAnimation, PillowWriter

    fig, ax = new_or_given(ax, figsize, dpi)
    high = max(1.0, float(maps.max()))
    image = ax.imshow(maps[0].numpy(), cmap="gray", vmin=0.0, vmax=high, interpolation="nearest")
    ax.axis("off")

    def show(t: int) -> tuple[Any, ...]:
        image.set_data(maps[t].numpy())
        ax.set_title(title.format(t=t))
        return (image,)

    animation = FuncAnimation(fig, show, frames=len(maps), init_func=lambda: ())
    animation.save(str(path), writer=PillowWriter(fps=fps), dpi=dpi)
    return fig, ax
