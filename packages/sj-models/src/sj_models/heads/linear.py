"""A linear classifier.

scores = W x + b
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .classification import ClsHead

__all__ = ["NORMAL_LINEAR", "LinearClsHead", "check_features"]

NORMAL_LINEAR: Mapping[str, Any] = {"type": "Normal", "layer": "Linear", "std": 0.01}


class LinearClsHead(ClsHead):
    """One linear layer `fc` on the last feature, `[N, C]` or `[T, N, C]`.

    Args:
        num_classes: K, 1 or more.
        in_channels: C.
        loss, topk, cal_acc, init_cfg, decode, readout: see :class:`ClsHead`; the weights start
            normal with standard deviation 0.01.

    Raises:
        ValueError: `num_classes` below 1, or features that do not fit.

    Example:
        >>> import torch
        >>> head = LinearClsHead(num_classes=10, in_channels=8)
        >>> head.predict((torch.rand(4, 2, 8),))["pred_score"].shape   # T=4, N=2
        torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        loss: nn.Module | Mapping[str, Any] | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = NORMAL_LINEAR,
        decode: str | None = None,
        readout: nn.Module | Mapping[str, Any] | str | None = None,
    ) -> None:
        super().__init__(loss, topk, cal_acc, init_cfg, decode, readout)
        check_classes(type(self).__name__, num_classes)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, feats: Any) -> Tensor:
        x = self.pre_logits(feats)
        check_features(type(self).__name__, x, self.in_channels)
        return self.fc(x)


def check_classes(owner: str, num_classes: int) -> None:
    """Refuse a number of classes below 1.

    Raises:
        TypeError, ValueError: names `owner`.
    """
    if type(num_classes) is not int:
        raise TypeError(f"{owner}: num_classes must be an integer, got {num_classes!r}")
    if num_classes < 1:
        raise ValueError(f"{owner}: num_classes must be 1 or more, got {num_classes}")


def check_features(owner: str, x: Tensor, in_channels: int) -> None:
    """Refuse features that are not `[N, C]` or `[T, N, C]` with C = `in_channels`.

    Raises:
        ValueError: says what to change.
    """
    if x.dim() not in (2, 3):
        raise ValueError(
            f"{owner}: expected features [N, {in_channels}] or [T, N, {in_channels}], got shape "
            f"{tuple(x.shape)}; add a neck such as GlobalAveragePooling"
        )
    if x.shape[-1] != in_channels:
        raise ValueError(
            f"{owner}: in_channels={in_channels}, but the features have {x.shape[-1]} channels"
        )
