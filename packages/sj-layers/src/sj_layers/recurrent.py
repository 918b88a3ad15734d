"""Feedback from the output of a module to its input, one step later.

    element-wise   y[t] = sub_module(f(y[t-1], x[t]))
    linear         y[t] = sub_module(W [x[t], y[t-1]] + b)          y[-1] = 0

The sub-module works step by step, so it is in step mode `'s'` whatever the mode of the container;
`functional.set_step_mode` leaves it alone. `functional.reset_net` resets both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons.base import MemoryModule

from ._children import require_single_step

__all__ = ["ElementWiseRecurrentContainer", "LinearRecurrentContainer"]


class _Recurrent(MemoryModule):
    """Keeps the output of the step before in the memory `y`."""

    owns_children_step_mode = True

    def __init__(self, sub_module: nn.Module) -> None:
        super().__init__()
        require_single_step(type(self).__name__, sub_module)
        self.register_memory("y", None)

    def fed_back(self, x: Tensor) -> Tensor | None:
        """The last output, to be joined with the input `x`; None if there was none."""
        y: Any = self.y
        if y is None:
            return None
        if y.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"{type(self).__name__}: input {tuple(x.shape)} does not match the output "
                f"{tuple(y.shape)} of the previous step; call reset_net(net) between sequences"
            )
        return y.to(x)


class ElementWiseRecurrentContainer(_Recurrent):
    """Joins the last output with the input, element by element.

    Args:
        sub_module: any module in step mode `'s'` that keeps the shape `[N, *]`.
        element_wise_function: `f(y, x)` with the last output first, such as `operator.add`.
        step_mode: `'s'` (`[N, *]`) or `'m'` (`[T, N, *]`).

    Raises:
        ValueError: the sub-module is in step mode `'m'`, or the batch size changed without a reset.

    Example:
        >>> import operator, torch
        >>> from sj_neurons import neuron
        >>> net = ElementWiseRecurrentContainer(neuron.IFNode(), operator.add, step_mode="m")
        >>> net(torch.tensor([[1.5], [0.0], [0.0]])).flatten()   # one input keeps it firing
        tensor([1., 1., 1.])
    """

    def __init__(
        self,
        sub_module: nn.Module,
        element_wise_function: Callable[[Tensor, Tensor], Tensor],
        step_mode: str = "s",
    ) -> None:
        super().__init__(sub_module)
        self.sub_module = sub_module
        self.element_wise_function = element_wise_function
        self.step_mode = step_mode

    def single_step_forward(self, x: Tensor) -> Tensor:
        y = self.fed_back(x)
        y = torch.zeros_like(x) if y is None else y
        self.y = self.sub_module(self.element_wise_function(y, x))
        return self.y

    def extra_repr(self) -> str:
        return f"element-wise function={self.element_wise_function}, step_mode={self.step_mode}"


class LinearRecurrentContainer(_Recurrent):
    """Joins the last output with the input by a linear layer `rc`.

    Args:
        sub_module: any module in step mode `'s'`, from `[*, in_features]` to `[*, out_features]`.
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: whether the linear layer has a bias.
        step_mode: `'s'` (`[N, *, in_features]`) or `'m'` (`[T, N, *, in_features]`).

    Raises:
        ValueError: the sub-module is in step mode `'m'`, or the batch size changed without a reset.

    Example:
        >>> import torch
        >>> from sj_neurons import neuron
        >>> net = LinearRecurrentContainer(neuron.LIFNode(), 8, 8, step_mode="m")
        >>> net(torch.rand(4, 2, 8)).shape   # T=4, N=2
        torch.Size([4, 2, 8])
    """

    def __init__(
        self,
        sub_module: nn.Module,
        in_features: int,
        out_features: int,
        bias: bool = True,
        step_mode: str = "s",
    ) -> None:
        super().__init__(sub_module)
        self.sub_module_out_features = out_features
        self.rc = nn.Linear(in_features + out_features, in_features, bias)
        self.sub_module = sub_module
        self.step_mode = step_mode

    def single_step_forward(self, x: Tensor) -> Tensor:
        y = self.fed_back(x)
        if y is None:
            y = x.new_zeros(*x.shape[:-1], self.sub_module_out_features)
        self.y = self.sub_module(self.rc(torch.cat([x, y], dim=-1)))
        return self.y

    def extra_repr(self) -> str:
        return f"step_mode={self.step_mode}"
