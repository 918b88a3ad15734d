"""Surrogates that pass the gradient straight through: counts, plain steps and random spikes.

MultiLevelSpikeCount   s = round(clamp(x, 0, M)), halves to even    g'(x) = 1 in the window, else 0
                       g(x) = clamp(x, 0, M)
DeterministicPass      s = 1 where x >= 0, else 0    g(x) = x       g'(x) = 1
PoissonPass            s = 1 with probability x      g(x) = x       g'(x) = 1

A NaN counts 0 and never fires.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import ops
from .base import SurrogateFunction, checked_parameter, constant

__all__ = [
    "DeterministicPass",
    "MultiLevelSpikeCount",
    "PoissonPass",
    "deterministic_pass",
    "multi_level_spike_count",
    "poisson_pass",
]


def _count(x: Any, max_spike_count: int, *window: float) -> Any:
    return ops.where(x > 0, ops.round(ops.clamp(x, 0.0, float(max_spike_count))), 0.0)


def _count_primitive(x: Any, max_spike_count: int, *window: float) -> Any:
    return ops.clamp(x, 0.0, float(max_spike_count))


def _count_derivative(
    x: Any, max_spike_count: int, low: float = 0.0, high: float | None = None
) -> Any:
    high = float(max_spike_count) if high is None else high
    return ops.where(x < low, 0.0, ops.where(x > high, 0.0, constant(x, 1.0)))


def _identity(x: Any) -> Any:
    return x


def _one(x: Any) -> Any:
    return constant(x, 1.0)


def _bernoulli(x: Tensor) -> Tensor:
    return torch.bernoulli(x.clamp(0.0, 1.0).nan_to_num(0.0))


class MultiLevelSpikeCount(SurrogateFunction):
    """Several spikes in one step: the input rounded to a count from 0 to `max_spike_count`.

    Args:
        max_spike_count: the largest count, a whole number from 1 on.
        spiking: count (`True`) or the clamped input itself (`False`).
        grad_window: `(low, high)`, ends included, where the gradient of the count passes; from 0
            to `max_spike_count` if `None`.

    Raises:
        TypeError: the count is not a whole number, or the window not a pair of numbers.
        ValueError: the count is below 1, or the window has its ends exchanged.

    Source: Luo et al., "Integer-valued training and spike-driven inference spiking neural network
    for high-performance and energy-efficient object detection", ECCV 2024.
    """

    parameter_names = ("max_spike_count",)
    primitive_function = staticmethod(_count_primitive)
    derivative = staticmethod(_count_derivative)
    spike = staticmethod(_count)

    def __init__(
        self,
        max_spike_count: int,
        spiking: bool = True,
        grad_window: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(spiking)
        if isinstance(max_spike_count, bool) or not isinstance(max_spike_count, int):
            raise TypeError(
                "MultiLevelSpikeCount: max_spike_count must be a whole number, "
                f"got {max_spike_count!r}"
            )
        if max_spike_count < 1:
            raise ValueError(
                f"MultiLevelSpikeCount: max_spike_count must be at least 1, got {max_spike_count}"
            )
        self.max_spike_count = max_spike_count
        self.grad_window = None if grad_window is None else self._checked_window(grad_window)

    def _checked_window(self, window: tuple[float, float]) -> tuple[float, float]:
        if not isinstance(window, tuple | list) or len(window) != 2:
            raise TypeError(
                f"MultiLevelSpikeCount: grad_window must be (low, high) or None, got {window!r}"
            )
        low, high = (checked_parameter(self, "grad_window", end) for end in window)
        if low > high:
            raise ValueError(
                f"MultiLevelSpikeCount: grad_window must not end before it starts, got {window!r}"
            )
        return low, high

    @property
    def parameter_values(self) -> tuple[float, ...]:
        window = self.grad_window or (0.0, float(self.max_spike_count))
        return (self.max_spike_count, *window)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, grad_window={self.grad_window}"


class DeterministicPass(SurrogateFunction):
    """Step function with the gradient of the identity.

    Args:
        spiking: spike (`True`) or the input itself (`False`).

    Source: Tang et al., "Deep reinforcement learning with population-coded spiking neural network
    for continuous control", CoRL 2020.
    """

    primitive_function = staticmethod(_identity)
    derivative = staticmethod(_one)

    def __init__(self, spiking: bool = True) -> None:
        super().__init__(spiking)


class PoissonPass(SurrogateFunction):
    """Random spikes with the gradient of the identity: the input is the probability of a spike.

    Inputs below 0 never fire and inputs above 1 always do. Under `torch.func.vmap` say
    `randomness="different"` or `"same"`.

    Args:
        spiking: spike (`True`) or the input itself (`False`).
    """

    primitive_function = staticmethod(_identity)
    derivative = staticmethod(_one)
    spike = staticmethod(_bernoulli)

    def __init__(self, spiking: bool = True) -> None:
        super().__init__(spiking)


multi_level_spike_count = MultiLevelSpikeCount.spiking_op
deterministic_pass = DeterministicPass.spiking_op
poisson_pass = PoissonPass.spiking_op
