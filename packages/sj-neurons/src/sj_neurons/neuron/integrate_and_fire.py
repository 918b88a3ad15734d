"""Integrate-and-fire: a membrane without leak.

h[t] = v[t-1] + x[t]                      Fire and reset: see `base`.

Source: Gerstner, Kistler, Naud, Paninski, "Neuronal Dynamics", Cambridge University Press 2014.
"""

from __future__ import annotations

from typing import Any

from .base import BaseNode

__all__ = ["IFNode"]


class IFNode(BaseNode):
    """Integrate-and-fire neuron; arguments as in :class:`BaseNode`.

    Example:
        >>> import torch
        >>> node = IFNode(step_mode="m")
        >>> node(torch.full((4, 1), 0.5)).flatten().tolist()   # T=4, N=1
        [0.0, 1.0, 0.0, 1.0]
    """

    def charge(self, x: Any, v: Any) -> Any:
        return v + x
