"""Neurons that never fire: readouts whose output is a membrane potential.

    IF    v[t] = v[t-1] + x[t]
    LIF   v[t] = v[t-1] + (x[t] - v[t-1]) / tau            v[0] = 0

`decode` says what becomes of the potentials `[T, N, *]` of a sequence:

    'max-mem'       the largest over time                   [N, *]
    'max-abs-mem'   the one farthest from 0, with its sign  [N, *]
    'mean-mem'      the mean over time                      [N, *]
    'last-mem'      the last                                [N, *]
    None            all of them, as a list of T tensors     [N, *] each

'last_mem' and 'last-me' are accepted for 'last-mem'. The output is a value for a whole sequence,
and without a threshold there is nothing to fuse: no fused backends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._arguments import checked_time_constant
from ..base import MemoryModule, MultiStepModule
from ._checks import checked_sequence

__all__ = ["NonSpikingBaseNode", "NonSpikingIFNode", "NonSpikingLIFNode"]


def _farthest_from_zero(v_seq: Tensor) -> Tensor:
    high, low = v_seq.max(0).values, v_seq.min(0).values
    return torch.where(high.abs() > low.abs(), high, low)


def _last(v_seq: Tensor) -> Tensor:
    return v_seq[-1]


DECODERS: dict[str, Callable[[Tensor], Tensor]] = {
    "max-mem": lambda v_seq: v_seq.max(0).values,
    "max-abs-mem": _farthest_from_zero,
    "mean-mem": lambda v_seq: v_seq.mean(0),
    "last-mem": _last,
    "last_mem": _last,
    "last-me": _last,
}


class NonSpikingBaseNode(MultiStepModule, MemoryModule):
    """A readout; subclasses define `charge`. Step mode `'m'` only, every call starts at 0.

    No scalar recurrence: nothing fires, and the output is a value of the whole sequence.

    The potential after the last step of a call is in the memory `v`.

    Args:
        decode: what to return of the potentials; see the module's text.

    Raises:
        ValueError: an unknown `decode`.
    """

    waivers: ClassVar[dict[str, str]] = {
        "modes": "the output is a value for a whole sequence, so there is no mode 's'"
    }

    def __init__(self, decode: str | None = None) -> None:
        super().__init__()
        if decode is not None and decode not in DECODERS:
            raise ValueError(
                f"{type(self).__name__}: decode can only be {(*DECODERS, None)}, got {decode!r}"
            )
        self.decode = decode
        self.register_memory("v", 0.0)

    def charge(self, x: Any, v: Any) -> Any:
        """Potential after the input `x`, both `[N, *]`."""
        raise NotImplementedError(f"{type(self).__name__} does not define charge(x, v)")

    def multi_step_forward(self, x_seq: Tensor) -> Tensor | list[Tensor]:
        return self.read_out(checked_sequence(type(self).__name__, x_seq).unbind(0))

    def read_out(self, steps: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Decoded potentials of the inputs `steps`, `[N, *]` each."""
        v = torch.zeros_like(steps[0])
        v_seq = []
        for x in steps:
            v = self.charge(x, v)
            v_seq.append(v)
        self._memories["v"] = v
        return v_seq if self.decode is None else DECODERS[self.decode](torch.stack(v_seq))

    def extra_repr(self) -> str:
        return f"decode={self.decode}, {super().extra_repr()}"


class NonSpikingIFNode(NonSpikingBaseNode):
    """Integrator without leak, as a readout; arguments as in the base.

    No scalar recurrence: nothing fires, and the output is a value of the whole sequence.

    Example:
        >>> import torch
        >>> NonSpikingIFNode(decode="last-mem")(torch.ones(4, 1)).item()   # T=4, N=1
        4.0
    """

    def charge(self, x: Any, v: Any) -> Any:
        return v + x


class NonSpikingLIFNode(NonSpikingBaseNode):
    """Leaky integrator, as a readout.

    No scalar recurrence: nothing fires, and the output is a value of the whole sequence.

    Args:
        tau: membrane time constant in steps, greater than 1.
        decode: what to return of the potentials; see :class:`NonSpikingBaseNode`.
    """

    def __init__(self, tau: float = 2.0, decode: str | None = None) -> None:
        super().__init__(decode)
        self.tau = checked_time_constant("NonSpikingLIFNode", "tau", tau)

    def charge(self, x: Any, v: Any) -> Any:
        return v + (x - v) / self.tau

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, tau={self.tau}"
