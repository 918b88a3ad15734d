"""A linear map that skips what did not fire.

    y_m = sum over the k with s_mk != 0 of s_mk W_k

Each sample adds up the weight rows of its spikes instead of meeting all weights. It pays on the CPU
where fewer than about one input in twenty fires; otherwise, and on other devices, the dense product
runs. Both are the same sums in another order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .linear import Linear

__all__ = ["SpikeLinear"]


def _gather_add(spikes: Tensor, rows: Tensor) -> Tensor:
    """`spikes @ rows` for spikes [M, K] that are mostly 0 and rows [K, N]."""
    samples, width = spikes.shape
    flat = spikes.reshape(-1)
    places = flat.nonzero().squeeze(1)
    if not len(places):
        return rows.new_zeros(samples, rows.shape[1])
    values = flat[places]
    factors = None if bool((values == 1).all()) else values
    starts = torch.arange(0, flat.numel(), width, device=flat.device)
    offsets = torch.searchsorted(places, starts)
    return F.embedding_bag(places % width, rows, offsets, mode="sum", per_sample_weights=factors)


class _SparseProduct(torch.autograd.Function):
    """`spikes @ weight.T`; the gradient of the weight is sparse too, that of the spikes dense."""

    @staticmethod
    def forward(ctx: Any, spikes: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(spikes, weight)
        return _gather_add(spikes, weight.t())

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grad_outputs
        spikes, weight = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of this gradient is asked for
            return grad @ weight, grad.t() @ spikes
        to_spikes = grad @ weight if ctx.needs_input_grad[0] else None
        to_weight = _gather_add(spikes.t(), grad).t() if ctx.needs_input_grad[1] else None
        return to_spikes, to_weight


class SpikeLinear(Linear):
    """`Linear` that is quick on inputs that are mostly 0; CPU, float32 and float64.

    The weight lies in memory by input, which is what makes its rows quick to add; its shape and the
    `state_dict` are those of `torch.nn.Linear`.

    Args:
        in_features, out_features, bias, device, dtype: those of `torch.nn.Linear`.
        max_density: share of inputs other than 0 up to which they are added one by one.
        step_mode: `'s'` or `'m'`.

    Raises:
        ValueError: `max_density` is not within [0, 1].
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        max_density: float = 0.05,
        step_mode: str = "s",
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype, step_mode=step_mode)
        if not 0.0 <= max_density <= 1.0:
            raise ValueError(f"SpikeLinear: max_density must be in [0, 1], got {max_density}")
        self.max_density = max_density
        self.weight = nn.Parameter(self.weight.data.t().contiguous().t())

    def map(self, x: Tensor) -> Tensor:
        if not self._is_sparse(x):
            return super().map(x)
        y = _SparseProduct.apply(x.reshape(-1, self.in_features), self.weight)
        y = y.view(*x.shape[:-1], self.out_features)  # pyright: ignore[reportOptionalMemberAccess]
        return y if self.bias is None else y + self.bias

    def _is_sparse(self, x: Tensor) -> bool:
        if torch.compiler.is_compiling() or x.device.type != "cpu" or x.numel() == 0:
            return False
        if x.dtype != self.weight.dtype or x.dtype not in (torch.float32, torch.float64):
            return False
        if torch.is_autocast_enabled("cpu"):
            return False
        return int(torch.count_nonzero(x)) <= self.max_density * x.numel()

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, max_density={self.max_density}"
