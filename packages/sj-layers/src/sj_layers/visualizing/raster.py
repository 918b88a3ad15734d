"""Spike rasters."""

from __future__ import annotations

from typing import Any

from ._pyplot import as_cpu_tensor, integer_ticks, new_or_given

__all__ = ["plot_1d_spikes"]


def plot_1d_spikes(
    spikes: Any,
    title: str,
    xlabel: str = "Simulating Step",
    ylabel: str = "Neuron Index",
    plot_firing_rate: bool = True,
    firing_rate_map_title: str = "Firing Rate",
    figsize: tuple[float, float] = (12, 8),
    dpi: int = 200,
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw when each neuron fired, with its firing rate beside it.

    Args:
        spikes: 0 or 1 of `N` neurons at `T` steps, `[T, N]`.
        title: title of the raster.
        xlabel: label of the time axis.
        ylabel: label of the neuron axis.
        plot_firing_rate: add a column with the mean of each neuron over time.
        firing_rate_map_title: title of that column.
        figsize: size in inches.
        dpi: dots per inch.
        ax: axes to draw on, instead of those of a new figure.

    Returns:
        `(fig, ax)` of matplotlib; `ax` is the raster's.

    Raises:
        ValueError: wrong rank.
    """
    data = as_cpu_tensor(spikes, "T, N")
    steps, neurons = data.shape
    fig, ax = new_or_given(ax, figsize, dpi)
    if plot_firing_rate:
        rate_ax = ax.inset_axes((1.02, 0.0, 0.05, 1.0))
        image = rate_ax.imshow(
            data.mean(0).unsqueeze(1).numpy(), aspect="auto", cmap="magma", vmin=0.0, vmax=1.0
        )
        rate_ax.set_title(firing_rate_map_title)
        rate_ax.set_xticks([])
        rate_ax.set_yticks([])
        fig.colorbar(image, cax=ax.inset_axes((1.09, 0.0, 0.015, 1.0)))

    when, who = data.nonzero(as_tuple=True)
    ax.vlines(when.numpy(), who.numpy() - 0.4, who.numpy() + 0.4, colors="black", linewidth=1.2)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.set_xlim(-0.5, steps - 0.5)
    ax.set_ylim(neurons - 0.5, -0.5)
    integer_ticks(ax.xaxis, ax.yaxis)
    return fig, ax
