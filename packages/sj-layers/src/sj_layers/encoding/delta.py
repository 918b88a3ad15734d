"""Delta encoding: a spike where the signal has moved, as in the pixels of an event camera.

d[t] = x[t] - level[t-1]
out[t] = +1 where d[t] >= threshold,  -1 where d[t] <= -threshold,  else 0
level[t] = level[t-1] + threshold out[t]          level before the first step: x[0]

The level is what a receiver knows: x[0] plus the threshold times the sum of all spikes. It stays
within the threshold of a signal that moves by at most the threshold per step, and catches up with a
larger jump by one threshold per step.

Source: step-forward encoding, in Petro, Kasabov, Kiss, "Selection and optimization of temporal
spike encoding methods for spiking neural networks", IEEE TNNLS 31 (2020).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sj_neurons.base import MemoryModule

from .._arguments import checked_positive

__all__ = ["DeltaEncoder"]


class DeltaEncoder(MemoryModule):
    """Spikes +1 and -1 where the signal has moved by `threshold` since the last spike; no gradient.

    Input and output `[N, *]`, or `[T, N, *]` in step mode `'m'`. Spikes have the dtype of the
    input, or the default one if that is not floating-point. A NaN never fires.

    Memory: `level`, `[N, *]`, or `None` after a reset; the next input then sets it and is silent.

    Args:
        threshold: how far the signal has to move, greater than 0, in its unit.
        step_mode: `'s'` or `'m'`.

    Raises:
        TypeError: `threshold` is not a number.
        ValueError: `threshold` is not greater than 0; on a call: a shape other than that of the
            previous step.

    Example:
        >>> import torch
        >>> encoder = DeltaEncoder(threshold=0.5, step_mode="m")
        >>> x_seq = torch.tensor([[0.0], [0.75], [1.0], [0.75], [0.5]])   # T=5, N=1
        >>> encoder(x_seq).flatten().tolist()
        [0.0, 1.0, 1.0, 0.0, -1.0]
    """

    def __init__(self, threshold: float, step_mode: str = "s") -> None:
        super().__init__()
        self.threshold = checked_positive(type(self).__name__, "threshold", threshold)
        self.register_memory("level", None)
        self.step_mode = step_mode

    def single_step_forward(self, x: Tensor) -> Tensor:
        x = x.detach()
        # differences of small unsigned integers would wrap around
        x = x if x.is_floating_point() else x.to(torch.get_default_dtype())
        if self.level is None:
            self.level = x.clone()
        elif self.level.shape != x.shape:
            raise ValueError(
                f"DeltaEncoder: input {tuple(x.shape)} does not match the level "
                f"{tuple(self.level.shape)} of the previous step; call reset() between sequences"
            )
        level = self.level.to(x)
        d = x - level
        spike = (d >= self.threshold).to(x) - (d <= -self.threshold).to(x)
        self.level = level + self.threshold * spike
        return spike

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, step_mode={self.step_mode}"
