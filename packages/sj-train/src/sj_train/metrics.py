"""Classification accuracy.

Acc@k is the percentage of samples whose class is among the k largest outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .errors import ClassCountError, DataError

__all__ = ["Scores", "as_classes", "check_classes", "top1_top5"]


_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
_IGNORED = -100  # torch's losses leave such samples out


class Scores(NamedTuple):
    """Means over the samples of one pass: loss, and Acc@1 and Acc@5 in percent."""

    loss: float
    acc1: float
    acc5: float


def top1_top5(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Acc@1 and Acc@min(5, K) in percent.

    Args:
        output: class scores ``[N, K]``.
        target: classes ``[N]``, or class weights ``[N, K]`` reduced by argmax.
    """
    if output.ndim != 2:
        raise ValueError(
            f"accuracy needs outputs [N, K], got {tuple(output.shape)}; reduce the time axis "
            "in process_output, for example y.mean(0)"
        )
    if target.ndim == 2:
        target = target.argmax(1)
    best = output.detach().topk(min(5, output.shape[1]), dim=1).indices
    hit = best == target.unsqueeze(1)
    scale = 100.0 / max(1, len(target))
    return hit[:, 0].sum() * scale, hit.sum() * scale


def as_classes(target: Tensor) -> Tensor:
    """Labels of any integer type as the type that losses take; other targets as they are."""
    integers = not (target.is_floating_point() or target.is_complex() or target.dtype == torch.bool)
    return target.long() if target.ndim == 1 and integers else target


def check_classes(output: Tensor, target: Tensor) -> None:
    """Refuse labels that the output ``[N, K]`` has no column for.

    Only targets in host memory are read: on a GPU the comparison would wait for the device.
    """
    if output.ndim != 2:
        return
    count = output.shape[1]
    if target.ndim == 2 and target.is_floating_point() and target.shape[1] != count:
        raise ClassCountError(
            f"the targets weigh {target.shape[1]} classes, the model has {count} outputs; "
            "give the model one output per class"
        )
    if target.ndim == 2 and target.shape[1] == 1 != count:
        raise DataError("the labels have shape [N, 1]; give one number per sample, without an axis")
    is_label = target.ndim == 1 and target.dtype in _INTEGERS
    if is_label and target.device.type == "cpu" and target.numel():
        lowest, highest = (int(value) for value in target.aminmax())
        wrong = highest if highest >= count else lowest
        if highest >= count or (lowest < 0 and lowest != _IGNORED):
            raise ClassCountError(
                f"the data hold class {wrong}, the model has {count} outputs (classes 0 to "
                f"{count - 1}); give the model one output per class"
            )
