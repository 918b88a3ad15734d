"""Latency encoding: the larger the value, the earlier its one spike.

linear   t_f(x) = (T - 1) (1 - x)
log      t_f(x) = (T - 1) - ln(alpha x + 1),  alpha = exp(T - 1) - 1
out[t] = 1 where t = round(t_f), else 0

Both give t_f(0) = T - 1 and t_f(1) = 0; halves are rounded to the even step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._values import checked_values
from .base import StatefulEncoder

__all__ = ["LatencyEncoder"]


class LatencyEncoder(StatefulEncoder):
    """One spike per value and period, at a time that falls with the value.

    Args:
        T: steps of a period, at least 1.
        enc_function: `'linear'` or `'log'`.
        step_mode: `'s'` or `'m'`; see :class:`StatefulEncoder`.

    Raises:
        TypeError: `T` is not a whole number; on a call: the input is not floating-point.
        ValueError: `T` is below 1, or `enc_function` is unknown; on a call: values outside of
            [0, 1] (not checked in compiled code), and see :class:`StatefulEncoder`.

    Example:
        >>> import torch
        >>> encoder = LatencyEncoder(T=3, step_mode="m")
        >>> x = torch.tensor([0.0, 0.5, 1.0])
        >>> encoder(x.expand(3, 3)).tolist()
        [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """

    elementwise = True

    def __init__(self, T: int, enc_function: str = "linear", step_mode: str = "s") -> None:
        super().__init__(T, step_mode)
        if enc_function not in ("linear", "log"):
            raise ValueError(
                f"LatencyEncoder: enc_function must be 'linear' or 'log', got {enc_function!r}"
            )
        self.enc_function = enc_function

    def single_step_encode(self, x: Tensor) -> Tensor:
        owner = type(self).__name__
        values = checked_values(owner, x, 1.0, "[0, 1]", "scale an image to that range first")
        t_f = self._firing_time(values).round()
        steps = torch.arange(self.T, dtype=t_f.dtype, device=t_f.device)
        return (steps.view(-1, *[1] * x.dim()) == t_f).to(x.dtype)

    def _firing_time(self, x: Tensor) -> Tensor:
        last = self.T - 1.0
        if self.enc_function == "linear":
            return last * (1.0 - x)
        # the formula above divided by exp(T - 1), which overflows from T = 90 on in float32
        return -torch.log(x + (1.0 - x) * math.exp(-last)).clamp(min=-last)

    def extra_repr(self) -> str:
        return f"T={self.T}, enc_function={self.enc_function!r}, step_mode={self.step_mode}"
