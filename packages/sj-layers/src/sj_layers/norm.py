"""Normalisation made for spiking networks.

    NeuNorm     x[t] = k x[t-1] + (1 - k) / C^2 sum_c s_c[t];   y[t] = s[t] - w x[t]
    tdBN        batch normalisation with weight alpha v_th at the start
    TEBN        y[t] = scale[t] BN(x)[t], statistics over time and batch
    BNTT        y[t] = BN_t(x[t]), one normalisation without bias per time step

Sources: Wu, Deng, Li, Zhu, Xie, Shi, "Direct training for spiking neural networks: faster, larger,
better", AAAI 2019 (NeuNorm); Zheng, Wu, Deng, Hu, Li, "Going deeper with directly-trained larger
spiking neural networks", AAAI 2021 (tdBN); Duan, Ding, Chen, Yu, Huang, "Temporal effective batch
normalization in spiking neural networks", NeurIPS 2022 (TEBN); Kim, Panda, "Revisiting batch
normalization for training low-latency deep spiking neural networks from scratch", Frontiers in
Neuroscience 2021 (BNTT).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons.base import MemoryModule, MultiStepModule

from . import torch_layers
from .functional.neunorm import neunorm_step

__all__ = [
    "BatchNormThroughTime1d",
    "BatchNormThroughTime2d",
    "BatchNormThroughTime3d",
    "NeuNorm",
    "TemporalEffectiveBatchNorm1d",
    "TemporalEffectiveBatchNorm2d",
    "TemporalEffectiveBatchNorm3d",
    "ThresholdDependentBatchNorm1d",
    "ThresholdDependentBatchNorm2d",
    "ThresholdDependentBatchNorm3d",
]


class NeuNorm(MemoryModule):
    """Takes off what the neurons of the other channels at the same place have been firing.

    Args:
        in_channels: C of the input `[N, C, H, W]`.
        height, width: H and W.
        k: how much of the trace `x` `[N, 1, H, W]` is left after a step.
        shared_across_channels: one weight per place `[1, H, W]` instead of `[C, H, W]`.
        step_mode: `'s'` or `'m'`.
    """

    def __init__(
        self,
        in_channels: int,
        height: int,
        width: int,
        k: float = 0.9,
        shared_across_channels: bool = False,
        step_mode: str = "s",
    ) -> None:
        super().__init__()
        self.register_memory("x", 0.0)
        self.k0 = float(k)
        self.k1 = (1.0 - self.k0) / in_channels**2
        channels = 1 if shared_across_channels else in_channels
        self.w = nn.Parameter(torch.empty(channels, height, width))
        nn.init.kaiming_uniform_(self.w, a=math.sqrt(5))
        self.step_mode = step_mode

    def single_step_forward(self, in_spikes: Tensor) -> Tensor:
        y, self.x = neunorm_step(in_spikes, self.x, self.w, self.k0, self.k1)
        return y

    def extra_repr(self) -> str:
        channels, height, width = self.w.shape
        return f"channels={channels}, {height=}, {width=}, k={self.k0}, step_mode={self.step_mode}"


class _ThresholdDependent:
    """Mix-in before a step-mode batch normalisation.

    Args:
        alpha: factor of the initial weight that depends on the network's structure.
        v_th: threshold of the neurons behind.
        args, eps, momentum, affine, track_running_stats: those of the torch class; `affine` must
            be true.
        step_mode: `'m'` by default.

    Raises:
        ValueError: `affine=False`.
    """

    def __init__(
        self,
        alpha: float,
        v_th: float,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        step_mode: str = "m",
    ) -> None:
        if not affine:
            raise ValueError(
                f"{type(self).__name__}: needs affine=True, as alpha and v_th set the weight"
            )
        self.alpha, self.v_th = float(alpha), float(v_th)
        settings = (eps, momentum, affine, track_running_stats)
        super().__init__(num_features, *settings, step_mode=step_mode)  # pyright: ignore[reportCallIssue]

    def reset_parameters(self) -> None:
        super().reset_parameters()  # pyright: ignore[reportAttributeAccessIssue]
        norm: Any = self
        nn.init.constant_(norm.weight, self.alpha * self.v_th)


class _TemporalEffective(MultiStepModule):
    """Mix-in before a step-mode batch normalisation; step mode `'m'` only.

    Args:
        T: number of time steps of each input.
        num_features, eps, momentum, affine, track_running_stats: those of the torch class.

    Raises:
        ValueError: on a call, an input of another T.
    """

    folds = False  # the scale of each step has no place in the layer before it

    def __init__(
        self,
        T: int,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        step_mode: str = "m",
    ) -> None:
        settings = (eps, momentum, affine, track_running_stats)
        super().__init__(num_features, *settings, step_mode=step_mode)  # pyright: ignore[reportCallIssue]
        self.T = T
        self.scale = nn.Parameter(torch.ones(T))

    def forward(self, input: Tensor) -> Tensor:
        y = super().forward(input)  # pyright: ignore[reportAttributeAccessIssue]
        if y.shape[0] != self.T:
            raise ValueError(
                f"{type(self).__name__}: built for T={self.T} steps, got {tuple(y.shape)}"
            )
        return y * self.scale.view(-1, *(1,) * (y.dim() - 1))


class _BatchNormThroughTime(MemoryModule):
    """A batch normalisation for each time step, without bias.

    Args:
        T: number of time steps between two resets.
        num_features, eps, momentum, affine, track_running_stats: those of the torch class.
        step_mode: `'s'` or `'m'`.

    Raises:
        ValueError: on a call, more than T steps since the last reset.
    """

    norm: type[nn.Module]

    def __init__(
        self,
        T: int,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        step_mode: str = "s",
    ) -> None:
        super().__init__()
        settings = (num_features, eps, momentum, affine, track_running_stats)
        self.bn_list = nn.ModuleList(self.norm(*settings) for _ in range(T))
        for norm in self.bn_list:
            norm.register_parameter("bias", None)
        self.register_memory("t", -1)
        self.step_mode = step_mode

    def single_step_forward(self, x: Tensor) -> Tensor:
        if self.t + 1 >= len(self.bn_list):
            raise ValueError(
                f"{type(self).__name__}: built for {len(self.bn_list)} steps, and all are over; "
                "call reset() between sequences"
            )
        self.t += 1
        return self.bn_list[self.t](x)

    def extra_repr(self) -> str:
        return f"T={len(self.bn_list)}, step_mode={self.step_mode}"


class ThresholdDependentBatchNorm1d(_ThresholdDependent, torch_layers.BatchNorm1d):
    __doc__ = f"Threshold-dependent `BatchNorm1d`.\n\n{_ThresholdDependent.__doc__}"


class ThresholdDependentBatchNorm2d(_ThresholdDependent, torch_layers.BatchNorm2d):
    __doc__ = f"Threshold-dependent `BatchNorm2d`.\n\n{_ThresholdDependent.__doc__}"


class ThresholdDependentBatchNorm3d(_ThresholdDependent, torch_layers.BatchNorm3d):
    __doc__ = f"Threshold-dependent `BatchNorm3d`.\n\n{_ThresholdDependent.__doc__}"


class TemporalEffectiveBatchNorm1d(_TemporalEffective, torch_layers.BatchNorm1d):
    __doc__ = f"`BatchNorm1d` with a scale per time step.\n\n{_TemporalEffective.__doc__}"


class TemporalEffectiveBatchNorm2d(_TemporalEffective, torch_layers.BatchNorm2d):
    __doc__ = f"`BatchNorm2d` with a scale per time step.\n\n{_TemporalEffective.__doc__}"


class TemporalEffectiveBatchNorm3d(_TemporalEffective, torch_layers.BatchNorm3d):
    __doc__ = f"`BatchNorm3d` with a scale per time step.\n\n{_TemporalEffective.__doc__}"


class BatchNormThroughTime1d(_BatchNormThroughTime):
    __doc__ = _BatchNormThroughTime.__doc__
    norm = nn.BatchNorm1d


class BatchNormThroughTime2d(_BatchNormThroughTime):
    __doc__ = _BatchNormThroughTime.__doc__
    norm = nn.BatchNorm2d


class BatchNormThroughTime3d(_BatchNormThroughTime):
    __doc__ = _BatchNormThroughTime.__doc__
    norm = nn.BatchNorm3d
