"""Dropout with one mask for the whole sequence, of units, channels or connections.

    Dropout, Dropout2d   mask ~ Bernoulli(1 - p) / (1 - p);  y[t] = x[t] mask
    DropConnectLinear    M ~ Bernoulli(1 - p);               y[t] = act((M * W) x[t] + m * b)

A mask is drawn at the first step after a reset. A new one at every step would let each unit through
now and then, and so drop nothing on average over time.

Sources: Lee, Sarwar, Panda, Srinivasan, Roy, "Enabling spike-based backpropagation for training
deep neural network architectures", Frontiers in Neuroscience 2020; Wan, Zeiler, Zhang, LeCun,
Fergus, "Regularization of neural networks using DropConnect", ICML 2013.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sj_neurons.base import MemoryModule

__all__ = ["DropConnectLinear", "Dropout", "Dropout2d"]


_RELU: Any = "relu"  # None means no activation, so the default has to be another thing


class Dropout(MemoryModule):
    """Dropout whose mask is shared by all time steps until `reset()`; identity in eval mode.

    Args:
        p: probability of dropping a unit, in [0, 1).
        step_mode: `'s'` (`[N, *]`) or `'m'` (`[T, N, *]`).

    Raises:
        ValueError: `p` is out of range, or an input that does not fit the present mask.
    """

    def __init__(self, p: float = 0.5, step_mode: str = "s") -> None:
        super().__init__()
        self.p = _checked_probability(type(self).__name__, p)
        self.register_memory("mask", None)
        self.step_mode = step_mode

    def single_step_forward(self, x: Tensor) -> Tensor:
        return x * self._mask_for(x) if self.training else x

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        return x_seq * self._mask_for(x_seq[0]) if self.training else x_seq

    def _mask_for(self, x: Tensor) -> Tensor:
        if self.mask is None:
            self.mask = self._drawn(torch.ones_like(x.detach()))
        elif self.mask.shape != x.shape:
            raise ValueError(
                f"{type(self).__name__}: input {tuple(x.shape)} does not match the mask "
                f"{tuple(self.mask.shape)} of the previous step; call reset() between sequences"
            )
        return self.mask

    def _drawn(self, ones: Tensor) -> Tensor:
        return F.dropout(ones, self.p, training=True)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout2d(Dropout):
    """:class:`Dropout` that drops whole channels of `[N, C, H, W]`.

    Args:
        p: probability of dropping a channel, in [0, 1).
        step_mode: `'s'` (`[N, C, H, W]`) or `'m'` (`[T, N, C, H, W]`).

    Raises:
        ValueError: `p` is out of range, or an input that does not fit the present mask.
    """

    def __init__(self, p: float = 0.2, step_mode: str = "s") -> None:
        super().__init__(p, step_mode)

    def _drawn(self, ones: Tensor) -> Tensor:
        return F.dropout2d(ones, self.p, training=True)


class DropConnectLinear(MemoryModule):
    """Linear map that drops connections, a set of its own for each sample; then an activation.

    In training `y = act((M * W) x + m * b)`. In evaluation the input of the activation is taken to
    be normal, with the mean and variance that it has over all masks, and `samples_num` activations
    of it are averaged.

    Args:
        in_features, out_features, bias: those of `torch.nn.Linear`.
        p: probability of dropping a connection, in [0, 1).
        samples_num: how many samples are averaged in evaluation.
        invariant: keep the masks until `reset()`; otherwise every step draws new ones.
        activation: applied to the result; None for none.
        step_mode: `'s'` (`[N, in_features]`) or `'m'` (`[T, N, in_features]`).

    Raises:
        ValueError: `p` is out of range, or another batch size than that of the present masks.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        p: float = 0.5,
        samples_num: int = 1024,
        invariant: bool = False,
        activation: nn.Module | None = _RELU,
        step_mode: str = "s",
    ) -> None:
        super().__init__()
        linear = nn.Linear(in_features, out_features, bias)
        self.in_features, self.out_features = in_features, out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.p = _checked_probability("DropConnectLinear", p)
        self.samples_num = samples_num
        self.invariant = invariant
        self.activation = nn.ReLU() if activation is _RELU else activation
        self.register_memory("weight_mask", None)
        self.register_memory("bias_mask", None)
        self.step_mode = step_mode

    def single_step_forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self._expected(x)
        if self.weight_mask is None or not self.invariant:
            kept = 1.0 - self.p
            self.weight_mask = self.weight.new_empty(len(x), *self.weight.shape).bernoulli_(kept)
            if self.bias is not None:
                self.bias_mask = self.bias.new_empty(len(x), *self.bias.shape).bernoulli_(kept)
        elif len(self.weight_mask) != len(x):
            raise ValueError(
                f"DropConnectLinear: {len(x)} samples do not match the masks of "
                f"{len(self.weight_mask)} of the previous step; call reset() between sequences"
            )
        y = torch.einsum("noi,ni->no", self.weight_mask * self.weight, x)
        if self.bias is not None:
            y = y + self.bias_mask * self.bias
        return y if self.activation is None else self.activation(y)

    def _expected(self, x: Tensor) -> Tensor:
        mean = (1.0 - self.p) * F.linear(x, self.weight, self.bias)
        squared = None if self.bias is None else self.bias.square()
        variance = self.p * (1.0 - self.p) * F.linear(x.square(), self.weight.square(), squared)
        noise = torch.randn(self.samples_num, *mean.shape, dtype=x.dtype, device=x.device)
        samples = mean + variance.sqrt() * noise
        return (samples if self.activation is None else self.activation(samples)).mean(0)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, p={self.p}, invariant={self.invariant}, "
            f"step_mode={self.step_mode}"
        )


def _checked_probability(owner: str, p: float) -> float:
    if not 0.0 <= p < 1.0:
        raise ValueError(f"{owner}: p must be in [0, 1), got {p}")
    return p
