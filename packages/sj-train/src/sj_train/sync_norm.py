"""Batch normalisation with the statistics of all processes, on any device and in any step mode.

    mean = 1/n sum x,  var = 1/n sum (x - mean)^2      n values of all processes together
    y = (x - mean) / sqrt(var + eps) * weight + bias

Shape legend: x ``[N, C, *]``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from . import sums

__all__ = ["synchronised"]


class SynchronisedNorm(_BatchNorm):
    """Takes the place of torch's layer as last base of a class."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        axes = [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        x = input if input.dtype == torch.float64 else input.float()
        count = x.new_full((1,), x.numel() / x.shape[1])
        totals = sums.over_processes(torch.cat([x.sum(axes), count]))
        total = totals[-1]
        mean = totals[:-1] / total
        centred = x - mean.view(shape)
        variance = sums.over_processes(centred.square().sum(axes)) / total
        self._note(mean.detach(), variance.detach(), total.detach())
        y = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(input.dtype)

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor, total: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        momentum = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        assert momentum is not None  # torch needs the counter without one, too
        unbiased = variance * total / (total - 1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), momentum)


def synchronised(norm: _BatchNorm) -> nn.Module:
    """``norm`` with statistics over all processes: same parameters, keys and step mode."""
    kind = type(norm)
    if issubclass(kind, SynchronisedNorm | nn.SyncBatchNorm):
        return norm
    plain = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    place = norm.running_mean if norm.weight is None else norm.weight
    if kind in plain and place is not None and place.is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(norm)
    torch_class = next((base for base in plain if issubclass(kind, base)), None)
    if torch_class is None:
        raise TypeError(f"{kind.__name__} cannot be synchronised: it is no BatchNorm1d, 2d or 3d")
    members: dict[str, Any] = {"__module__": kind.__module__}
    if hasattr(kind, "steps_are_equal"):
        # The shortcut for repeated steps corrects the variance by the values of one process.
        members["steps_are_equal"] = lambda self, x: False
    # A layer that folds time calls its next base, which is now ours instead of torch's.
    last = type(f"Synchronised{torch_class.__name__}", (SynchronisedNorm, torch_class), {})
    bases = (last,) if kind is torch_class else (kind, last)
    norm.__class__ = type(f"Synchronised{kind.__name__}", bases, members)
    return norm
