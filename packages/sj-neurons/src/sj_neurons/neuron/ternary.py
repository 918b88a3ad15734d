"""Ternary neurons: a negative spike below the negative threshold.

    h[t] as in `integrate_and_fire` or `lif`
    s[t] = 1 where h[t] >= v_threshold, -1 where h[t] <= -v_threshold, else 0
    reset  hard  v[t] = (1 - |s[t]|) h[t] + |s[t]| v_reset
           soft  v[t] = h[t] - s[t] v_threshold

s is the difference of two spikes and |s| their sum, also in the gradient.

Source: Guo et al., "Ternary spike: learning ternary spikes for spiking neural networks", AAAI 2024.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from .base import BaseNode
from .integrate_and_fire import IFNode
from .lif import LIFNode

__all__ = ["TernaryIFNode", "TernaryLIFNode"]


class _TernaryFiring(BaseNode):
    """Fire and reset of the ternary neurons."""

    def fire(self, h: Any) -> Any:
        """Spikes of the charged potential `h`: 1, 0 or -1."""
        return self._at_least(h) - self._at_least(-h)

    def _at_least(self, h: Any) -> Any:
        surrogate: Any = self.surrogate_function
        return ops.fire(h - self.v_threshold, surrogate)

    def voltage_reset(self, h: Any, spike: Any) -> Any:
        if self.v_reset is None:
            return super().voltage_reset(h, spike)
        # |s| with both surrogates in its derivative: up + down from up - down = s
        towards = ops.where(h < 0.0, -spike, spike)
        away = self._at_least(ops.where(h < 0.0, h, -h))
        return super().voltage_reset(h, towards + 2.0 * away)


class TernaryIFNode(_TernaryFiring, IFNode):
    """Integrate-and-fire neuron with spikes 1, 0 and -1; arguments as in :class:`BaseNode`.

    Example:
        >>> import torch
        >>> TernaryIFNode()(torch.tensor([-1.5, 0.2, 1.0])).tolist()   # N=3
        [-1.0, 0.0, 1.0]
    """


class TernaryLIFNode(_TernaryFiring, LIFNode):
    """Leaky integrate-and-fire neuron with spikes 1, 0 and -1; arguments as in :class:`LIFNode`.

    Example:
        >>> import torch
        >>> TernaryLIFNode(tau=2.0)(torch.tensor([-3.0, 1.0, 2.0])).tolist()   # N=3
        [-1.0, 0.0, 1.0]
    """
