"""Neurons that take a whole sequence per call and start every call at rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._arguments import checked_number
from ..base import MultiStepModule
from ..surrogate import Rect, SurrogateFunction
from ._checks import checked_sequence
from .base import BaseNode

__all__ = ["CubaDynamics", "FromRestNode", "checked_decay"]


class FromRestNode(MultiStepModule, BaseNode):
    """A neuron over `width` units, whose output may feed back into its next input.

    The states after the last step of a call can be read (`node.v`), but the next call starts anew.
    With `v_reset=None` the reset is soft and the potential starts at 0.
    """

    def __init__(
        self,
        width: int,
        v_threshold: float,
        v_reset: float | None,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None,
    ) -> None:
        if surrogate_function is None:
            surrogate_function = Rect()
        super().__init__(v_threshold, v_reset, surrogate_function, step_mode="m")
        self.num_node = width

    @property
    def supported_backends(self) -> tuple[str, ...]:
        return ("torch",)

    def feedback(self, output: Tensor) -> Tensor | None:
        """What the output `[N, num_node]` of a step adds to the input of the next; here nothing."""
        return None

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        return self.run_from_rest(self.checked_input(x_seq))

    def checked_input(self, x_seq: Tensor, T: int | None = None) -> Tensor:
        """`x_seq` as floating-point numbers, if it is `[T, N, num_node]`."""
        owner = type(self).__name__
        x_seq = checked_sequence(owner, x_seq, T)
        if x_seq.dim() != 3 or x_seq.shape[2] != self.num_node:
            raise ValueError(
                f"{owner}: expected an input [T, N, {self.num_node}], got shape "
                f"{tuple(x_seq.shape)}"
            )
        return x_seq

    def run_from_rest(
        self,
        x_seq: Tensor,
        input_noise: Sequence[Tensor] | None = None,
        output_noise: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Outputs `[T, N, num_node]`; noise, one tensor per step, is added before and after."""
        states = [self._fitting_state(rest, x_seq.shape[1:], x_seq) for rest in self._at_rest()]
        outputs: list[Tensor] = []
        potentials: list[Tensor] = []
        for t, x in enumerate(x_seq.unbind(0)):
            fed_back = self.feedback(outputs[-1]) if outputs else None
            if fed_back is not None:
                x = x + fed_back
            if input_noise is not None:
                x = x + input_noise[t]
            output, *states = self._one_step(x, states)
            if output_noise is not None:
                output = output + output_noise[t]
            outputs.append(output)
            potentials.append(states[0])
        self._store(states)
        if self.store_v_seq:
            self.v_seq = torch.stack(potentials)
        return torch.stack(outputs)

    def _at_rest(self) -> list[Any]:
        return [self._reset_values[name] for name in self.states]

    def _one_step(self, x: Tensor, states: list[Tensor]) -> tuple[Tensor, ...]:
        if not self._overrides_hooks:
            return self.step(x, *states)
        self._store(states)
        spike = self._hooked_step(x)
        return spike, *(self._memories[name] for name in self.states)


def checked_decay(owner: str, name: str, value: float) -> float:
    """`value` as a float in [0, 1]."""
    decay = checked_number(owner, name, value)
    if not 0 <= decay <= 1:
        raise ValueError(f"{owner}: {name} must be in [0, 1], got {value}")
    return decay


class CubaDynamics(FromRestNode):
    """Charge through a synaptic current: c = c_decay c + x, h = v_decay v + c.

    A class joins it with a base below :class:`FromRestNode` and sets both decays.
    """

    states: ClassVar[dict[str, float]] = {"v": 0.0, "c": 0.0}

    def set_decays(self, c_decay: float, v_decay: float) -> None:
        """What is left of the current and of the potential after a step, in [0, 1]."""
        self.c_decay = checked_decay(type(self).__name__, "c_decay", c_decay)
        self.v_decay = checked_decay(type(self).__name__, "v_decay", v_decay)

    def charge_both(self, x: Any, v: Any, c: Any) -> tuple[Any, Any]:
        """Charged potential and new current."""
        c = c * self.c_decay + x
        return v * self.v_decay + c, c

    def step(self, x: Any, *states: Any) -> tuple[Any, ...]:
        h, c = self.charge_both(x, *states)
        spike = self.fire(h)
        return spike, self.voltage_reset(h, spike), c

    def neuronal_charge(self, x: Tensor) -> None:
        self.v, self.c = self.charge_both(x, self.v, self.c)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, c_decay={self.c_decay}, v_decay={self.v_decay}"
