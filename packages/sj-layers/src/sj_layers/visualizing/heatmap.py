"""Heat maps of what neurons hold over time, such as membrane potentials."""

from __future__ import annotations

from typing import Any

from ._pyplot import as_cpu_tensor, integer_ticks, new_or_given

__all__ = ["plot_2d_bar_in_3d", "plot_2d_heatmap"]


def plot_2d_heatmap(
    array: Any,
    title: str,
    xlabel: str = "Simulating Step",
    ylabel: str = "Neuron Index",
    int_x_ticks: bool = True,
    int_y_ticks: bool = True,
    plot_colorbar: bool = True,
    colorbar_y_label: str = "magnitude",
    x_max: float | None = None,
    figsize: tuple[float, float] = (12, 8),
    dpi: int = 200,
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw values of `N` neurons at `T` steps as colours, time to the right.

    Args:
        array: values `[T, N]`.
        title: title of the map.
        xlabel: label of the time axis.
        ylabel: label of the neuron axis.
        int_x_ticks: ticks of the time axis at whole numbers only.
        int_y_ticks: ticks of the neuron axis at whole numbers only.
        plot_colorbar: whether a colour bar is drawn.
        colorbar_y_label: its label.
        x_max: what the last step is called on the time axis; `T - 1` if `None`.
        figsize: size in inches.
        dpi: dots per inch.
        ax: axes to draw on, instead of those of a new figure.

    Returns:
        `(fig, ax)` of matplotlib.

    Raises:
        ValueError: wrong rank.
    """
    data = as_cpu_tensor(array, "T, N")
    steps, neurons = data.shape
    fig, ax = new_or_given(ax, figsize, dpi)
    scale = 1.0 if x_max is None or steps < 2 else x_max / (steps - 1)
    extent = (-0.5 * scale, (steps - 0.5) * scale, neurons - 0.5, -0.5)
    image = ax.imshow(
        data.t().numpy(), aspect="auto", extent=extent, cmap="viridis", interpolation="nearest"
    )
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if int_x_ticks:
        integer_ticks(ax.xaxis)
    if int_y_ticks:
        integer_ticks(ax.yaxis)
    if plot_colorbar:
        fig.colorbar(image, ax=ax).set_label(colorbar_y_label)
    return fig, ax


def plot_2d_bar_in_3d(
    array: Any,
    title: str,
    xlabel: str,
    ylabel: str,
    zlabel: str,
    int_x_ticks: bool = True,
    int_y_ticks: bool = True,
    int_z_ticks: bool = False,
    figsize: tuple[float, float] = (12, 8),
    dpi: int = 200,
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw a table of numbers as bars: one row of bars, in one colour, for each row of the table.

    Args:
        array: values `[rows, columns]`.
        title: title of the figure.
        xlabel: label along the columns.
        ylabel: label along the rows.
        zlabel: label of the height.
        int_x_ticks, int_y_ticks, int_z_ticks: ticks at whole numbers only.
        figsize: size in inches.
        dpi: dots per inch.
        ax: axes with `projection="3d"` to draw on, instead of those of a new figure.

    Returns:
        `(fig, ax)` of matplotlib.

    Raises:
        ValueError: wrong rank.
    """
    data = as_cpu_tensor(array, "rows, columns").numpy()
    fig, ax = new_or_given(ax, figsize, dpi, subplot_kw={"projection": "3d"})
    for row in reversed(range(len(data))):  # the nearest row is drawn last
        ax.bar(range(data.shape[1]), data[row], zs=row, zdir="y", color=f"C{row % 10}", alpha=0.8)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, zlabel=zlabel)
    for wanted, axis in ((int_x_ticks, ax.xaxis), (int_y_ticks, ax.yaxis), (int_z_ticks, ax.zaxis)):
        if wanted:
            integer_ticks(axis)
    return fig, ax
