"""Gated LIF: learnable gates between two kinds of leak, integration and reset.

    a, b, g = sigmoid(alpha), sigmoid(beta), sigmoid(gamma), likewise for all parameters below
    i[t] = x[t] (1 - b (1 - conduct[t]))
    k    = 1 - a (1 - tau)
    h[t] = k v[t-1] - (1 - a) linear_decay + i[t]
           - s[t-1] (k v[t-1] g + (1 - g) v_subreset)
    s[t] = 1 where h[t] >= v_threshold, else 0
    v[t] = h[t]

The reset of a spike is part of the next charge. Parameters are one number each, or one per channel;
conduct has one row per time step. They are stored as logits.

Source: Yao, Li, Mo, Cheng, "GLIF: a unified gated leaky integrate-and-fire neuron for spiking
neural networks", NeurIPS 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .. import ops
from .._arguments import checked_count, checked_number
from ..surrogate import SurrogateFunction
from .base import BaseNode

__all__ = ["GatedLIFNode"]


def _logit(owner: str, name: str, value: float) -> float:
    share = checked_number(owner, name, value)
    if not 0.0 < share < 1.0:
        raise ValueError(f"{owner}: {name} must lie between 0 and 1, got {value}")
    return math.log(share / (1.0 - share))


class GatedLIFNode(BaseNode):
    """Gated leaky integrate-and-fire neuron, for whole sequences of `T` steps only.

    Input `[T, N, C, H, W]`. Each call is a new pass over the T steps: the conductance starts at its
    first row and no spike is pending, while `v` carries over until `reset()`.

    Args:
        T: number of time steps of each input, at least 1.
        inplane: number of channels C with parameters of their own, or `None` to share them.
        init_linear_decay: linear leak per step; `init_v_threshold / (2 T)` if `None`.
        init_v_subreset: potential that a spike takes off; `init_v_threshold` if `None`.
        init_tau: factor of the exponential leak per step.
        init_v_threshold: threshold before training.
        init_conduct: conductance of the input before training, the same at all steps.
        surrogate_function, step_mode, backend, store_v_seq: see :class:`BaseNode`.

    All initial values lie between 0 and 1, ends excluded.

    Raises:
        ValueError: an initial value out of range; on a call, an input that is not 5-dimensional
            or has another T or C.
    """

    states: ClassVar[dict[str, float]] = {"v": 0.0, "last_spike": 0.0}
    waivers: ClassVar[dict[str, str]] = {
        "modes": "the conductance belongs to a time index, so only whole sequences run"
    }

    def __init__(
        self,
        T: int,
        inplane: int | None = None,
        init_linear_decay: float | None = None,
        init_v_subreset: float | None = None,
        init_tau: float = 0.25,
        init_v_threshold: float = 0.5,
        init_conduct: float = 0.5,
        surrogate_function: SurrogateFunction | Callable[[Tensor], Tensor] | None = None,
        step_mode: str = "m",
        backend: str | None = None,
        store_v_seq: bool = False,
    ) -> None:
        super().__init__(
            v_reset=None,
            surrogate_function=surrogate_function,
            step_mode=step_mode,
            backend=backend,
            store_v_seq=store_v_seq,
        )
        owner = type(self).__name__
        self.T = checked_count(owner, "T", T)
        self.inplane = None if inplane is None else checked_count(owner, "inplane", inplane)
        shape = () if inplane is None else (inplane,)
        threshold = checked_number(owner, "init_v_threshold", init_v_threshold)
        linear_decay = threshold / (2 * T) if init_linear_decay is None else init_linear_decay
        subreset = threshold if init_v_subreset is None else init_v_subreset

        def parameter(name: str, value: float, *steps: int) -> nn.Parameter:
            return nn.Parameter(torch.full((*steps, *shape), _logit(owner, name, value)))

        self.alpha, self.beta, self.gamma = (
            nn.Parameter(0.2 * (torch.rand(shape) - 0.5)) for _ in range(3)
        )
        self.tau = parameter("init_tau", init_tau)
        self.v_threshold = parameter("init_v_threshold", threshold)
        self.linear_decay = parameter("init_linear_decay", linear_decay)
        self.v_subreset = parameter("init_v_subreset", subreset)
        self.conduct = parameter("init_conduct", init_conduct, T)

    def supported_step_mode(self) -> tuple[str, ...]:
        return ("m",)

    def step_tensor(self, name: str, dim: int) -> Tensor:
        return self._along_channels(getattr(self, name))

    def _along_channels(self, logit: Tensor) -> Tensor:
        return logit if self.inplane is None else logit.view(*logit.shape, 1, 1)

    def _value(self, logit: Any) -> Any:
        """What the parameter `logit` stands for, shaped to meet one step `[N, C, H, W]`."""
        return ops.sigmoid(self._along_channels(logit) if isinstance(logit, Tensor) else logit)

    def charge(self, x: Any, v: Any, last_spike: Any) -> Any:
        """Charged potential; `x` is the gated input i."""
        a, g = self._value(self.alpha), self._value(self.gamma)
        kept = (1.0 - a * (1.0 - self._value(self.tau))) * v
        leak = (1.0 - a) * self._value(self.linear_decay)
        drop = kept * g + (1.0 - g) * self._value(self.v_subreset)
        return kept - leak + x - last_spike * drop

    def fire(self, h: Any) -> Any:
        surrogate: Any = self.surrogate_function
        return ops.fire(h - self._value(self.v_threshold), surrogate)

    def step(self, x: Any, v: Any, last_spike: Any) -> tuple[Any, Any, Any]:
        h = self.charge(x, v, last_spike)
        spike = self.fire(h)
        return spike, h, spike

    def neuronal_charge(self, x: Tensor) -> None:
        self.v = self.charge(x, self.v, self.last_spike)

    def neuronal_reset(self, spike: Tensor) -> None:
        self.last_spike = spike

    def multi_step_forward(self, x_seq: Tensor) -> Tensor:
        channels = "C" if self.inplane is None else self.inplane
        fits = x_seq.dim() == 5 and x_seq.shape[0] == self.T
        if not fits or self.inplane not in (None, x_seq.shape[2]):
            raise ValueError(
                f"{type(self).__name__}: expected an input [T={self.T}, N, {channels}, H, W], "
                f"got shape {tuple(x_seq.shape)}"
            )
        gain = 1.0 - self._value(self.beta) * (1.0 - self._value(self.conduct))
        self.last_spike = 0.0
        return super().multi_step_forward(x_seq * gain.view(self.T, 1, -1, 1, 1))

    def extra_repr(self) -> str:
        return (
            f"T={self.T}, inplane={self.inplane}, step_mode={self.step_mode}, "
            f"backend={self.backend}"
        )
