"""Spike rasters."""

from __future__ import annotations

from typing import Any

from ._pyplot import as_cpu_tensor, require_pyplot

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

    Returns:
        `(fig, ax)` of matplotlib; `ax` is the raster's.

    Raises:
        ValueError: wrong rank.
    """
    data = as_cpu_tensor(spikes, "T, N")
    steps, neurons = data.shape
    plt = require_pyplot()
    if plot_firing_rate:
        fig, (ax, rate_ax) = plt.subplots(
            1, 2, figsize=figsize, dpi=dpi, sharey=True, width_ratios=(12, 1), layout="constrained"
        )
        image = rate_ax.imshow(
            data.mean(0).unsqueeze(1).numpy(), aspect="auto", cmap="magma", vmin=0.0, vmax=1.0
        )
        rate_ax.set_title(firing_rate_map_title)
        rate_ax.set_xticks([])
        fig.colorbar(image, ax=rate_ax)
    else:
        fig, ax = plt.subplots(figsize=figsize, dpi=dpi, layout="constrained")

    when, who = data.nonzero(as_tuple=True)
    ax.vlines(when.numpy(), who.numpy() - 0.4, who.numpy() + 0.4, colors="black", linewidth=1.2)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.set_xlim(-0.5, steps - 0.5)
    ax.set_ylim(neurons - 0.5, -0.5)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    return fig, ax
