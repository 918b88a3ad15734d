"""A picture of a surrogate: spike, primitive and derivative over x."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .base import SurrogateFunction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_surrogate_function"]


def plot_surrogate_function(
    surrogate: SurrogateFunction, limits: tuple[float, float] = (-2.5, 2.5)
) -> tuple[Figure, Axes]:
    """Draw what `surrogate` emits, its primitive (where it has one) and its derivative.

    The figure is made through pyplot and not shown; the surrogate is left as it is.

    Args:
        surrogate: any surrogate function.
        limits: first and last x.

    Raises:
        ImportError: matplotlib is not installed.
        TypeError: `surrogate` is not a `SurrogateFunction`.
    """
    if not isinstance(surrogate, SurrogateFunction):
        raise TypeError(
            "plot_surrogate_function: expected a SurrogateFunction such as surrogate.ATan(), "
            f"got {surrogate!r}"
        )
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            "plot_surrogate_function needs matplotlib: pip install 'sj-neurons[plot]'"
        ) from error

    x = torch.linspace(*limits, 1001, dtype=torch.float64)
    parameters = surrogate.parameter_values
    fig, ax = plt.subplots()
    ax.plot(x.tolist(), surrogate.spiking_function(x, *parameters).tolist(), label="spike")
    try:
        primitive = surrogate.primitive_function(x, *parameters)
    except NotImplementedError:
        pass
    else:
        ax.plot(x.tolist(), primitive.tolist(), linestyle="--", label="primitive g(x)")
    derivative = surrogate.derivative(x, *parameters)
    ax.plot(x.tolist(), derivative.tolist(), linestyle="-.", label="derivative g'(x)")
    shown = ", ".join(f"{name}={getattr(surrogate, name)}" for name in surrogate.parameter_names)
    ax.set_title(f"{type(surrogate).__name__}({shown})")
    ax.set_xlabel("x = h - v_threshold")
    ax.grid(linestyle=":")
    ax.legend()
    return fig, ax
