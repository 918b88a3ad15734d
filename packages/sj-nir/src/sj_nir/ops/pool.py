"""Pooling over windows, with zeros around: sums, or means that divide by the full kernel area."""

from __future__ import annotations

import itertools
from typing import Any

import nir
import numpy as np
from torch import nn

import sj_layers as layer

from ..errors import NIRGraphError, NotSupportedError
from ..fields import pair
from ..modules import WidePool2d
from .table import ImportOptions, Op, Shape, Site, register_op

__all__ = ["even_windows"]

Pair = tuple[int, int]
Size = int | Pair
Pool = nir.AvgPool2d | nir.SumPool2d


def _pair(value: Size) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _rounded_down(shape: Shape, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    height, width = ((shape[i + 1] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in range(2))
    return height, width


# module -> node


def _to_node(module: nn.AvgPool2d | WidePool2d, site: Site) -> Pool:
    _check_planar(site)
    padding = module.wide_padding if isinstance(module, WidePool2d) else module.padding
    kernel, stride = _pair(module.kernel_size), _pair(module.stride)
    _check_size(module, site, kernel, stride, _pair(padding))
    if not module.count_include_pad and any(_pair(padding)):
        site.lose("count_include_pad=False with padding; NIR counts the padding, set it to True")
    divisor = module.divisor_override or kernel[0] * kernel[1]
    kinds: dict[int, Any] = {1: nir.SumPool2d, kernel[0] * kernel[1]: nir.AvgPool2d}
    if divisor not in kinds:
        raise NotSupportedError(
            f"divisor_override={divisor}; NIR divides by the kernel area or, as SumPool2d, by 1"
        )
    return kinds[divisor](
        kernel_size=kernel,
        stride=stride,
        padding=padding if isinstance(padding, int) else _pair(padding),
    )


def _power_to_node(module: nn.LPPool2d, site: Site) -> nir.SumPool2d:
    _check_planar(site)
    if module.norm_type != 1:
        raise NotSupportedError(f"norm_type={module.norm_type}; NIR sums, which is norm_type=1")
    kernel: Any = _pair(module.kernel_size)  # pyright: ignore[reportArgumentType]
    stride: Any = _pair(kernel if module.stride is None else module.stride)  # pyright: ignore[reportArgumentType]
    _check_size(module, site, kernel, stride, (0, 0))
    no_padding: Any = (0, 0)
    return nir.SumPool2d(kernel_size=kernel, stride=stride, padding=no_padding)


def _adaptive_to_node(module: nn.AdaptiveAvgPool2d, site: Site) -> nir.AvgPool2d:
    _check_planar(site)
    axes = zip(site.input_shape[1:], site.output_shape[1:], strict=True)
    (height, down), (width, across) = (even_windows(*axis) for axis in axes)
    kernel: Any = (height, width)
    stride: Any = (down, across)
    padding: Any = 0
    return nir.AvgPool2d(kernel_size=kernel, stride=stride, padding=padding)


def even_windows(size: int, count: int) -> Pair:
    """Kernel and stride of the `count` windows that adaptive pooling lays over `size`.

    Raises:
        NotSupportedError: they are not all alike.
    """
    starts = [i * size // count for i in range(count)]
    lengths = {-(-(i + 1) * size // count) - start for i, start in enumerate(starts)}
    strides = {b - a for a, b in itertools.pairwise(starts)}
    if len(lengths) > 1 or len(strides) > 1:
        raise NotSupportedError(
            f"from size {size} to {count} its windows differ; NIR pools with one kernel, "
            "use a size that divides"
        )
    kernel = lengths.pop()
    return kernel, strides.pop() if strides else kernel


def _check_planar(site: Site) -> None:
    if len(site.input_shape) != 3:
        raise NotSupportedError(
            f"the sample has shape {site.input_shape}, expected (C, H, W) behind the batch axis"
        )


def _check_size(module: Any, site: Site, kernel: Pair, stride: Pair, padding: Pair) -> None:
    size = _rounded_down(site.input_shape, kernel, stride, padding)
    if module.ceil_mode and size != site.output_shape[1:]:
        raise NotSupportedError(
            f"ceil_mode=True gives {site.output_shape[1:]}; NIR rounds sizes down, to {size}"
        )


# node -> module


def _to_module(node: Pool, name: str, options: ImportOptions) -> layer.AvgPool2d | WidePool2d:
    kernel, stride = pair(node, name, "kernel_size", 1), pair(node, name, "stride", 1)
    padding = pair(node, name, "padding", 0)
    divisor = 1 if isinstance(node, nir.SumPool2d) else None
    if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        return WidePool2d(
            kernel, stride, padding, divisor_override=divisor, step_mode=options.step_mode
        )
    return layer.AvgPool2d(
        kernel,
        stride,
        padding[0] if np.ndim(node.padding) == 0 else padding,
        divisor_override=divisor,
        step_mode=options.step_mode,
    )


def _output_shape(node: Pool, name: str, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise NIRGraphError(f"takes (C, H, W), but gets {shape}", node=name)
    kernel, stride = pair(node, name, "kernel_size", 1), pair(node, name, "stride", 1)
    size = _rounded_down(shape, kernel, stride, pair(node, name, "padding", 0))
    if min(size) < 1:
        raise NIRGraphError(f"the kernel is larger than the padded input {shape}", node=name)
    return (shape[0], *size)


register_op(
    Op(
        nodes=(nir.AvgPool2d, nir.SumPool2d),
        modules=(nn.AvgPool2d, layer.AvgPool2d, WidePool2d),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
register_op(Op(nodes=(), modules=(nn.LPPool2d,), to_node=_power_to_node))
register_op(
    Op(
        nodes=(),
        modules=(nn.AdaptiveAvgPool2d, layer.AdaptiveAvgPool2d),
        to_node=_adaptive_to_node,
    )
)
