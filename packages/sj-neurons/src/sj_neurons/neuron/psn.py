"""Parallel spiking neurons: no reset, so that all time steps are computed at once.

    h[t] = sum over i of W[t, i] x[i] + b[t],   s[t] = 1 where h[t] >= 0, else 0

    PSN         W [T, T] learned freely: a step may look at later steps
    MaskedPSN   W times a mask that lambda moves from all ones to the last k steps
    SlidingPSN  W[t, i] = w[k - 1 - (t - i)], one window of k weights for all steps, any T

The threshold is the negative bias, which starts at -1. None of the three is a scalar recurrence
x[t], v[t-1] -> s[t], v[t]: the potential is a weighted sum over up to T inputs, and a matrix
product (or a convolution over time) is the fastest way to it. Hence no fused backends.

Source: Fang et al., "Parallel spiking neurons with high efficiency and ability to learn long-term
dependencies", NeurIPS 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from .._arguments import checked_count, checked_number
from ..base import MemoryModule, MultiStepModule
from ..surrogate import ATan, SurrogateFunction
from ._checks import checked_sequence, checked_surrogate

__all__ = ["PSN", "MaskedPSN", "SlidingPSN"]


def band(T: int, k: int) -> Tensor:
    """`[T, T]`, true where step i is one of the k last seen at step t."""
    lag = torch.arange(T).unsqueeze(1) - torch.arange(T)
    return (lag >= 0) & (lag < k)


class _ParallelNode(MemoryModule):
    """What the parallel neurons share: `[T, T]` weights times the whole sequence."""

    waivers: ClassVar[dict[str, str]] = {}

    def __init__(
        self, surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None
    ) -> None:
        super().__init__()
        self.surrogate_function = checked_surrogate(type(self).__name__, surrogate_function, ATan)

    @staticmethod
    def dense_parameters(T: int) -> tuple[nn.Parameter, nn.Parameter]:
        """Weight `[T, T]` and bias `[T, 1]` as they start."""
        weight = nn.Parameter(torch.empty(T, T))
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        return weight, nn.Parameter(torch.full((T, 1), -1.0))

    def fire_all(self, weight: Tensor, bias: Tensor, x_seq: Tensor) -> Tensor:
        """Spikes `[T, N, *]` of all steps, from one matrix product."""
        h = torch.addmm(bias, weight, x_seq.flatten(1))
        return self.surrogate_function(h).view(x_seq.shape)

    @staticmethod
    def weigh(weight: Tensor, recent: Tensor) -> Tensor:
        """Sum `[N, *]` of inputs `[n, N, *]` under n weights."""
        # a matrix product, because autocast knows it
        return torch.matmul(weight, recent.flatten(1)).view(recent.shape[1:])

    def recent(self, x: Tensor, k: int) -> Tensor:
        """The k last inputs `[n <= k, N, *]` with `x`, which also go into the memory `queue`."""
        if x.dim() == 0:
            raise ValueError(
                f"{type(self).__name__}: expected an input [N, *] per step, got a single number"
            )
        x = x if x.is_floating_point() else x.to(torch.get_default_dtype())
        queue = self._memories["queue"]
        if isinstance(queue, Tensor):
            if queue.shape[1:] != x.shape:
                raise ValueError(
                    f"{type(self).__name__}: input {tuple(x.shape)} does not match the state "
                    f"{tuple(queue.shape[1:])} of the previous step; call reset() between sequences"
                )
            queue = torch.cat([queue[max(0, queue.shape[0] + 1 - k) :].to(x), x.unsqueeze(0)])
        else:
            queue = x.unsqueeze(0)
        self._memories["queue"] = queue
        return queue


class PSN(MultiStepModule, _ParallelNode):
    """Parallel spiking neuron: h = W x + b over time, without state; step mode `'m'` only.

    No scalar recurrence: the potential of a step weighs the inputs of all steps.

    Args:
        T: number of time steps, fixed.
        surrogate_function: spike function with surrogate gradient; a new `ATan()` if `None`.

    Raises:
        ValueError: the input does not have `T` steps.

    Example:
        >>> import torch
        >>> PSN(T=4)(torch.rand(4, 2, 3)).shape   # T=4, N=2, C=3
        torch.Size([4, 2, 3])
    """

    waivers: ClassVar[dict[str, str]] = {
        "modes": "the potential of a step depends on later inputs too, so there is no mode 's'"
    }

    def __init__(
        self,
        T: int,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(surrogate_function)
        self.T = checked_count("PSN", "T", T)
        self.weight, self.bias = self.dense_parameters(self.T)

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        x_seq = checked_sequence("PSN", x_seq, self.T)
        return self.fire_all(self.weight, self.bias, x_seq)

    def extra_repr(self) -> str:
        return f"T={self.T}, {super().extra_repr()}"


class MaskedPSN(_ParallelNode):
    """Parallel spiking neuron whose weights are masked, in the end to the k last steps.

    No scalar recurrence: the potential weighs up to T inputs, each step with weights of its own.

    The mask is (1 - lambda) + lambda M with M the band of k diagonals; from lambda = 1 on it is M
    alone. A training schedule raises :attr:`lambda_` from 0 to 1, after which the neuron is causal
    and runs step by step, too.

    In `'s'` the last k inputs are in the memory `queue` (`[]` after a reset, then `[n, N, *]`) and
    the number of steps since the reset in `time_step`. Mode `'m'` is a whole sequence from the
    start: it neither reads nor changes the two.

    Args:
        k: number of steps seen in the end, this one included; at most T.
        T: number of time steps, fixed.
        lambda_init: lambda before training, at least 0.
        surrogate_function: spike function with surrogate gradient; a new `ATan()` if `None`.
        step_mode: `'s'` or `'m'`.

    Raises:
        ValueError: `'m'`, and the input does not have `T` steps; `'s'`, and lambda is below 1.
        OverflowError: `'s'`, more than `T` steps since the last reset.
    """

    waivers: ClassVar[dict[str, str]] = {
        "modes": "'m' is one matrix product, which adds in another order and leaves the queue alone"
    }

    _lambda_: Tensor
    mask0: Tensor
    mask1: Tensor

    def __init__(
        self,
        k: int,
        T: int,
        lambda_init: float = 0.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        step_mode: str = "s",
    ) -> None:
        super().__init__(surrogate_function)
        self.k = checked_count("MaskedPSN", "k", k)
        self.T = checked_count("MaskedPSN", "T", T)
        if k > T:
            raise ValueError(f"MaskedPSN: k must not exceed T = {T} steps, got {k}")
        self.weight, self.bias = self.dense_parameters(self.T)
        self.register_buffer("_lambda_", torch.tensor(self._checked_lambda(lambda_init)))
        self.register_buffer("mask0", band(self.T, self.k).float())
        self.register_buffer("mask1", torch.ones(self.T, self.T))
        self.register_memory("time_step", 0)
        self.register_memory("queue", [])
        self.step_mode = step_mode

    @staticmethod
    def _checked_lambda(value: float) -> float:
        value = checked_number("MaskedPSN", "lambda_", value)
        if not value >= 0:
            raise ValueError(f"MaskedPSN: lambda_ must be at least 0, got {value}")
        return value

    @property
    def lambda_(self) -> float:
        """How far the mask has closed, from 0 to 1; assign a number to change it."""
        return self._lambda_.item()

    @lambda_.setter
    def lambda_(self, value: float) -> None:
        number = value.item() if isinstance(value, Tensor) else value
        self._lambda_.fill_(self._checked_lambda(number))

    def masked_weight(self) -> Tensor:
        """Weight `[T, T]` under the present mask."""
        closed = self._lambda_.clamp(max=1.0)
        return (closed * self.mask0 + (1.0 - closed) * self.mask1) * self.weight

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        x_seq = checked_sequence("MaskedPSN", x_seq, self.T)
        return self.fire_all(self.masked_weight(), self.bias, x_seq)

    def single_step_forward(self, x: Tensor) -> Tensor:
        # the value of a tensor is out of reach of the compiler's tracer
        if not torch.compiler.is_compiling() and self._lambda_ < 1.0:
            raise ValueError(
                "MaskedPSN: step mode 's' needs lambda_ >= 1, where the mask is causal; lambda_ is "
                f"{self.lambda_:g}. Set it, or use step mode 'm'"
            )
        t = self._memories["time_step"]
        if t >= self.T:
            raise OverflowError(
                f"MaskedPSN: built for T = {self.T} steps, this is step {t + 1}; "
                "call reset() between sequences"
            )
        recent = self.recent(x, self.k)
        weight = self.weight[t, t + 1 - recent.shape[0] : t + 1]
        self._memories["time_step"] = t + 1
        return self.surrogate_function(self.weigh(weight, recent) + self.bias[t, 0])

    def extra_repr(self) -> str:
        return f"k={self.k}, T={self.T}, lambda_={self._lambda_}, {super().extra_repr()}"


class SlidingPSN(_ParallelNode):
    """Parallel spiking neuron with one window of k weights for all steps: any T, always causal.

    No scalar recurrence: the potential weighs the last k inputs.

    h[t] = sum over i < k of weight[k - 1 - i] x[t - i] + bias, with zeros before the start.

    In `'s'` the last k inputs are in the memory `queue` (`[]` after a reset, then `[n, N, *]`). A
    call in `'m'` is a whole sequence with zeros before it: it neither reads nor changes the queue,
    so that pieces of one sequence must be fed in `'s'`.

    Args:
        k: number of steps seen, this one included.
        exp_init: start with weights 1, 1/2, 1/4, ... back in time instead of random ones.
        surrogate_function: spike function with surrogate gradient; a new `ATan()` if `None`.
        step_mode: `'s'` or `'m'`.
        backend: how `'m'` sums over time, with the same result: `'gemm'`, a product with a `[T, T]`
            band matrix, or `'conv'`, a convolution, which saves memory where T is large.
    """

    waivers: ClassVar[dict[str, str]] = {
        "modes": "'m' is one product over time, which adds in another order and leaves the queue"
    }

    def __init__(
        self,
        k: int,
        exp_init: bool = True,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        step_mode: str = "s",
        backend: str = "gemm",
    ) -> None:
        super().__init__(surrogate_function)
        self.k = checked_count("SlidingPSN", "k", k)
        if exp_init:
            weight = 0.5 ** torch.arange(self.k - 1, -1, -1)
        else:
            weight = nn.init.kaiming_uniform_(torch.empty(1, self.k), a=math.sqrt(5)).squeeze(0)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.tensor(-1.0))
        self.register_memory("queue", [])
        self.step_mode = step_mode
        self.backend = backend

    @property
    def supported_backends(self) -> tuple[str, ...]:
        return ("gemm", "conv")

    def band_weight(self, T: int) -> Tensor:
        """The `[T, T]` matrix that the window of weights stands for."""
        steps = torch.arange(T, device=self.weight.device)
        position = self.k - 1 - (steps.unsqueeze(1) - steps)
        inside = (position >= 0) & (position < self.k)
        return torch.where(inside, self.weight[position.clamp(0, self.k - 1)], 0.0)

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        x_seq = checked_sequence("SlidingPSN", x_seq)
        if self.backend == "gemm":
            return self.fire_all(self.band_weight(x_seq.shape[0]), self.bias, x_seq)
        signals = nn.functional.pad(x_seq.flatten(1).t().unsqueeze(1), (self.k - 1, 0))
        h = nn.functional.conv1d(signals, self.weight.view(1, 1, -1), self.bias.view(1))
        return self.surrogate_function(h.squeeze(1).t().reshape(x_seq.shape))

    def single_step_forward(self, x: Tensor) -> Tensor:
        recent = self.recent(x, self.k)
        weight = self.weight[self.k - recent.shape[0] :]
        return self.surrogate_function(self.weigh(weight, recent) + self.bias)

    def extra_repr(self) -> str:
        return f"k={self.k}, {super().extra_repr()}"
