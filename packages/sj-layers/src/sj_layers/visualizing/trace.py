"""One neuron: its potential and its spikes over time."""

from __future__ import annotations

from typing import Any

from ._pyplot import as_cpu_tensor, integer_ticks, require_pyplot

__all__ = ["plot_one_neuron_v_s"]


def plot_one_neuron_v_s(
    v: Any,
    s: Any,
    v_threshold: float = 1.0,
    v_reset: float | None = 0.0,
    title: str = "$V[t]$ and $S[t]$ of the neuron",
    figsize: tuple[float, float] = (12, 8),
    dpi: int = 200,
    ax: Any = None,
) -> tuple[Any, Any, Any]:
    """Draw the potential of one neuron with its threshold and reset, and its spikes below.

    Args:
        v: potential at `T` steps, `[T]`.
        s: spikes at the same steps, `[T]`.
        v_threshold: where the line of the threshold is drawn.
        v_reset: where the line of the reset is drawn; `None` draws none.
        title: title of the picture.
        figsize: size in inches.
        dpi: dots per inch.
        ax: two axes to draw on, potential and spikes, instead of those of a new figure.

    Returns:
        `(fig, ax0, ax1)` of matplotlib: the figure, and the axes of potential and spikes.

    Raises:
        ValueError: wrong rank, or `v` and `s` of different lengths.
    """
    potential, spikes = as_cpu_tensor(v, "T"), as_cpu_tensor(s, "T")
    if len(potential) != len(spikes):
        raise ValueError(f"v has {len(potential)} steps, s has {len(spikes)}")
    if ax is None:
        plt = require_pyplot()
        fig, (ax0, ax1) = plt.subplots(
            2, 1, sharex=True, figsize=figsize, dpi=dpi, height_ratios=(6, 1)
        )
    else:
        ax0, ax1 = ax
        fig = ax0.figure
    steps = range(len(potential))
    ax0.plot(steps, potential.numpy(), label="$V[t]$")
    ax0.axhline(v_threshold, linestyle="-.", color="tab:red", label="$V_{threshold}$")
    if v_reset is not None:
        ax0.axhline(v_reset, linestyle="-.", color="tab:green", label="$V_{reset}$")
    ax0.set(title=title, ylabel="Voltage")
    ax0.legend(frameon=True)
    when = spikes.nonzero().flatten().numpy()
    ax1.vlines(when, 0.0, 1.0, colors="tab:red")
    ax1.set(xlabel="Simulating Step", ylabel="Spike", yticks=[], ylim=(0.0, 1.0))
    ax1.set_xlim(-0.5, len(potential) - 0.5)
    integer_ticks(ax1.xaxis)
    return fig, ax0, ax1
