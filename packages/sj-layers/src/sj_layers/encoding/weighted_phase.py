"""Weighted phase encoding: the binary digits of the value, the largest first.

x = sum over k = 0 .. K-1 of out[k] 2^-(k+1)          rounded down to K digits

Source: Kim et al., "Deep neural networks with weighted spikes", Neurocomputing 311 (2018).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._values import checked_values
from .base import StatefulEncoder

__all__ = ["WeightedPhaseEncoder"]

# 2^K must not overflow in float32
MOST_DIGITS = 64


class WeightedPhaseEncoder(StatefulEncoder):
    """The K binary digits of each value as the K spikes of a period.

    Args:
        K: number of digits, the steps of a period, from 1 to 64.
        step_mode: `'s'` or `'m'`; see :class:`StatefulEncoder`.

    Raises:
        TypeError: `K` is not a whole number; on a call: the input is not floating-point.
        ValueError: `K` is out of range; on a call: values outside of [0, 1 - 2**-K] (not checked in
            compiled code), and see :class:`StatefulEncoder`.

    Example:
        >>> import torch
        >>> encoder = WeightedPhaseEncoder(K=3)
        >>> x = torch.tensor([0.625])              # 1/2 + 1/8
        >>> [encoder(x).item() for t in range(3)]
        [1.0, 0.0, 1.0]
    """

    elementwise = True

    def __init__(self, K: int, step_mode: str = "s") -> None:
        super().__init__(K, step_mode)
        if self.T > MOST_DIGITS:
            raise ValueError(f"WeightedPhaseEncoder: K must be at most {MOST_DIGITS}, got {K}")

    @property
    def K(self) -> int:
        """Number of digits, the steps of a period."""
        return self.T

    def single_step_encode(self, x: Tensor) -> Tensor:
        # below 1 come 24 digits in float32, 53 in float64; the bound must not round to 1
        high = 1.0 - 2.0 ** -min(self.K, 53 if x.dtype == torch.float64 else 24)
        values = checked_values(
            type(self).__name__,
            x,
            high,
            f"[0, 1 - 2**-{self.K}]",
            f"scale an image in [0, 1] with x * (1 - 2**-{self.K})",
        )
        powers = [2.0 ** (k + 1) for k in range(self.K)]
        shift = torch.tensor(powers, dtype=values.dtype, device=values.device)
        shifted = values * shift.view(-1, *[1] * x.dim())
        return shifted.floor().remainder(2.0).to(x.dtype)

    def extra_repr(self) -> str:
        return f"K={self.K}, step_mode={self.step_mode}"
