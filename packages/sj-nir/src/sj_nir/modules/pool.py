"""Pooling over zeros that may reach further out than torch lets its own layers pad."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from sj_layers import AvgPool2d

__all__ = ["WidePool2d"]


class WidePool2d(AvgPool2d):
    """`AvgPool2d` with any padding, which is written out before pooling.

    Args:
        kernel_size, stride, divisor_override, step_mode: those of `sj_layers.AvgPool2d`.
        wide_padding: zeros on each side, (height, width).
    """

    def __init__(
        self,
        kernel_size: tuple[int, int],
        stride: tuple[int, int],
        wide_padding: tuple[int, int],
        *,
        divisor_override: int | None = None,
        step_mode: str = "s",
    ) -> None:
        super().__init__(
            kernel_size, stride, 0, divisor_override=divisor_override, step_mode=step_mode
        )
        self.wide_padding = wide_padding

    def forward(self, input: Tensor) -> Tensor:
        height, width = self.wide_padding
        return super().forward(F.pad(input, (width, width, height, height)))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, wide_padding={self.wide_padding}"
