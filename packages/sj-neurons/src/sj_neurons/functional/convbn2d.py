"""Weight and bias of a Conv2d and the BatchNorm2d after it, seen as one convolution.

    W' = W gamma / sqrt(var + eps)        b' = beta - mean gamma / sqrt(var + eps)

with the running statistics `mean` and `var`. The convolution has no bias of its own: BatchNorm
takes it away again in training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .conv_bn_fusion import fused_conv_bn

__all__ = [
    "fuse_convbn2d",
    "fused_conv2d_bias_of_convbn2d",
    "fused_conv2d_weight_of_convbn2d",
    "scale_fused_conv2d_bias_of_convbn2d",
    "scale_fused_conv2d_weight_of_convbn2d",
]


def fused_conv2d_weight_of_convbn2d(conv2d: nn.Conv2d, bn2d: nn.BatchNorm2d) -> Tensor:
    """Weight W' of the one convolution, `[C_out, C_in / groups, H, W]`, differentiable.

    Raises:
        ValueError: `conv2d` has a bias, or `bn2d` no running statistics.
    """
    return conv2d.weight * _scale(conv2d, bn2d)[:, None, None, None]


def fused_conv2d_bias_of_convbn2d(conv2d: nn.Conv2d, bn2d: nn.BatchNorm2d) -> Tensor:
    """Bias b' of the one convolution, `[C_out]`, differentiable.

    Raises:
        ValueError: `conv2d` has a bias, or `bn2d` no running statistics.
    """
    bias = -_statistics(bn2d)[0] * _scale(conv2d, bn2d)
    return bias if bn2d.bias is None else bias + bn2d.bias


@torch.no_grad()
def scale_fused_conv2d_weight_of_convbn2d(
    conv2d: nn.Conv2d,
    bn2d: nn.BatchNorm2d,
    k: float | Tensor | None = None,
    b: float | Tensor | None = None,
) -> None:
    """Change `conv2d` in place so that W' becomes k W' + b.

    Args:
        conv2d, bn2d: the pair.
        k: factor, a number or a tensor that broadcasts to W'; 1 if `None`.
        b: summand, likewise; 0 if `None`.

    Raises:
        ValueError: `conv2d` has a bias, or `bn2d` no running statistics.
    """
    scale = _scale(conv2d, bn2d)[:, None, None, None]
    if k is not None:
        conv2d.weight.mul_(k)
    if b is not None:
        conv2d.weight.add_(b / scale)


@torch.no_grad()
def scale_fused_conv2d_bias_of_convbn2d(
    conv2d: nn.Conv2d,
    bn2d: nn.BatchNorm2d,
    k: float | Tensor | None = None,
    b: float | Tensor | None = None,
) -> None:
    """Change `bn2d` in place so that b' becomes k b' + b.

    Args:
        conv2d, bn2d: the pair.
        k: factor, a number or a tensor that broadcasts to b'; 1 if `None`.
        b: summand, likewise; 0 if `None`.

    Raises:
        ValueError: `conv2d` has a bias, `bn2d` no running statistics, or no bias to change.
    """
    _require_no_bias(conv2d)
    mean, _ = _statistics(bn2d)
    if bn2d.bias is None:
        raise ValueError("BatchNorm2d has no bias to change; use affine=True")
    if k is not None:
        mean.mul_(k)
        bn2d.bias.mul_(k)
    if b is not None:
        bn2d.bias.add_(b)


def fuse_convbn2d(conv2d: nn.Conv2d, bn2d: nn.BatchNorm2d) -> nn.Module:
    """The one convolution, with weight W' and bias b'; see also :func:`fused_conv_bn`.

    Raises:
        ValueError: `conv2d` has a bias, or `bn2d` no running statistics or other channels.
    """
    _require_no_bias(conv2d)
    return fused_conv_bn(conv2d, bn2d)


def _require_no_bias(conv2d: nn.Conv2d) -> None:
    if conv2d.bias is not None:
        raise ValueError(
            "expected a Conv2d with bias=False before BatchNorm2d; fused_conv_bn takes a bias too"
        )


def _statistics(bn2d: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    if bn2d.running_mean is None or bn2d.running_var is None:
        raise ValueError("BatchNorm2d has no running statistics; use track_running_stats=True")
    return bn2d.running_mean, bn2d.running_var


def _scale(conv2d: nn.Conv2d, bn2d: nn.BatchNorm2d) -> Tensor:
    """gamma / sqrt(var + eps), `[C_out]`."""
    _require_no_bias(conv2d)
    inverse = (_statistics(bn2d)[1] + bn2d.eps).rsqrt()
    return inverse if bn2d.weight is None else bn2d.weight * inverse
