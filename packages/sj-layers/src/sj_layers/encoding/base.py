"""What encoders share: numbers in, spikes out.

A stateless encoder maps every call's input to spikes of its shape, `[N, *]` or `[T, N, *]` alike.

A stateful encoder turns its first input x `[N, *]` into a period of spikes `[T, N, *]` and plays it
back, round and round, until `reset()`:

    out[t] = spike[t mod T]          t counts the steps since the reset
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from sj_neurons.base import MemoryModule, StepModule

from .._arguments import checked_count

__all__ = ["StatefulEncoder", "StatelessEncoder"]


class StatelessEncoder(nn.Module, StepModule):
    """Base of encoders without state; subclasses define `forward(x)`.

    Args:
        step_mode: `'s'` (`[N, *]`) or `'m'` (`[T, N, *]`).

    Raises:
        ValueError: an unknown step mode.
    """

    def __init__(self, step_mode: str = "s") -> None:
        super().__init__()
        self.step_mode = step_mode

    def forward(self, x: Tensor) -> Tensor:
        """Spikes in the shape of `x`."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(x)")

    def extra_repr(self) -> str:
        return f"step_mode={self.step_mode}"


class StatefulEncoder(MemoryModule):
    """Base of encoders that spread one input over T steps; subclasses define `single_step_encode`.

    The first input after a reset is encoded. From then on inputs may be left out: in step mode
    `'s'` a call returns the next step `[N, *]`, in `'m'` as many steps as the input has, or T. A
    sequence is encoded by its first step.

    Memories: `spike`, the period `[T, N, *]` or `None`, and `t`, the step that comes next.

    Args:
        T: steps of a period, at least 1.
        step_mode: `'s'` or `'m'`.

    Raises:
        TypeError: `T` is not a whole number.
        ValueError: `T` is below 1; on a call: no input after a reset, a sequence of no steps, or,
            for encoders of single values, a shape other than that of the encoded input.
    """

    # True where each value of x becomes T values of spikes: later inputs must keep x's shape
    elementwise: ClassVar[bool] = False

    def __init__(self, T: int, step_mode: str = "s") -> None:
        super().__init__()
        self.step_mode = step_mode
        self.T = checked_count(type(self).__name__, "T", T)
        self.register_memory("spike", None)
        self.register_memory("t", 0)

    def single_step_encode(self, x: Tensor) -> Tensor:
        """The period `[T, N, *]` of an input `[N, *]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define single_step_encode(x)")

    def single_step_forward(self, x: Tensor | None = None) -> Tensor:
        # copied, so that a layer that works in place leaves the rest of the period alone
        out = self._period(x)[self.t].clone()
        self.t = (self.t + 1) % self.T
        return out

    def multi_step_forward(self, x_seq: Tensor | None = None) -> Tensor:
        if x_seq is not None and (x_seq.dim() == 0 or x_seq.shape[0] == 0):
            raise ValueError(
                f"{type(self).__name__}: expected a sequence [T, N, *] with T > 0, got shape "
                f"{tuple(x_seq.shape)}; repeat one input with x.expand(T, *x.shape)"
            )
        spike = self._period(None if x_seq is None else x_seq[0])
        steps = self.T if x_seq is None else x_seq.shape[0]
        out = spike[(torch.arange(steps, device=spike.device) + self.t) % self.T]
        self.t = (self.t + steps) % self.T
        return out

    def _period(self, x: Tensor | None) -> Tensor:
        if self.spike is None:
            self.spike = self._encoded(x)
        elif self.elementwise and x is not None and x.shape != self.spike.shape[1:]:
            raise ValueError(
                f"{type(self).__name__}: input {tuple(x.shape)} does not match the encoded input "
                f"{tuple(self.spike.shape[1:])}; call reset() between inputs"
            )
        return self.spike

    def _encoded(self, x: Tensor | None) -> Tensor:
        owner = type(self).__name__
        if x is None:
            raise ValueError(f"{owner}: the first call after a reset needs an input to encode")
        spike = self.single_step_encode(x)
        if spike.dim() == 0 or spike.shape[0] != self.T:
            raise ValueError(
                f"{owner}: single_step_encode must return {self.T} steps, [{self.T}, N, *], got "
                f"shape {tuple(spike.shape)}"
            )
        return spike

    def extra_repr(self) -> str:
        return f"T={self.T}, step_mode={self.step_mode}"
