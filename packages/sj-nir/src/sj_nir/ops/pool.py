"""Average pooling with zero padding: every mean divides by the full kernel area."""

from __future__ import annotations

import nir
import numpy as np
from torch import nn

import sj_layers as layer

from ..errors import NIRGraphError, NotSupportedError
from ..fields import pair
from .table import ImportOptions, Op, Shape, Site, register_op

__all__: list[str] = []

Size = int | tuple[int, int]


def _pair(value: Size) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _to_node(module: nn.AvgPool2d, site: Site) -> nir.AvgPool2d:
    if module.ceil_mode:
        raise NotSupportedError("ceil_mode=True; NIR rounds sizes down, use ceil_mode=False")
    if module.divisor_override is not None:
        raise NotSupportedError("divisor_override; NIR divides by the kernel area, remove it")
    if not module.count_include_pad and any(_pair(module.padding)):
        raise NotSupportedError(
            "count_include_pad=False with padding; NIR counts the padding, set it to True"
        )
    padding = module.padding if isinstance(module.padding, int) else _pair(module.padding)
    return nir.AvgPool2d(
        kernel_size=_pair(module.kernel_size),  # pyright: ignore[reportArgumentType]
        stride=_pair(module.stride),  # pyright: ignore[reportArgumentType]
        padding=padding,  # pyright: ignore[reportArgumentType]
    )


def _padding(node: nir.AvgPool2d, name: str) -> Size:
    padding = pair(node, name, "padding", 0)
    return padding[0] if np.ndim(node.padding) == 0 else padding


def _to_module(node: nir.AvgPool2d, name: str, options: ImportOptions) -> layer.AvgPool2d:
    kernel, padding = pair(node, name, "kernel_size", 1), _pair(_padding(node, name))
    if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        raise NotSupportedError(
            f"{padding} is more than half of the kernel {kernel}", node=name, field="padding"
        )
    return layer.AvgPool2d(
        kernel,
        pair(node, name, "stride", 1),
        _padding(node, name),
        step_mode=options.step_mode,
    )


def _output_shape(node: nir.AvgPool2d, name: str, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise NIRGraphError(f"takes (C, H, W), but gets {shape}", node=name)
    kernel, stride = pair(node, name, "kernel_size", 1), pair(node, name, "stride", 1)
    padding = pair(node, name, "padding", 0)
    size = tuple((shape[i + 1] + 2 * padding[i] - kernel[i]) // stride[i] + 1 for i in range(2))
    if min(size) < 1:
        raise NIRGraphError(f"the kernel is larger than the padded input {shape}", node=name)
    return (shape[0], *size)


register_op(
    Op(
        nodes=(nir.AvgPool2d,),
        modules=(nn.AvgPool2d, layer.AvgPool2d),
        to_node=_to_node,
        to_module=_to_module,
        output_shape=_output_shape,
    )
)
