"""Layers for online training through time (OTTT).

In training an OTTT neuron puts out its spikes and a trace of them, as a list of two. A layer with
weights behind it computes its output from the spikes, and its weight gradient from the trace:

    y = f(s; W)          dL/dW = dL/dy df/dW at the trace          dL/ds = dL/dy df/ds

so that one step's gradient holds what the past steps would have added.

Source: Xiao, Meng, Zhang, He, Lin, "Online training through time for spiking neural networks",
NeurIPS 2022.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["GradwithTrace", "OTTTSequential", "ReplaceforGrad", "SpikeTraceOp"]


class ReplaceforGrad(torch.autograd.Function):
    """`apply(x, x_r)` has the value of `x_r`; its gradient goes to both."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, x_r: Tensor) -> Tensor:
        return x_r.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        return grad_outputs[0], grad_outputs[0]


class GradwithTrace(nn.Module):
    """A layer with weights on `[spike, trace]`: output of the spikes, weight gradient of the trace.

    Args:
        module: the layer; takes and returns one tensor.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: list[Tensor]) -> Tensor:
        spike, trace = x
        with torch.no_grad():
            value = self.module(spike)
        for_gradient = self.module(ReplaceforGrad.apply(spike, trace.detach()))
        return ReplaceforGrad.apply(for_gradient, value)  # pyright: ignore[reportReturnType]


class SpikeTraceOp(nn.Module):
    """A layer without weights, such as pooling, on both of `[spike, trace]`.

    Args:
        module: the layer; takes and returns one tensor.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        spike, trace = x
        with torch.no_grad():
            passed_trace = self.module(trace)
        return [self.module(spike), passed_trace]


class OTTTSequential(nn.Sequential):
    """`nn.Sequential` through which `[spike, trace]` passes by itself.

    Takes plain layers and OTTT neurons. A layer that receives a list runs as :class:`GradwithTrace`
    if it has parameters, and as :class:`SpikeTraceOp` if not; `state_dict` keys are those of
    `nn.Sequential`.

    Example:
        >>> import torch
        >>> from sj_neurons import neuron
        >>> net = OTTTSequential(nn.Linear(4, 8), neuron.OTTTLIFNode(), nn.Linear(8, 2))
        >>> net(torch.rand(3, 4)).shape
        torch.Size([3, 2])
    """

    def forward(self, input: Any) -> Any:
        for module in self:
            if not isinstance(input, list):
                input = module(input)
            elif next(module.parameters(), None) is not None:
                input = GradwithTrace(module)(input)
            else:
                input = SpikeTraceOp(module)(input)
        return input
