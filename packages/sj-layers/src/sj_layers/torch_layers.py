"""The stateless layers of torch with a step mode, made from one table.

'm' folds time into the batch, so convolutions, pooling and the like see each step on its own, and
batch normalisation takes its statistics over time and batch together: a sequence is one batch, and
the running statistics move once per call.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sj_neurons.functional import seq_to_ann_forward

from .stateless import TimeFolded, repeated

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Flatten",
    "GroupNorm",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Upsample",
]

_1D, _2D, _3D = "T, N, C, L", "T, N, C, H, W", "T, N, C, D, H, W"


class BatchNormalised(TimeFolded):
    """Statistics over time and batch; steps that are all equal are normalised once."""

    def forward(self, input: Tensor) -> Any:
        norm: Any = self
        repeats = self.step_mode == "m" and self.steps_are_equal(input)
        if not (repeats and norm.training and norm.running_var is not None):
            return super().forward(input)
        before = norm.running_var.clone()
        output = super().forward(input)
        self._count_every_step(before, input)
        return output

    @torch.no_grad()
    def _count_every_step(self, before: Tensor, x: Tensor) -> None:
        """Make the running variance that of T steps of n values, where one step was looked at.

        The unbiased variance of a batch is n / (n - 1) times the biased one, which is the same for
        one step and for T equal ones.
        """
        norm: Any = self
        n = x[0].numel() // x.shape[2]
        total = n * x.shape[0]
        factor = (total / (total - 1)) / (n / (n - 1))
        momentum = norm.momentum
        if momentum is None:
            momentum = 1.0 / norm.num_batches_tracked.item()
        old = (1.0 - momentum) * before
        # .data: the backward pass does not use this value, but would refuse a change of it
        norm.running_var.data.copy_(old + (norm.running_var - old) * factor)

    def extra_repr(self) -> str:
        # spelled out because torch's own list grows with its releases
        norm: Any = self
        return (
            f"{norm.num_features}, eps={norm.eps}, momentum={norm.momentum}, "
            f"affine={norm.affine}, track_running_stats={norm.track_running_stats}, "
            f"step_mode={self.step_mode}"
        )


def _of_space(output_size: Any, x: Tensor) -> list[int] | None:
    """Of a size that may have the axes of the sequence `x`, those of space."""
    return None if output_size is None else list(output_size)[-(x.dim() - 3) :]


class Transposed(TimeFolded):
    """Takes the size of the output as an option."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input: Tensor, output_size: Any = None
    ) -> Any:
        transpose: Any = super(TimeFolded, self).forward  # pyright: ignore[reportAttributeAccessIssue]
        if self.step_mode == "s":
            return transpose(input, output_size)
        self._check_layout(input)
        size = _of_space(output_size, input)
        if self.steps_are_equal(input):
            return repeated(transpose(input[0], size), input.shape[0])
        return seq_to_ann_forward(input, lambda x: transpose(x, size))


class Unpooled(TimeFolded):
    """Takes `(x, indices)`, both with a time axis in step mode `'m'`."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input: Tensor, indices: Tensor, output_size: Any = None
    ) -> Any:
        unpool: Any = super(TimeFolded, self).forward  # pyright: ignore[reportAttributeAccessIssue]
        if self.step_mode == "s":
            return unpool(input, indices, output_size)
        self._check_layout(input)
        size = _of_space(output_size, input)
        return seq_to_ann_forward((input, indices), lambda xs: unpool(*xs, size))


def _layer(torch_class: type, *layouts: str, mixin: type[TimeFolded] = TimeFolded) -> Any:
    """The torch class with a step mode; `layouts` are what the axes of an 'm' input may be."""
    name = torch_class.__name__
    shapes = " or ".join(f"`[{layout}]`" for layout in layouts or ("T, N, *",))
    members = {
        "__module__": __name__,
        "__doc__": f"`torch.nn.{name}` with a step mode; `'m'` takes {shapes}.",
        "sequence_layouts": layouts,
    }
    return type(name, (mixin, torch_class), members)


# The table. What type checkers see of it is in torch_layers.pyi.
Conv1d = _layer(nn.Conv1d, _1D)
Conv2d = _layer(nn.Conv2d, _2D)
Conv3d = _layer(nn.Conv3d, _3D)
ConvTranspose1d = _layer(nn.ConvTranspose1d, _1D, mixin=Transposed)
ConvTranspose2d = _layer(nn.ConvTranspose2d, _2D, mixin=Transposed)
ConvTranspose3d = _layer(nn.ConvTranspose3d, _3D, mixin=Transposed)
BatchNorm1d = _layer(nn.BatchNorm1d, "T, N, C", _1D, mixin=BatchNormalised)
BatchNorm2d = _layer(nn.BatchNorm2d, _2D, mixin=BatchNormalised)
BatchNorm3d = _layer(nn.BatchNorm3d, _3D, mixin=BatchNormalised)
MaxPool1d = _layer(nn.MaxPool1d, _1D)
MaxPool2d = _layer(nn.MaxPool2d, _2D)
MaxPool3d = _layer(nn.MaxPool3d, _3D)
MaxUnpool1d = _layer(nn.MaxUnpool1d, _1D, mixin=Unpooled)
MaxUnpool2d = _layer(nn.MaxUnpool2d, _2D, mixin=Unpooled)
MaxUnpool3d = _layer(nn.MaxUnpool3d, _3D, mixin=Unpooled)
AvgPool1d = _layer(nn.AvgPool1d, _1D)
AvgPool2d = _layer(nn.AvgPool2d, _2D)
AvgPool3d = _layer(nn.AvgPool3d, _3D)
AdaptiveAvgPool1d = _layer(nn.AdaptiveAvgPool1d, _1D)
AdaptiveAvgPool2d = _layer(nn.AdaptiveAvgPool2d, _2D)
AdaptiveAvgPool3d = _layer(nn.AdaptiveAvgPool3d, _3D)
GroupNorm = _layer(nn.GroupNorm)
Upsample = _layer(nn.Upsample)
Flatten = _layer(nn.Flatten)
