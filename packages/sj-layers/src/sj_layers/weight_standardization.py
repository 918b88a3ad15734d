"""Layers whose weights are standardised at every call.

    W' = gain (W - mean) / sqrt(var fan_in + eps)        per output channel, var unbiased

Source: Brock, De, Smith, "Characterizing signal propagation to close the performance gap in
unnormalized ResNets", ICLR 2021.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from . import torch_layers
from .linear import Linear

__all__ = ["WSConv2d", "WSLinear"]


class _Standardised:
    """Mix-in before a layer with a `weight`."""

    folds = False  # a BatchNorm folded into the weight would be standardised away
    gain: nn.Parameter | None
    eps: float

    def _add_gain(self, gain: bool, eps: float) -> None:
        layer: Any = self
        self.eps = eps
        shape = (layer.weight.shape[0], *(1,) * (layer.weight.dim() - 1))
        self.gain = nn.Parameter(torch.ones(shape)) if gain else None

    def get_weight(self) -> Tensor:
        """The standardised weight."""
        weight: Tensor = self.weight  # pyright: ignore[reportAttributeAccessIssue]
        dims = tuple(range(1, weight.dim()))
        fan_in = weight[0].numel()
        var, mean = torch.var_mean(weight, dims, keepdim=True)
        scale = torch.rsqrt(var * fan_in + self.eps)
        if self.gain is not None:
            scale = scale * self.gain
        return (weight - mean) * scale


class WSConv2d(_Standardised, torch_layers.Conv2d):
    """`Conv2d` with standardised weights.

    Args:
        in_channels, out_channels, kernel_size, stride, padding: those of `torch.nn.Conv2d`.
        dilation, groups, bias, padding_mode: likewise.
        gain: whether a factor per output channel is learned.
        eps: added to the variance times fan-in.
        step_mode: `'s'` or `'m'`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        step_mode: str = "s",
        gain: bool = True,
        eps: float = 1e-4,
    ) -> None:
        shape = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        super().__init__(*shape, bias, padding_mode, step_mode=step_mode)  # pyright: ignore[reportArgumentType]
        self._add_gain(gain, eps)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(input, self.get_weight(), bias)


class WSLinear(_Standardised, Linear):
    """`Linear` with standardised weights.

    Args:
        in_features, out_features, bias: those of `torch.nn.Linear`.
        gain: whether a factor per output feature is learned.
        eps: added to the variance times fan-in.
        step_mode: `'s'` or `'m'`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        step_mode: str = "s",
        gain: bool = True,
        eps: float = 1e-4,
    ) -> None:
        super().__init__(in_features, out_features, bias, step_mode=step_mode)
        self._add_gain(gain, eps)

    def map(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.get_weight(), self.bias)
