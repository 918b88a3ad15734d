"""What every surrogate shares: the spike forwards, the derivative backwards, the switch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from .. import ops
from .._arguments import checked_number

__all__ = [
    "SharpenedSurrogate",
    "SurrogateFunction",
    "checked_parameter",
    "constant",
    "halves",
    "heaviside",
    "no_primitive",
    "spike_function",
]


def heaviside(x: Any) -> Any:
    """1 where `x >= 0` and 0 elsewhere (NaN included), in the dtype of `x`."""
    if hasattr(x, "__sj_op__"):
        return ops.where(x >= 0, 1.0, 0.0)
    return (x >= 0).to(x)


def spike_function(
    name: str, derivative: Callable[..., Any], spike: Callable[..., Any] | None = None
) -> type[torch.autograd.Function]:
    """Make the autograd function `apply(x, *parameters)`: `spike` forwards, `derivative` backwards.

    Args:
        name: name of the resulting class.
        derivative: g'(x, *parameters), written with :mod:`sj_neurons.ops` and arithmetic. It runs
            under autograd, so that second derivatives exist.
        spike: what to emit, as a function of the same arguments; the step function by default.
    """

    def forward(x: Tensor, *parameters: float) -> Tensor:
        return heaviside(x) if spike is None else spike(x, *parameters)

    # torch.compile tells a forward with ctx from one without by its number of parameters
    forward.__signature__ = inspect.signature(derivative)  # pyright: ignore[reportFunctionMemberAccess]

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
        "spikes": staticmethod(forward),
        "forward": staticmethod(forward),
        "setup_context": staticmethod(setup_context),
        "backward": staticmethod(backward),
    }
    return type(name, (torch.autograd.Function,), members)


class SurrogateFunction(nn.Module):
    """A spike function with a surrogate gradient; callable on `u = h - v_threshold` of any shape.

    A subclass sets the names of its parameters and, as static methods, g(x, *parameters) and
    g'(x, *parameters). The autograd function `spiking_op` is made of the latter.

    Args:
        spiking: step function with surrogate gradient (`True`), or the smooth primitive (`False`).

    Raises:
        TypeError: `spiking` is not a boolean.
    """

    parameter_names: ClassVar[tuple[str, ...]] = ()
    primitive_function: ClassVar[Callable[..., Any]]
    derivative: ClassVar[Callable[..., Any]]
    spike: ClassVar[Callable[..., Any] | None] = None  # what to emit; None is the step function
    spiking_op: ClassVar[type[torch.autograd.Function]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "spiking_op" not in own and ("derivative" in own or "spike" in own):
            cls.spiking_op = spike_function(cls.__name__, cls.derivative, cls.spike)

    def __init__(self, spiking: bool = True) -> None:
        super().__init__()
        self.set_spiking_mode(spiking)

    @property
    def parameter_values(self) -> tuple[float, ...]:
        """The numbers that `derivative` and `primitive_function` take after `x`."""
        return tuple(getattr(self, name) for name in self.parameter_names)

    def set_spiking_mode(self, spiking: bool) -> None:
        """Switch between the spike (`True`) and the smooth primitive (`False`)."""
        if not isinstance(spiking, bool):
            raise TypeError(
                f"{type(self).__name__}: spiking must be True or False, got {spiking!r}"
            )
        self.spiking = spiking

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(x, "__sj_op__"):
            return ops.fire(x, self)
        if self.spiking:
            return self.spiking_function(x, *self.parameter_values)
        return self.primitive_function(x, *self.parameter_values)

    @classmethod
    def spiking_function(cls, x: Tensor, *parameters: float) -> Tensor:
        """Spikes of `x`; their gradient is `derivative`."""
        if not (torch.is_grad_enabled() or torch.compiler.is_compiling() or _is_forward_mode()):
            spikes = getattr(cls.spiking_op, "spikes", None)
            if spikes is not None:  # an autograd function takes longer than the rest of a step
                return spikes(x, *parameters)
        return cls.spiking_op.apply(x, *parameters)  # pyright: ignore[reportReturnType]

    @classmethod
    def backward(cls, grad_output: Tensor, x: Tensor, *parameters: float) -> Tensor:
        """The chain rule by hand: `grad_output * g'(x)`."""
        return grad_output * cls.derivative(x, *parameters)

    def extra_repr(self) -> str:
        shown = (*self.parameter_names, "spiking")
        return ", ".join(f"{name}={getattr(self, name)}" for name in shown)


def _is_forward_mode() -> bool:
    """Whether derivatives are taken forwards, which `torch.no_grad()` does not end."""
    return forward_ad._current_level >= 0


class SharpenedSurrogate(SurrogateFunction):
    """A surrogate with the one parameter `alpha > 0`, which sharpens it."""

    parameter_names = ("alpha",)

    def __init__(self, alpha: float, spiking: bool = True) -> None:
        super().__init__(spiking)
        self.alpha = checked_parameter(self, "alpha", alpha, above=0.0)


def checked_parameter(
    owner: SurrogateFunction, name: str, value: float, above: float = -math.inf
) -> float:
    """`value` as a finite float greater than `above`.

    Raises:
        TypeError: not a number.
        ValueError: not finite, or not greater than `above`.
    """
    cls = type(owner).__name__
    number = checked_number(cls, name, value)
    if not (math.isfinite(number) and number > above):
        bound = "" if above == -math.inf else f" greater than {above}"
        raise ValueError(f"{cls}: {name} must be a finite number{bound}, got {value!r}")
    return number


def no_primitive(name: str) -> Callable[..., NoReturn]:
    """The `primitive_function` of a surrogate `name` that is known by its derivative alone."""

    def primitive_function(x: Any, *parameters: float) -> NoReturn:
        raise NotImplementedError(f"{name} has no primitive; it only runs with spiking=True")

    return primitive_function


def constant(x: Any, value: float) -> Any:
    """`value` in the shape and dtype of `x`, without gradient."""
    return 0.0 * ops.sign(x) + value


def halves(x: Any) -> tuple[Any, Any]:
    """`x` where it is negative and where it is not, each 0 on the other side.

    Feed them to the two branches of a `where`: the branch not taken then stays finite, and so do
    its derivatives.
    """
    negative = x < 0
    return ops.where(negative, x, 0.0), ops.where(negative, 0.0, x)
