"""A look at the shapes in a sequential net."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

__all__ = ["PrintShapeModule"]

logger = logging.getLogger(__name__)


class PrintShapeModule(nn.Module):
    """The identity; tells the shape of its input to the log, at level DEBUG.

    Show it with `logging.basicConfig(level=logging.DEBUG)`.

    Args:
        ext_str: what stands in front of the shape.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), PrintShapeModule("after conv"))
        >>> y = net(torch.rand(1, 1, 8, 8))   # logs: after conv torch.Size([1, 4, 6, 6])
    """

    def __init__(self, ext_str: str = "PrintShapeModule") -> None:
        super().__init__()
        self.ext_str = ext_str

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():  # a graph has no log
            logger.debug("%s %s", self.ext_str, x.shape)
        return x

    def extra_repr(self) -> str:
        return f"ext_str={self.ext_str}"
