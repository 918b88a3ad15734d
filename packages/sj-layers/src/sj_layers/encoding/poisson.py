"""Poisson encoding: the value is the probability of a spike, anew at every call.

out = 1 where u <= x, else 0          u uniform in [0, 1), drawn for each value

Values of 1 and more always fire; negative values and NaN never do, and neither does 0 but for the
one draw in millions that gives u = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._values import (
    at_least_float32,
    checked_generator,
    generator_for,
    require_floating_point,
)
from .base import StatelessEncoder

__all__ = ["PoissonEncoder"]


class PoissonEncoder(StatelessEncoder):
    """Random spikes whose rate is the input; no gradient.

    Input and output have one shape, `[N, *]` or `[T, N, *]`, and one dtype. `torch.compile` takes
    it without a generator only.

    Args:
        step_mode: `'s'` or `'m'`; every value gets a draw of its own in both.
        generator: where random numbers come from; torch's global generator if `None`. It must be
            on the device of the input.

    Raises:
        TypeError: `generator` is something else; on a call: the input is not floating-point.
        ValueError: on a call: generator and input are on different devices.

    Example:
        >>> import torch
        >>> encoder = PoissonEncoder(generator=torch.Generator().manual_seed(0))
        >>> image = torch.tensor([0.0, 0.3, 1.0])
        >>> spikes = torch.stack([encoder(image) for t in range(400)])
        >>> [round(rate, 1) for rate in spikes.mean(0).tolist()]
        [0.0, 0.3, 1.0]
    """

    def __init__(self, step_mode: str = "s", *, generator: torch.Generator | None = None) -> None:
        super().__init__(step_mode)
        self.generator = checked_generator(type(self).__name__, generator)

    def forward(self, x: Tensor) -> Tensor:
        owner = type(self).__name__
        require_floating_point(owner, x)
        generator = generator_for(owner, self.generator, x)
        # in 16 bits u = 0 comes up every few hundred draws, and black pixels would fire
        u = torch.empty_like(at_least_float32(x.detach())).uniform_(generator=generator)
        return (u <= x).to(x.dtype)
