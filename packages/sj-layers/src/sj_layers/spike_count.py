"""Integer spike counts as binary spikes in finer time, and back.

    SpikeCountToBinary   y[t K + j] = 1 where j < x[t], else 0        [T, *] -> [T K, *]
    TemporalBinSum       y[t] = x[t K] + ... + x[t K + K - 1]         [T K, *] -> [T, *]

A count up to K becomes K binary steps of which the first `count` fire, so that a network trained
with integer spikes runs on hardware that has binary ones.

Source: Luo, Yao, Chou, Xu, Li, "Integer-valued training and spike-driven inference spiking neural
network for high-performance and energy-efficient object detection", ECCV 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sj_neurons.base import MultiStepModule

__all__ = ["SpikeCountToBinary", "TemporalBinSum"]


class _CountToSlots(torch.autograd.Function):
    """Counts to slots; a count receives the mean of its slots' gradients."""

    @staticmethod
    def forward(ctx, counts: Tensor, num_slots: int) -> Tensor:
        ctx.num_slots = num_slots
        slots = torch.arange(num_slots, device=counts.device, dtype=counts.dtype)
        slots = slots.view(1, -1, *(1,) * (counts.dim() - 1))
        return (slots < counts.unsqueeze(1)).to(counts).flatten(0, 1)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        return grad_outputs[0].unflatten(0, (-1, ctx.num_slots)).mean(1), None


class _Converter(nn.Module, MultiStepModule):
    def __init__(self, num_slots: int, always_convert: bool = False) -> None:
        super().__init__()
        if num_slots < 1:
            raise ValueError(
                f"{type(self).__name__}: num_slots must be at least 1, got {num_slots}"
            )
        self.num_slots = num_slots
        self.always_convert = always_convert
        self.step_mode = "m"

    @property
    def converts(self) -> bool:
        """Whether a call converts: in evaluation, or always."""
        return self.always_convert or not self.training

    def extra_repr(self) -> str:
        return f"num_slots={self.num_slots}, always_convert={self.always_convert}"


class SpikeCountToBinary(_Converter):
    """Counts `[T, *]` as binary spikes `[T num_slots, *]`; in training the counts themselves.

    Args:
        num_slots: binary steps per step, the largest count that fits.
        always_convert: convert in training too.
    """

    def forward(self, x_seq: Tensor) -> Tensor:
        return _CountToSlots.apply(x_seq, self.num_slots) if self.converts else x_seq  # pyright: ignore[reportReturnType]


class TemporalBinSum(_Converter):
    """Sums of `num_slots` consecutive steps `[T num_slots, *]`; in training the input itself.

    The last bin may be shorter.

    Args:
        num_slots: steps per bin.
        always_convert: sum in training too.
    """

    def forward(self, x_seq: Tensor) -> Tensor:
        if not self.converts:
            return x_seq
        return torch.stack([piece.sum(0) for piece in x_seq.split(self.num_slots)])
