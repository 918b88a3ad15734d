"""What every surrogate shares: the step forwards, the derivative backwards, the switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

__all__ = ["SurrogateFunction", "heaviside", "spike_function"]


def heaviside(x: Tensor) -> Tensor:
    """1 where `x >= 0` and 0 elsewhere (NaN included), in the dtype of `x`."""
    return (x >= 0).to(x)


def spike_function(name: str, derivative: Callable[..., Any]) -> type[torch.autograd.Function]:
    """Make the autograd function `apply(x, *parameters)`: step forwards, `derivative` backwards.

    Args:
        name: name of the resulting class.
        derivative: g'(x, *parameters), written with :mod:`sj_neurons.ops` and arithmetic. It runs
            under autograd, so that second derivatives exist.
    """

    def forward(x: Tensor, *parameters: float) -> Tensor:
        return heaviside(x)

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, *ctx.parameters = inputs
        ctx.save_for_backward(x)

    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        grad = grad_outputs[0] * derivative(x, *ctx.parameters)
        return (grad, *(None for _ in ctx.parameters))

    members = {
        "__module__": __name__,
        "generate_vmap_rule": True,
        "forward": staticmethod(forward),
        "setup_context": staticmethod(setup_context),
        "backward": staticmethod(backward),
    }
    return type(name, (torch.autograd.Function,), members)


class SurrogateFunction(nn.Module):
    """A spike function with a surrogate gradient; callable on `u = h - v_threshold` of any shape.

    A subclass sets the names of its parameters, the functions g(x, *parameters) and
    g'(x, *parameters), and the `spiking_op` that :func:`spike_function` makes of the latter.

    Args:
        spiking: step function with surrogate gradient (`True`), or the smooth primitive (`False`).
    """

    parameter_names: ClassVar[tuple[str, ...]] = ()
    primitive_function: ClassVar[Callable[..., Any]]
    derivative: ClassVar[Callable[..., Any]]
    spiking_op: ClassVar[type[torch.autograd.Function]]

    def __init__(self, spiking: bool = True) -> None:
        super().__init__()
        self.spiking = spiking

    @property
    def parameter_values(self) -> tuple[float, ...]:
        """The numbers that `derivative` and `primitive_function` take after `x`."""
        return tuple(getattr(self, name) for name in self.parameter_names)

    def set_spiking_mode(self, spiking: bool) -> None:
        """Switch between the spike (`True`) and the smooth primitive (`False`)."""
        self.spiking = spiking

    def forward(self, x: Tensor) -> Tensor:
        if self.spiking:
            return self.spiking_function(x, *self.parameter_values)
        return self.primitive_function(x, *self.parameter_values)

    @classmethod
    def spiking_function(cls, x: Tensor, *parameters: float) -> Tensor:
        """Step function of `x` whose gradient is `derivative`."""
        return cls.spiking_op.apply(x, *parameters)  # pyright: ignore[reportReturnType]

    @classmethod
    def backward(cls, grad_output: Tensor, x: Tensor, *parameters: float) -> Tensor:
        """The chain rule by hand: `grad_output * g'(x)`."""
        return grad_output * cls.derivative(x, *parameters)

    def extra_repr(self) -> str:
        shown = (*self.parameter_names, "spiking")
        return ", ".join(f"{name}={getattr(self, name)}" for name in shown)
