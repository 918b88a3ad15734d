"""Picture of what the neurons of every layer do: a dot per spike, time to the right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .extras import require

__all__ = ["draw_spikes"]

MAX_LAYERS = 12


def draw_spikes(spikes: Mapping[str, Tensor], rates: Mapping[str, float], title: str) -> Any:
    """A matplotlib figure with one panel per layer, the first 12 layers.

    Args:
        spikes: layer name -> output ``[T, neurons]`` of one sample.
        rates: layer name -> firing rate, shown beside the name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure_class = require("matplotlib.figure", "plot").Figure
    shown = list(spikes.items())[:MAX_LAYERS]
    figure = figure_class(figsize=(6, 1 + 1.5 * len(shown)), layout="constrained")
    more = f", layers 1 to {MAX_LAYERS} of {len(spikes)}" if len(spikes) > MAX_LAYERS else ""
    figure.suptitle(title + more)
    for index, (name, values) in enumerate(shown, start=1):
        axes = figure.add_subplot(len(shown), 1, index)
        axes.imshow(
            values.T.numpy(), aspect="auto", cmap="gray_r", vmin=0, vmax=1, interpolation="nearest"
        )
        axes.set_title(f"{name}: {rates.get(name, 0.0):.3f} spikes per step", fontsize=9)
        axes.set_ylabel("neuron")
        axes.set_xticks(range(0, len(values), max(1, len(values) // 8)))
    if shown:
        figure.axes[-1].set_xlabel("time step")
    return figure
