"""Encoders as parts of a model: static inputs `[N, *]` in, sequences `[T, N, *]` out.

    Repeat    out[t] = x                          the first layers learn the code
    Poisson   out[t] = 1 where u[t] <= x          u uniform in [0, 1)
    Latency   one spike per value, the earlier the larger

The last two come from `sj_layers.encoding` and take values from 0 to 1.
"""

from __future__ import annotations

from torch import Tensor, nn

from sj_layers.encoding import LatencyEncoder, PoissonEncoder

__all__ = ["Latency", "Poisson", "Repeat"]


class _Encoder(nn.Module):
    """What encoders share: T, and the axis it becomes."""

    def __init__(self, T: int) -> None:
        super().__init__()
        if isinstance(T, bool) or not isinstance(T, int):
            raise TypeError(f"{type(self).__name__}: T must be a whole number, got {T!r}")
        if T < 1:
            raise ValueError(f"{type(self).__name__}: T must be at least 1 step, got {T}")
        self.T = T

    def repeated(self, x: Tensor) -> Tensor:
        """`x` at every step; no copy is made."""
        return x.expand(self.T, *x.shape)

    def extra_repr(self) -> str:
        return f"T={self.T}"


class Repeat(_Encoder):
    """The same input at every step (direct encoding).

    Args:
        T: number of steps, at least 1.

    Example:
        >>> import torch
        >>> Repeat(T=4)(torch.rand(2, 3, 8, 8)).shape
        torch.Size([4, 2, 3, 8, 8])
    """

    def forward(self, x: Tensor) -> Tensor:
        return self.repeated(x)


class Poisson(_Encoder):
    """Random spikes whose rate is the input; no gradient reaches the input.

    Args:
        T: number of steps, at least 1.
    """

    def __init__(self, T: int) -> None:
        super().__init__(T)
        self.encoder = PoissonEncoder(step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(self.repeated(x))


class Latency(_Encoder):
    """One spike per value, at a step that falls with the value.

    Args:
        T: number of steps, at least 1.
        enc_function: `'linear'` or `'log'`; see :class:`sj_layers.encoding.LatencyEncoder`.
    """

    def __init__(self, T: int, enc_function: str = "linear") -> None:
        super().__init__(T)
        self.encoder = LatencyEncoder(T, enc_function, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        self.encoder.reset()  # every call encodes a new input
        spikes: Tensor = self.encoder(self.repeated(x))
        return spikes
