"""Integrate-and-fire with a threshold and an offset per channel, for converted networks.

    h[t] = v[t-1] + x[t]
    s[t] = 1 where h[t] + v_offset >= v_threshold, else 0

Reset: see `base`; the soft reset takes off v_threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .. import ops
from .._arguments import checked_number
from ..surrogate import SurrogateFunction
from .base import BaseNode

__all__ = ["ActivationAwareIFNode"]


class ActivationAwareIFNode(BaseNode):
    """Integrate-and-fire neuron with `v_threshold` and `v_offset` per channel.

    Args:
        v_threshold: threshold, a number or a tensor `[C]`, which becomes a buffer.
        v_offset: what is added to the potential before it meets the threshold; likewise.
        channel_dim: dimension of one step `[N, *]` that the channels lie along.
        v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq:
            see :class:`BaseNode`.

    Raises:
        ValueError: a tensor is not 1-dimensional; on a call, its length is not that of the
            input's `channel_dim`.

    Example:
        >>> import torch
        >>> node = ActivationAwareIFNode(torch.tensor([0.5, 1.0, 2.0]), 0.1)
        >>> node(torch.full((1, 3), 0.9)).tolist()   # N=1, C=3
        [[1.0, 1.0, 0.0]]
    """

    v_offset: float | Tensor

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        v_offset: float | Tensor = 0.0,
        channel_dim: int = -1,
        v_reset: float | None = None,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        detach_reset: bool = False,
        step_mode: str = "s",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            1.0, v_reset, surrogate_function, detach_reset, step_mode, backend, store_v_seq
        )
        owner = type(self).__name__
        if isinstance(channel_dim, bool) or not isinstance(channel_dim, int):
            raise TypeError(f"{owner}: channel_dim must be a whole number, got {channel_dim!r}")
        self.channel_dim = channel_dim
        del self.v_threshold  # a buffer may not replace an attribute
        for name, value in (("v_threshold", v_threshold), ("v_offset", v_offset)):
            if not isinstance(value, Tensor):
                setattr(self, name, checked_number(owner, name, value))
            elif value.dim() == 1:
                self.register_buffer(name, value.detach().clone())
            else:
                raise ValueError(
                    f"{owner}: {name} must be a number or a tensor [C], "
                    f"got shape {tuple(value.shape)}"
                )

    def charge(self, x: Any, v: Any) -> Any:
        return v + x

    def step_tensor(self, name: str, dim: int) -> Tensor:
        if not -dim <= self.channel_dim < dim:
            raise ValueError(
                f"{type(self).__name__}: the input has no dimension {self.channel_dim} for the "
                f"channels of {name}; it has {dim} per step"
            )
        shape = [1] * dim
        shape[self.channel_dim] = -1
        return getattr(self, name).view(shape)

    def _along_channels(self, name: str, h: Any) -> Any:
        """The number or buffer `name`, shaped to meet `h` along `channel_dim`."""
        value = getattr(self, name)
        if not isinstance(value, Tensor) or not isinstance(h, Tensor):
            return value
        inside = -h.dim() <= self.channel_dim < h.dim()
        if not inside or h.shape[self.channel_dim] != len(value):
            raise ValueError(
                f"{type(self).__name__}: {name} has {len(value)} channels along dimension "
                f"{self.channel_dim}, got an input {tuple(h.shape)}"
            )
        return self.step_tensor(name, h.dim())

    def fire(self, h: Any) -> Any:
        surrogate: Any = self.surrogate_function
        offset, threshold = (self._along_channels(n, h) for n in ("v_offset", "v_threshold"))
        return ops.fire(h + offset - threshold, surrogate)

    def voltage_reset(self, h: Any, spike: Any) -> Any:
        if self.v_reset is not None:
            return super().voltage_reset(h, spike)
        spike = ops.detach(spike) if self.detach_reset else spike
        return h - spike * self._along_channels("v_threshold", h)

    def extra_repr(self) -> str:
        offset = self.v_offset
        if isinstance(offset, Tensor):
            offset = f"tensor{tuple(offset.shape)}"
        return f"{super().extra_repr()}, v_offset={offset}, channel_dim={self.channel_dim}"
