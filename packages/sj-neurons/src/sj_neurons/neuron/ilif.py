"""Integer LIF: up to M spikes in one step.

    h[t] = v[t-1] - v[t-1] / tau + x[t]
    s[t] = count(h[t] / v_threshold)             an integer, 0 ... M
    v[t] = h[t] - s[t] v_threshold

Source: Luo, Yao, Chou, Xu, Li, "Integer-valued training and spike-driven inference spiking neural
network for high-performance and energy-efficient object detection", ECCV 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .. import ops
from ..surrogate import MultiLevelSpikeCount, SurrogateFunction
from .lif import LIFNode

__all__ = ["ILIFNode"]


class ILIFNode(LIFNode):
    """Leaky integrate-and-fire neuron that counts its spikes; input not decayed, soft reset.

    Args:
        tau: membrane time constant in steps, greater than 1.
        surrogate_function: counts the spikes of `h / v_threshold`; a new
            `MultiLevelSpikeCount(4)` if `None`.
        v_threshold, detach_reset, step_mode, backend, store_v_seq: see :class:`BaseNode`.

    Example:
        >>> import torch
        >>> ILIFNode()(torch.tensor([-1.0, 0.6, 2.4, 9.0])).tolist()   # N=4
        [0.0, 1.0, 2.0, 4.0]
    """

    def __init__(
        self,
        tau: float = 4.0 / 3.0,
        v_threshold: float | Tensor = 1.0,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            tau,
            False,
            v_threshold,
            None,
            MultiLevelSpikeCount(4) if surrogate_function is None else surrogate_function,
            detach_reset,
            step_mode,
            backend,
            store_v_seq,
        )

    def fire(self, h: Any) -> Any:
        """Number of spikes of the charged potential `h`."""
        return ops.fire(h / self.v_threshold, self.surrogate_function)  # pyright: ignore[reportArgumentType]
